// Statistics against scipy and statsmodels: cases of stats.json.
#include <gtest/gtest.h>

#include <cmath>

#include "harness/core/fields.h"
#include "harness/core/files.h"
#include "reports/stats.h"
#include "tests/support/fixtures.h"

namespace qbench::reports {
namespace {

/// 1e-10 relative; numbers that are printed as 0 may be 1e-15 off.
void expect_close(double got, double expected, const std::string& what) {
  EXPECT_NEAR(got, expected, 1e-10 * std::abs(expected) + 1e-15) << what;
}

void check_table(const Json& table) {
  const int64_t n10 = table.at("n10"), n01 = table.at("n01");
  const std::string what = table.dump();
  expect_close(mcnemar_exact(n10, n01), table.at("mcnemar_exact_p"), what);
  if (table.contains("binomtest_p") && !table.at("binomtest_p").is_null())
    expect_close(mcnemar_exact(n10, n01), table.at("binomtest_p"), what);
  for (const bool corrected : {false, true}) {
    const char* key = corrected ? "mcnemar_chi2_cc" : "mcnemar_chi2";
    if (!table.contains(key) || table.at(key).is_null()) continue;
    const ChiSquare result = mcnemar_chi2(n10, n01, corrected);
    expect_close(result.statistic, table.at(key).at("statistic"), what);
    expect_close(result.p, table.at(key).at("p"), what);
  }
  if (table.contains("binomtest_ci95_clopper_pearson") &&
      !table.at("binomtest_ci95_clopper_pearson").is_null()) {
    const Interval interval = clopper_pearson(n10, n10 + n01, 0.05);
    expect_close(interval.low, table.at("binomtest_ci95_clopper_pearson").at(0), what);
    expect_close(interval.high, table.at("binomtest_ci95_clopper_pearson").at(1), what);
  }
}

void check_interval(const Json& c) {
  const Interval w = wilson(c.at("k"), c.at("n"), c.at("alpha"));
  const Interval cp = clopper_pearson(c.at("k"), c.at("n"), c.at("alpha"));
  expect_close(w.low, c.at("wilson").at(0), c.dump());
  expect_close(w.high, c.at("wilson").at(1), c.dump());
  expect_close(cp.low, c.at("clopper_pearson").at(0), c.dump());
  expect_close(cp.high, c.at("clopper_pearson").at(1), c.dump());
}

void check_family(const Json& family) {
  const auto p = family.at("p").get<std::vector<double>>();
  const double alpha = family.at("alpha");
  const std::pair<const char*, std::vector<double>> corrections[] = {
      {"bonferroni", bonferroni(p)}, {"holm", holm(p)}, {"benjamini_hochberg", benjamini_hochberg(p)}};
  for (const auto& [name, adjusted] : corrections) {
    const auto expected = family.at(name).at("adjusted").get<std::vector<double>>();
    const auto reject = family.at(name).at("reject").get<std::vector<bool>>();
    ASSERT_EQ(adjusted.size(), expected.size());
    for (size_t i = 0; i < expected.size(); ++i) {
      expect_close(adjusted[i], expected[i], std::string(name) + " " + family.dump());
      if (std::abs(adjusted[i] - alpha) > 1e-12) {
        EXPECT_EQ(adjusted[i] <= alpha, reject[i]) << name << family.dump();
      }
    }
  }
}

std::vector<std::filesystem::path> stats_files() {
  std::vector<std::filesystem::path> files;
  for (const char* area : {"eval_stats", "eval"}) {
    for (const auto& root : testing_support::golden_roots(area)) {
      if (std::filesystem::exists(root / "stats.json")) files.push_back(root / "stats.json");
    }
  }
  return files;
}

TEST(GoldenStats, AgreeWithScipyAndStatsmodels) {
  const auto files = stats_files();
  ASSERT_FALSE(files.empty());
  for (const auto& file : files) {
    SCOPED_TRACE(file.string());
    const Json cases = Json::parse(read_text_file(file));
    for (const Json& table : cases.at("tables")) check_table(table);
    for (const Json& interval : cases.at("wilson")) check_interval(interval);
    for (const Json& family : cases.at("families")) check_family(family);
  }
}

}  // namespace
}  // namespace qbench::reports
