// Whole documents of the sample store against files; QBENCH_REGENERATE=1 rewrites them.
#include <gtest/gtest.h>

#include <algorithm>
#include <cctype>
#include <cmath>
#include <cstdlib>

#include "harness/core/files.h"
#include "reports/diff.h"
#include "reports/report.h"
#include "tests/support/fixtures.h"
#include "tests/unit/reports/sample_store.h"
#include "tests/unit/results/store_samples.h"

namespace qbench::reports {
namespace {

using results::samples::TemporaryFolder;

bool in_number(char c) {
  return std::isdigit(static_cast<unsigned char>(c)) != 0 || c == '.' || c == 'e' || c == '+' || c == '-';
}

/// Place of the first difference that is not in the last digits of a number (mathematical libraries round
/// differently), or npos.
size_t first_difference(const std::string& text, const std::string& expected) {
  size_t t = 0, e = 0;
  while (t < text.size() && e < expected.size()) {
    if (text[t] == expected[e]) {
      ++t;
      ++e;
      continue;
    }
    while (t > 0 && e > 0 && in_number(text[t - 1])) --t, --e;
    char *text_end = nullptr, *expected_end = nullptr;
    const double found = std::strtod(text.c_str() + t, &text_end),
                 wanted = std::strtod(expected.c_str() + e, &expected_end);
    if (text_end == text.c_str() + t || std::abs(found - wanted) > 1e-9 * std::abs(wanted)) return t;
    t = static_cast<size_t>(text_end - text.c_str());
    e = static_cast<size_t>(expected_end - expected.c_str());
  }
  return t == text.size() && e == expected.size() ? std::string::npos : t;
}

void expect_document(const std::string& name, const std::string& text) {
  const auto file = testing_support::source_dir() / "tests/golden/reports" / (name + ".expected");
  if (const char* regenerate = std::getenv("QBENCH_REGENERATE"); regenerate != nullptr && *regenerate == '1')
    write_file_atomically(file, text);
  ASSERT_TRUE(std::filesystem::exists(file)) << "run with QBENCH_REGENERATE=1 and look at what is written";
  const std::string expected = read_text_file(file);
  const size_t at = first_difference(text, expected);
  if (at == std::string::npos) return;
  const auto line = 1 + std::count(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(at), '\n');
  ADD_FAILURE() << file << " differs from line " << line << " on:\n  found    " << text.substr(at, 120)
                << "\n  expected " << expected.substr(std::min(at, expected.size()), 120)
                << "\nIf the change is meant, run with QBENCH_REGENERATE=1.";
}

class GoldenReports : public ::testing::Test {
 protected:
  void SetUp() override {
    testing_support::SampleOptions options;
    options.layers = 2;
    options.items = 20;
    options.windows = 9;
    testing_support::write_sample_store(folder_ / "a.sqlite", options);
    options.drift = 0.02;
    testing_support::write_sample_store(folder_ / "b.sqlite", options);
  }
  TemporaryFolder folder_;
};

TEST_F(GoldenReports, EveryTextFormatOfAReport) {
  const auto store = results::Store::open_readonly(folder_ / "a.sqlite");
  for (const char* format : {"terminal", "md", "csv", "json"})
    expect_document(std::string("report.") + format, render_report(*store, format));
  ReportOptions colored;
  colored.color = true;
  expect_document("report.color", render_report(*store, "terminal", colored));
}

TEST_F(GoldenReports, TheSummaryAtTheEndOfARun) {
  const auto store = results::Store::open_readonly(folder_ / "a.sqlite");
  std::string text = summary_table(*store, 2, false);
  const size_t path = text.find(folder_.path().string());
  ASSERT_NE(path, std::string::npos);
  text.replace(path, folder_.path().string().size(), "FOLDER");
  expect_document("summary", text);
}

TEST_F(GoldenReports, EveryTextFormatOfADiff) {
  DiffResult diff = diff_targets((folder_ / "a.sqlite").string(), (folder_ / "b.sqlite").string());
  diff.a = "A.sqlite";
  diff.b = "B.sqlite";
  for (const char* format : {"terminal", "md", "csv", "json"})
    expect_document(std::string("diff.") + format, render_diff(diff, format));
}

TEST(GoldenStores, AStoreOfEveryReleasedSchemaOpensAndReports) {
  size_t stores = 0;
  for (const auto& entry :
       std::filesystem::directory_iterator(testing_support::source_dir() / "tests/fixtures/stores")) {
    if (entry.path().extension() != ".sqlite") continue;
    ++stores;
    TemporaryFolder folder;
    const auto copy = folder / "s.sqlite";
    std::filesystem::copy_file(entry.path(), copy);
    const auto readonly = render_report(*results::Store::open_readonly(copy), "md");
    const auto store = results::Store::open(copy);
    EXPECT_EQ(render_report(*store, "md"), readonly) << entry.path();
    EXPECT_GT(store->begin_run(results::samples::run()), 2);
    expect_document(entry.path().stem().string() + ".md", readonly);
  }
  EXPECT_GE(stores, 1u);
}

}  // namespace
}  // namespace qbench::reports
