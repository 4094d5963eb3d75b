#include "reports/stats.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

namespace qbench::reports {
namespace {

using ::testing::DoubleNear;
using ::testing::ElementsAre;

TEST(PairedTable, CountsEachKindOfPair) {
  const std::vector<double> a = {1, 1, 1, 0, 0, 0}, b = {1, 1, 0, 1, 0, 0};
  const PairedTable table = paired_table(a, b);
  EXPECT_EQ(table.n11, 2);
  EXPECT_EQ(table.n10, 1);
  EXPECT_EQ(table.n01, 1);
  EXPECT_EQ(table.n00, 2);
  EXPECT_EQ(table.flips(), 2);
  EXPECT_EQ(table.delta(), 0);
}

TEST(PairedTable, DeltaAndItsStandardErrorByHand) {
  const PairedTable table{50, 5, 3, 42};
  EXPECT_DOUBLE_EQ(table.delta(), -0.02);
  EXPECT_DOUBLE_EQ(table.delta_stderr(), std::sqrt(8 - 4.0 / 100) / 100);
}

TEST(McNemar, SmallCasesByHand) {
  EXPECT_EQ(mcnemar_exact(0, 0), 1);
  EXPECT_EQ(mcnemar_exact(4, 4), 1);
  EXPECT_DOUBLE_EQ(mcnemar_exact(0, 1), 1);
  EXPECT_DOUBLE_EQ(mcnemar_exact(0, 5), 2.0 / 32);
  EXPECT_DOUBLE_EQ(mcnemar_exact(1, 5), 2.0 * 7 / 64);
}

TEST(McNemar, LargeCountsNeitherOverflowNorVanish) {
  EXPECT_GT(mcnemar_exact(450000, 550000), 0.0 - 1e-300);
  EXPECT_LT(mcnemar_exact(450000, 550000), 1e-100);
  EXPECT_NEAR(mcnemar_exact(500000, 500100), 0.92, 0.01);
}

TEST(Corrections, ByHand) {
  const std::vector<double> p = {0.01, 0.04, 0.03};
  EXPECT_THAT(bonferroni(p),
              ElementsAre(DoubleNear(0.03, 1e-15), DoubleNear(0.12, 1e-15), DoubleNear(0.09, 1e-15)));
  EXPECT_THAT(holm(p),
              ElementsAre(DoubleNear(0.03, 1e-15), DoubleNear(0.06, 1e-15), DoubleNear(0.06, 1e-15)));
  EXPECT_THAT(benjamini_hochberg(p),
              ElementsAre(DoubleNear(0.03, 1e-15), DoubleNear(0.04, 1e-15), DoubleNear(0.04, 1e-15)));
}

TEST(Corrections, AnEmptyFamilyIsEmpty) {
  EXPECT_TRUE(holm({}).empty());
  EXPECT_TRUE(bonferroni({}).empty());
  EXPECT_TRUE(benjamini_hochberg({}).empty());
}

TEST(Bootstrap, IsTheSameForTheSameSeedAndOnlyForIt) {
  const std::vector<double> a = {10, 20, 30, 25, 18, 22}, b = {11, 19, 33, 26, 20, 22};
  const std::vector<int64_t> tokens = {10, 10, 10, 10, 10, 10};
  BootstrapOptions options;
  const Bootstrap first = paired_block_bootstrap(a, b, tokens, options);
  const Bootstrap second = paired_block_bootstrap(a, b, tokens, options);
  options.seed = 1;
  const Bootstrap other = paired_block_bootstrap(a, b, tokens, options);
  EXPECT_EQ(first.interval.low, second.interval.low);
  EXPECT_EQ(first.p, second.p);
  EXPECT_DOUBLE_EQ(first.estimate, 6.0 / 60);
  EXPECT_TRUE(first.p != other.p || first.interval.low != other.interval.low ||
              first.interval.high != other.interval.high);
}

TEST(Bootstrap, EqualSidesAreNotDifferent) {
  const std::vector<double> a = {10, 20, 30};
  const std::vector<int64_t> tokens = {10, 10, 10};
  const Bootstrap result = paired_block_bootstrap(a, a, tokens, {});
  EXPECT_EQ(result.estimate, 0);
  EXPECT_EQ(result.interval.low, 0);
  EXPECT_EQ(result.p, 1);
}

TEST(Bootstrap, ItsStandardErrorIsThatOfTheMeanForSingleWindows) {
  std::vector<double> a(40, 0.0), b;
  for (int i = 0; i < 40; ++i) b.push_back(i % 2 == 0 ? 3.0 : 1.0);  // mean 2, deviation 1
  const std::vector<int64_t> tokens(40, 1);
  const Bootstrap result = paired_block_bootstrap(a, b, tokens, {20000, 1, 0.05, 0});
  EXPECT_NEAR(result.standard_error, std::sqrt(1.0 / 40), 0.005);
  EXPECT_LT(result.p, 1e-10);
}

TEST(Bootstrap, AFewWindowsThatAgreeNeverProveMuch) {
  const std::vector<double> a = {10, 20, 30}, b = {11, 21, 31};
  const std::vector<int64_t> tokens = {10, 10, 10};
  EXPECT_DOUBLE_EQ(paired_block_bootstrap(a, b, tokens, {}).p, 0.25);
  EXPECT_DOUBLE_EQ(paired_block_bootstrap({a.data(), 1}, {b.data(), 1}, {tokens.data(), 1}, {}).p, 1);
}

TEST(RankCorrelation, ByHand) {
  const std::vector<double> x = {1, 2, 3, 4}, up = {10, 20, 30, 40}, swapped = {10, 30, 20, 40},
                            flat = {5, 5, 5, 5};
  EXPECT_DOUBLE_EQ(kendall_tau(x, up), 1);
  EXPECT_DOUBLE_EQ(kendall_tau(x, swapped), 4.0 / 6);
  EXPECT_DOUBLE_EQ(spearman(x, up), 1);
  EXPECT_DOUBLE_EQ(spearman(x, swapped), 0.8);
  EXPECT_TRUE(std::isnan(kendall_tau(x, flat)));
  EXPECT_TRUE(std::isnan(spearman(x, flat)));
  EXPECT_TRUE(std::isnan(spearman({}, {})));
}

TEST(RankCorrelation, TiesAreCorrectedFor) {
  const std::vector<double> x = {1, 2, 2, 3}, y = {1, 2, 3, 4};
  EXPECT_DOUBLE_EQ(kendall_tau(x, y), 5 / std::sqrt(5.0 * 6));
  EXPECT_NEAR(spearman(x, y), 0.9486832980505138, 1e-15);
}

}  // namespace
}  // namespace qbench::reports
