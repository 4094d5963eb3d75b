// BIG-bench tasks against the official code: the cases of shippable tasks and texts, and those of
// $QBENCH_GOLDEN.
#include "tests/support/eval_cases/cases.h"
#include "tests/support/fixtures.h"

namespace qbench::eval_cases {
namespace {

template <class Check>
int over_roots(Check&& check) {
  int checked = 0;
  for (const fs::path& root : testing_support::golden_roots("eval_bigbench")) checked += check(root);
  return checked;
}

TEST(GoldenBigBench, PromptsAreTheOfficialOnes) { EXPECT_GT(over_roots(check_bigbench_prompts), 0); }

TEST(GoldenBigBench, ExamplesAndShotsAreDrawnLikeNumpy) { EXPECT_GT(over_roots(check_bigbench_sampling), 0); }

TEST(GoldenBigBench, MetricsEqualTheOfficialOnes) { EXPECT_GT(over_roots(check_bigbench_metrics), 0); }

TEST(GoldenBigBench, OutputsAreCutLikeTheOfficialOnes) {
  EXPECT_GT(over_roots(check_bigbench_postprocessing), 0);
}

TEST(GoldenBigBench, SubtasksAggregateLikeTheOfficialOnes) {
  EXPECT_GT(over_roots(check_bigbench_aggregation), 0);
}

TEST(GoldenBigBench, TasksOfTinyModelsScoreLikeTheOfficialCode) {
  EXPECT_GT(over_roots([](const fs::path& root) { return check_bigbench_tasks(root, false); }), 0);
}

TEST(GoldenBigBench, WindowPerplexityOfTinyModelsEqualsTransformers) {
  EXPECT_GT(over_roots([](const fs::path& root) { return check_window_perplexity(root, false); }), 0);
}

}  // namespace
}  // namespace qbench::eval_cases
