#include "reports/view/compare.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

namespace qbench::reports {
namespace {

results::ScoreRow score(const std::string& metric, double value) {
  results::ScoreRow row;
  row.task = "t";
  row.metric = metric;
  row.value = value;
  return row;
}

results::ItemColumns answers(const std::vector<std::string>& ids, const std::vector<double>& right) {
  results::ItemColumns columns;
  columns.ids = ids;
  columns.tokens.assign(ids.size(), 0);
  columns.metrics["acc"] = right;
  return columns;
}

results::ItemColumns windows(const std::vector<double>& nll) {
  results::ItemColumns columns;
  for (size_t i = 0; i < nll.size(); ++i) {
    columns.ids.push_back("w" + std::to_string(i));
    columns.tokens.push_back(100);
  }
  columns.nll = nll;
  return columns;
}

TEST(Compare, AnswersAreComparedByMcNemarAndFlipsAreListed) {
  const auto a = answers({"q1", "q2", "q3", "q4"}, {1, 1, 0, 1}),
             b = answers({"q1", "q2", "q3", "q4"}, {0, 1, 1, 0});
  const Comparison c = compare_scores(score("acc", 0.75), &a, score("acc", 0.5), &b, {});
  EXPECT_EQ(c.test, "exact McNemar");
  EXPECT_DOUBLE_EQ(c.delta, -0.25);
  EXPECT_EQ(c.n10, 2);
  EXPECT_EQ(c.n01, 1);
  EXPECT_DOUBLE_EQ(*c.p, 1);
  EXPECT_NEAR((c.interval->high - c.interval->low) / 2, 1.959963984540054 * *c.delta_stderr, 1e-12);
  ASSERT_EQ(c.flips.size(), 3u);
  EXPECT_EQ(c.flips[1].item, "q3");
  EXPECT_EQ(c.flips[1].was, 0);
}

TEST(Compare, ItemsAreMatchedByIdNotByPlace) {
  const auto a = answers({"q1", "q2", "q3"}, {1, 0, 1}), b = answers({"q3", "q1", "q9"}, {1, 1, 0});
  const Comparison c = compare_scores(score("acc", 0.67), &a, score("acc", 0.67), &b, {});
  EXPECT_EQ(c.paired, 2);
  EXPECT_EQ(c.unpaired, 2);
  EXPECT_TRUE(c.flips.empty());
  EXPECT_FALSE(c.identical_items);
}

TEST(Compare, PerplexitiesAreComparedByBootstrapOfWindows) {
  std::vector<double> a, b;
  for (int i = 0; i < 20; ++i) {
    a.push_back(250 + i);
    b.push_back(260 + i + (i % 3));
  }
  const auto wa = windows(a), wb = windows(b);
  const auto ppl = [](const std::vector<double>& nll) {
    double sum = 0;
    for (const double value : nll) sum += value;
    return std::exp(sum / (100.0 * static_cast<double>(nll.size())));
  };
  const Comparison c = compare_scores(score("ppl", ppl(a)), &wa, score("ppl", ppl(b)), &wb, {});
  EXPECT_EQ(c.test, "block bootstrap");
  EXPECT_LT(*c.p, 0.01);
  EXPECT_LT(c.interval->low, c.delta);
  EXPECT_GT(c.interval->high, c.delta);
}

TEST(Compare, MeanNllIsComparedByItsWindowsInItsOwnUnit) {
  const auto a = windows({250, 260, 255, 245}), b = windows({260, 265, 275, 255});
  const Comparison c = compare_scores(score("nll", 2.525), &a, score("nll", 2.6375), &b, {});
  EXPECT_EQ(c.test, "block bootstrap");
  EXPECT_NEAR(c.delta, 0.1125, 1e-12);
  EXPECT_GE(c.interval->low, 0.05);
  EXPECT_LE(c.interval->high, 0.2);
}

TEST(Compare, MetricsThatAreNeitherHaveABootstrapOfTheirMean) {
  results::ItemColumns a = answers({"x", "y", "z"}, {0, 0, 0}), b = a;
  a.metrics = {{"kl_mean", {0.5, 0.25, 0.125}}};
  b.metrics = {{"kl_mean", {0.75, 0.5, 0.25}}};
  const Comparison c = compare_scores(score("kl_mean", 0.29), &a, score("kl_mean", 0.5), &b, {});
  EXPECT_EQ(c.test, "block bootstrap");
  EXPECT_GT(c.interval->high, 0);
}

TEST(Compare, WithoutItemsOnlyTheDeltaIsKnown) {
  const auto a = answers({"q1"}, {1});
  const Comparison c = compare_scores(score("acc", 1), &a, score("acc", 0), nullptr, {});
  EXPECT_EQ(c.delta, -1);
  EXPECT_EQ(c.test, "");
  EXPECT_FALSE(c.p.has_value());
}

TEST(Compare, NumbersThatAreNotFiniteAreNotTested) {
  const auto a = windows({250, 251}), b = windows({250, std::nan("")});
  EXPECT_FALSE(compare_scores(score("ppl", 12), &a, score("ppl", std::nan("")), &b, {}).p.has_value());
}

TEST(Compare, EqualItemsAreIdentical) {
  const auto a = windows({250, 251});
  const Comparison c = compare_scores(score("ppl", 12), &a, score("ppl", 12), &a, {});
  EXPECT_TRUE(c.identical_items);
  EXPECT_EQ(*c.p, 1);
}

TEST(Compare, HolmRunsOverThoseWithAP) {
  Comparison a, b, none;
  a.p = 0.01;
  b.p = 0.04;
  adjust_family({&a, &none, &b});
  EXPECT_DOUBLE_EQ(*a.p_adjusted, 0.02);
  EXPECT_DOUBLE_EQ(*b.p_adjusted, 0.04);
  EXPECT_FALSE(none.p_adjusted.has_value());
}

}  // namespace
}  // namespace qbench::reports
