// Evaluation against lm-eval, transformers and llama.cpp: the cases that hold no outside text, and those of
// $QBENCH_GOLDEN.
#include "tests/support/eval_cases/cases.h"
#include "tests/support/fixtures.h"

namespace qbench::eval_cases {
namespace {

template <class Check>
int over_roots(Check&& check) {
  int checked = 0;
  for (const fs::path& root : testing_support::golden_roots("eval")) checked += check(root);
  return checked;
}

TEST(GoldenEval, PairsAreTokenisedAndScoredLikeLmEval) {
  EXPECT_GT(over_roots([](const fs::path& root) { return check_pairs(root); }), 0);
}

TEST(GoldenEval, MeansBootstrapsAndGroupsAggregateLikeLmEval) {
  EXPECT_GT(over_roots([](const fs::path& root) { return check_aggregation(root); }), 0);
}

TEST(GoldenEval, WindowPerplexityOfTinyModelsEqualsTransformers) {
  over_roots([](const fs::path& root) { return check_window_perplexity(root, false); });
}

TEST(GoldenEval, TasksOfTinyModelsEqualLmEval) {
  over_roots([](const fs::path& root) { return check_lmeval_tasks(root, false); });
}

TEST(GoldenEval, HalfWindowPerplexityOfTinyModelsEqualsLlamaCpp) {
  over_roots([](const fs::path& root) { return check_llamacpp_perplexity(root, false); });
}

TEST(GoldenEval, WeightOnlyDivergenceOfTinyModelsEqualsLlamaCpp) {
  over_roots([](const fs::path& root) { return check_llamacpp_divergence(root); });
}

}  // namespace
}  // namespace qbench::eval_cases
