#include "tasks/divergence.h"

#include <cmath>

#include "tests/unit/tasks/task_test_support.h"

namespace qbench::tasks {
namespace {

using engine::DivergenceToken;

TEST(Divergence, OfAModelFromItselfIsExactlyZero) {
  FormulaScorer scorer([](std::span<const int32_t>, int32_t next) { return -0.5 - 0.01 * next; });
  const TaskResult result = run("divergence(window=64,windows=4)", scorer);
  EXPECT_EQ(score_named(result, "kl_mean").value, 0);
  EXPECT_EQ(score_named(result, "kl_p99").value, 0);
  EXPECT_EQ(score_named(result, "top1_agreement").value, 1);
  EXPECT_EQ(score_named(result, "ppl_ratio").value, 1);
  EXPECT_NEAR(*score_named(result, "ppl_ratio").stderr_, 0, 1e-9);
  EXPECT_EQ(result.items.size(), 4U);
  EXPECT_EQ(result.items[0].tokens, 63);
}

TEST(Divergence, AsksForTheBaselineOfExactlyItsWindows) {
  FormulaScorer scorer = FormulaScorer::uniform();
  const auto task = make_task("divergence(window=64,windows=3)");
  const auto requests = task->baseline_requests(ByteTokenizer());
  task->run(ByteTokenizer(), scorer);
  ASSERT_EQ(requests.size(), scorer.requests.size());
  for (size_t i = 0; i < requests.size(); ++i) EXPECT_EQ(requests[i].tokens, scorer.requests[i].tokens);
}

TEST(Divergence, WithoutABaselineSaysSo) {
  FormulaScorer scorer = FormulaScorer::uniform();
  scorer.baseline = false;
  EXPECT_THAT(message_of([&] { run("divergence(window=64,windows=1)", scorer); }), HasSubstr("no baseline"));
}

TEST(DivergenceStatistics, PairsTheErrors) {
  // q is always half a nat worse: the ratio is certain although both perplexities are not.
  std::vector<DivergenceToken> tokens;
  for (int i = 0; i < 100; ++i)
    tokens.push_back({1.0F + 0.25F * static_cast<float>(i % 4) + 0.5F,
                      1.0F + 0.25F * static_cast<float>(i % 4), 0.1F, 0, true});
  const DivergenceStatistics s = divergence_statistics(tokens);
  EXPECT_NEAR(s.ln_ratio.value, 0.5, 1e-7);
  EXPECT_NEAR(s.ln_ratio.error, 0, 1e-7);
  EXPECT_GT(s.ppl.error, 0.05);
  EXPECT_NEAR(s.correlation, 1, 1e-9);
  EXPECT_NEAR(s.kl.value, 0.1, 1e-7);
}

TEST(DivergenceStatistics, SwappingTheRolesNegatesDifferences) {
  std::vector<DivergenceToken> there, back;
  for (int i = 0; i < 50; ++i) {
    const float q = 1.0F + 0.03F * static_cast<float>(i), b = 2.0F - 0.01F * static_cast<float>(i);
    there.push_back({q, b, 0, std::exp(-q) - std::exp(-b), i % 2 == 0});
    back.push_back({b, q, 0, std::exp(-b) - std::exp(-q), i % 2 == 0});
  }
  const auto a = divergence_statistics(there), b = divergence_statistics(back);
  EXPECT_NEAR(a.ln_ratio.value, -b.ln_ratio.value, 1e-9);
  EXPECT_NEAR(a.delta_p.value, -b.delta_p.value, 1e-9);
  EXPECT_NEAR(a.rms_delta_p.value, b.rms_delta_p.value, 1e-9);
  EXPECT_NEAR(a.same_top.value, 0.5, 1e-12);
}

TEST(FloatQuantile, InterpolatesBetweenNeighbours) {
  const std::vector<float> sorted = {0, 1, 2, 3, 4};
  EXPECT_DOUBLE_EQ(float_quantile(sorted, 0.5), 2);
  EXPECT_DOUBLE_EQ(float_quantile(sorted, 0.125), 0.5);
  EXPECT_DOUBLE_EQ(float_quantile(sorted, 1.0), 4);
}

}  // namespace
}  // namespace qbench::tasks
