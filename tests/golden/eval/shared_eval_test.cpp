// The cases whose texts cannot be shipped, on the tiny models.
#include "tests/support/eval_cases/cases.h"
#include "tests/support/fixtures.h"

namespace qbench::eval_cases {
namespace {

TEST(SharedEval, WindowPerplexityEqualsTransformers) {
  QB_REQUIRE_SHARED();
  EXPECT_GT(check_window_perplexity(shared / "golden" / "eval", false), 0);
  EXPECT_GT(check_window_perplexity(shared / "golden" / "eval_bigbench", false), 0);
}

TEST(SharedEval, TasksEqualLmEval) {
  QB_REQUIRE_SHARED();
  EXPECT_GT(check_lmeval_tasks(shared / "golden" / "eval", false), 0);
}

TEST(SharedEval, HalfWindowPerplexityEqualsLlamaCpp) {
  QB_REQUIRE_SHARED();
  EXPECT_GT(check_llamacpp_perplexity(shared / "golden" / "eval", false), 0);
}

TEST(SharedEval, WeightOnlyDivergenceEqualsLlamaCpp) {
  QB_REQUIRE_SHARED();
  EXPECT_GT(check_llamacpp_divergence(shared / "golden" / "eval"), 0);
}

TEST(SharedEval, BigBenchTasksAndPromptsEqualTheOfficialCode) {
  QB_REQUIRE_SHARED();
  EXPECT_GT(check_bigbench_prompts(shared / "golden" / "eval_bigbench"), 0);
  EXPECT_GT(check_bigbench_tasks(shared / "golden" / "eval_bigbench", false), 0);
}

}  // namespace
}  // namespace qbench::eval_cases
