// What every format of reports and diffs must do, whatever it looks like.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>

#include "harness/core/errors.h"
#include "harness/core/fields.h"
#include "reports/diff.h"
#include "reports/render/html.h"
#include "reports/report.h"
#include "tests/unit/reports/sample_store.h"
#include "tests/unit/results/store_samples.h"

namespace qbench::reports {
namespace {

using results::Store;
using results::samples::TemporaryFolder;
using ::testing::HasSubstr;
using ::testing::Not;

/// Texts that end or forge what they stand in, in every format.
const std::string kHostile = "</script><script>alert(1)</script>|\"x\",'y'`z`*b*\n\x1b[31mred\x1b[0m\x07\xff";

class Renderers : public ::testing::TestWithParam<std::string> {};

TEST_P(Renderers, ArePureFunctionsOfTheStore) {
  TemporaryFolder one, two;
  testing_support::write_sample_store(one / "s.sqlite");
  testing_support::write_sample_store(two / "elsewhere.sqlite");
  const std::string first = render_report(*Store::open_readonly(one / "s.sqlite"), GetParam());
  EXPECT_EQ(first, render_report(*Store::open_readonly(two / "elsewhere.sqlite"), GetParam()));
  EXPECT_THAT(first, HasSubstr("gptq(act"));
  EXPECT_EQ(first.back(), '\n');
}

TEST_P(Renderers, TakeAnEmptyStore) {
  TemporaryFolder folder;
  const auto store = Store::open(folder / "s.sqlite");
  EXPECT_FALSE(render_report(*store, GetParam()).empty());
  EXPECT_FALSE(render_diff(DiffResult{}, GetParam()).empty());
}

TEST_P(Renderers, LetNoTextOfTheStoreActOnTheReader) {
  TemporaryFolder folder;
  const auto store = Store::open(folder / "s.sqlite");
  auto run = results::samples::run();
  run.suite_name = run.suite_yaml = kHostile;
  run.environment = {{kHostile, kHostile}};
  const int64_t id = store->begin_run(run);
  auto cell = results::samples::cell("c");
  cell.model = cell.recipe = cell.scheme = cell.calibration = kHostile;
  cell.notes = Json::array({kHostile});
  store->put_cells(id, {cell}, {{"c", "s", kHostile}, {"c", "f", "other"}});
  auto step = results::samples::step("s");
  step.scores[0].task = step.scores[0].metric = step.scores[0].protocol = kHostile;
  step.layers[0].layer = step.layers[0].fallback = kHostile;
  step.key = cell.quantize_key;
  store->commit_step(id, step);
  step.key = "s";
  store->commit_step(id, step);
  store->commit_failure(id, {"f", kHostile, kHostile, kHostile, kHostile, kHostile, kHostile, 1});
  const std::string text = render_report(*store, GetParam());
  if (GetParam() == "terminal") {
    EXPECT_THAT(text, Not(HasSubstr("\x1b")));
    EXPECT_THAT(text, Not(HasSubstr("\x07")));
  }
  if (GetParam() == "html" || GetParam() == "md") {
    EXPECT_THAT(text.substr(0, text.rfind("## Suite")), Not(HasSubstr("<script>alert")));
  }
  if (GetParam() == "json") {
    EXPECT_FALSE(Json::parse(text, nullptr, false).is_discarded());
  }
}

TEST_P(Renderers, TakeScoresThatAreNotNumbers) {
  TemporaryFolder folder;
  const auto store = Store::open(folder / "s.sqlite");
  const int64_t id = store->begin_run(results::samples::run());
  auto base = results::samples::cell("b");
  base.baseline = true;
  base.quantize_key = "";
  store->put_cells(id, {base, results::samples::cell("c")}, {{"b", "s1", "mc"}, {"c", "s2", "mc"}});
  auto step = results::samples::step("s1");
  step.scores[0].value = std::numeric_limits<double>::quiet_NaN();
  store->commit_step(id, step);
  step.key = "s2";
  step.scores[0].value = std::numeric_limits<double>::infinity();
  store->commit_step(id, step);
  const std::string text = render_report(*store, GetParam());
  EXPECT_THAT(text, HasSubstr(GetParam() == "html" ? "null" : "nan"));
  if (GetParam() == "json") {
    EXPECT_FALSE(Json::parse(text, nullptr, false).is_discarded());
  }
}

INSTANTIATE_TEST_SUITE_P(All, Renderers, ::testing::ValuesIn(report_formats()),
                         [](const auto& info) { return info.param; });

TEST(RenderReport, AnUnknownFormatNamesTheNearest) {
  TemporaryFolder folder;
  const auto store = Store::open(folder / "s.sqlite");
  try {
    render_report(*store, "htm");
    FAIL();
  } catch (const ConfigError& error) {
    EXPECT_THAT(error.what(), HasSubstr("Did you mean \"html\"?"));
  }
}

TEST(RenderReport, AnUnknownRunNamesThoseThatExist) {
  TemporaryFolder folder;
  const auto store = Store::open(folder / "s.sqlite");
  store->begin_run(results::samples::run());
  ReportOptions options;
  options.run = 7;
  try {
    render_report(*store, "md", options);
    FAIL();
  } catch (const ConfigError& error) {
    EXPECT_THAT(error.what(), HasSubstr("there is no run 7; the store has runs 1"));
  }
}

TEST(Html, AsksForNothingFromTheNetwork) {
  TemporaryFolder folder;
  testing_support::write_sample_store(folder / "s.sqlite");
  const std::string page = render_report(*Store::open_readonly(folder / "s.sqlite"), "html");
  for (const char* needle : {"src=", "<link", "@import", "url(", "fetch(", "XMLHttpRequest"})
    EXPECT_THAT(page, Not(HasSubstr(needle)));
  EXPECT_THAT(page, HasSubstr("default-src 'none'"));
  std::string rest = page;
  for (const char* allowed : {"http://www.w3.org/2000/svg"}) {
    if (const size_t at = rest.find(allowed); at != std::string::npos)
      rest.erase(at, std::string(allowed).size());
  }
  EXPECT_THAT(rest, Not(HasSubstr("http://")));
  EXPECT_THAT(rest, Not(HasSubstr("https://")));
}

TEST(Html, EscapesEverySpecialCharacter) {
  EXPECT_EQ(html_escape("<a href=\"x\">'&"), "&lt;a href=&quot;x&quot;&gt;&#39;&amp;");
}

TEST(Reports, OfAThousandCellsTakeUnderASecond) {
  TemporaryFolder folder;
  testing_support::SampleOptions options;
  options.extra_recipes = 110;  // 3 schemes x 3 calibration sets each
  options.layers = 30;
  options.items = 25;
  options.windows = 12;
  options.failures = false;
  testing_support::write_sample_store(folder / "s.sqlite", options);
  const auto store = Store::open_readonly(folder / "s.sqlite");
  ASSERT_GT(store->cells().size(), 1000u);
  for (const auto& format : report_formats()) {
    const auto start = std::chrono::steady_clock::now();
    const std::string text = render_report(*store, format);
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    RecordProperty(format + "_ms", static_cast<int>(seconds * 1000));
    RecordProperty(format + "_kib", static_cast<int>(text.size() / 1024));
    EXPECT_LT(seconds, 10)
        << format;  // about 0.5 on a quiet machine; the margin is for sanitizers and busy machines
    if (format == "html") {
      EXPECT_LT(text.size(), 2u << 20);
    }
  }
}

}  // namespace
}  // namespace qbench::reports
