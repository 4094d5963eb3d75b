// Laws of the statistics over many seeded cases.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>

#include "reports/stats.h"

namespace qbench::reports {
namespace {

class StatsLaws : public ::testing::TestWithParam<unsigned> {
 protected:
  std::mt19937 random_{GetParam()};
  int64_t below(int64_t bound) { return static_cast<int64_t>(random_() % static_cast<uint64_t>(bound)); }
  double unit() { return static_cast<double>(random_()) / 4294967296.0; }
  std::vector<double> units(size_t n) {
    std::vector<double> values(n);
    for (double& value : values) value = unit();
    return values;
  }
};

TEST_P(StatsLaws, McNemarIsSymmetricAndAProbability) {
  const int64_t n10 = below(200), n01 = below(200);
  const double p = mcnemar_exact(n10, n01);
  EXPECT_EQ(p, mcnemar_exact(n01, n10));
  EXPECT_GT(p, 0);
  EXPECT_LE(p, 1);
}

TEST_P(StatsLaws, McNemarEqualsTheSumOfBinomialTerms) {
  const int64_t n10 = below(30), n01 = below(30), n = n10 + n01;
  double tail = 0, term = std::pow(0.5, static_cast<double>(n));
  for (int64_t k = 0; k <= std::min(n10, n01); ++k) {
    tail += term;
    term *= static_cast<double>(n - k) / static_cast<double>(k + 1);
  }
  EXPECT_NEAR(mcnemar_exact(n10, n01), std::min(1.0, 2 * tail), 1e-12);
}

TEST_P(StatsLaws, MoreLopsidedFlipsAreNoLessSignificant) {
  const int64_t n = 2 + below(60);
  for (int64_t k = 0; k + 1 <= n / 2; ++k)
    EXPECT_LE(mcnemar_exact(k, n - k), mcnemar_exact(k + 1, n - k - 1));
}

TEST_P(StatsLaws, DeltaOfAPairedTableIsTheDifferenceOfAccuracies) {
  const size_t n = 1 + static_cast<size_t>(below(300));
  std::vector<double> a(n), b(n);
  double sum_a = 0, sum_b = 0;
  for (size_t i = 0; i < n; ++i) {
    sum_a += a[i] = static_cast<double>(below(2));
    sum_b += b[i] = static_cast<double>(below(2));
  }
  const PairedTable table = paired_table(a, b);
  EXPECT_EQ(table.n(), static_cast<int64_t>(n));
  EXPECT_NEAR(table.delta(), (sum_b - sum_a) / static_cast<double>(n), 1e-12);
  EXPECT_LE(std::abs(table.delta()), static_cast<double>(table.flips()) / static_cast<double>(n) + 1e-15);
}

TEST_P(StatsLaws, CorrectionsAreOrderedAndKeepTheOrderOfP) {
  const auto p = units(1 + static_cast<size_t>(below(40)));
  const auto strict = bonferroni(p), step = holm(p), rate = benjamini_hochberg(p);
  for (size_t i = 0; i < p.size(); ++i) {
    EXPECT_LE(p[i], rate[i] * (1 + 1e-15));
    EXPECT_LE(rate[i], step[i] * (1 + 1e-12));
    EXPECT_LE(step[i], strict[i] * (1 + 1e-12));
    for (size_t j = 0; j < p.size(); ++j) {
      if (p[i] >= p[j]) continue;
      EXPECT_LE(step[i], step[j]);
      EXPECT_LE(rate[i], rate[j]);
    }
  }
}

TEST_P(StatsLaws, IntervalsOfAProportionContainIt) {
  const int64_t n = 1 + below(500), k = below(n + 1);
  const double share = static_cast<double>(k) / static_cast<double>(n);
  for (const Interval& interval : {wilson(k, n, 0.05), clopper_pearson(k, n, 0.05)}) {
    EXPECT_LE(interval.low, share);
    EXPECT_GE(interval.high, share);
    EXPECT_GE(interval.low, 0);
    EXPECT_LE(interval.high, 1);
  }
  EXPECT_NEAR(wilson(k, n, 0.05).low, 1 - wilson(n - k, n, 0.05).high, 1e-12);
}

TEST_P(StatsLaws, TheBootstrapIntervalContainsTheEstimate) {
  const size_t n = 8 + static_cast<size_t>(below(100));
  auto a = units(n), b = units(n);
  std::vector<int64_t> tokens(n);
  for (size_t i = 0; i < n; ++i) {
    tokens[i] = 50 + below(100);
    a[i] *= static_cast<double>(tokens[i]);
    b[i] = a[i] + (b[i] - 0.4) * static_cast<double>(tokens[i]);
  }
  const BootstrapOptions options{1000, 1 + below(4), 0.05, GetParam()};
  const Bootstrap result = paired_block_bootstrap(a, b, tokens, options);
  EXPECT_LE(result.interval.low, result.estimate);
  EXPECT_GE(result.interval.high, result.estimate);
  const Bootstrap swapped = paired_block_bootstrap(b, a, tokens, options);
  EXPECT_NEAR(swapped.estimate, -result.estimate, 1e-12);
  EXPECT_NEAR(swapped.interval.low, -result.interval.high, 1e-12);
  EXPECT_NEAR(swapped.p, result.p, 1e-9);
}

TEST_P(StatsLaws, NoDifferenceIsRarelySignificant) {
  int significant = 0;
  for (int repeat = 0; repeat < 40; ++repeat) {
    const size_t n = 24;
    const auto a = units(n), b = units(n);
    const std::vector<int64_t> tokens(n, 1);
    significant += paired_block_bootstrap(a, b, tokens, {400, 2, 0.05, 0}).p < 0.05;
  }
  EXPECT_LE(significant, 9);  // 2 expected; 9 or more has a chance below 1e-3
}

TEST_P(StatsLaws, RankCorrelationsAreSymmetricBoundedAndBlindToMonotoneMaps) {
  const size_t n = 3 + static_cast<size_t>(below(30));
  const auto x = units(n), y = units(n);
  auto curved = x;
  for (double& value : curved) value = std::exp(3 * value);
  for (const auto correlation : {kendall_tau, spearman}) {
    const double r = correlation(x, y);
    EXPECT_NEAR(r, correlation(y, x), 1e-12);
    EXPECT_NEAR(r, correlation(curved, y), 1e-12);
    EXPECT_LE(std::abs(r), 1 + 1e-12);
    EXPECT_NEAR(correlation(x, x), 1, 1e-12);
  }
}

INSTANTIATE_TEST_SUITE_P(Seeds, StatsLaws, ::testing::Range(0u, 40u));

}  // namespace
}  // namespace qbench::reports
