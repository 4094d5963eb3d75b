// The same on SmolLM2-135M-Instruct, where the model has been set up.
#include "tests/support/eval_cases/cases.h"
#include "tests/support/fixtures.h"

namespace qbench::eval_cases {
namespace {

class SmolLm2 : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!testing_support::shared_dir()) GTEST_SKIP() << "shared/ is not beside the project";
    if (!testing_support::smollm2_gguf()) GTEST_SKIP() << "smollm2-135m is not set up; run ./quickstart";
  }
  static fs::path golden(const char* area) { return *testing_support::shared_dir() / "golden" / area; }
};

TEST_F(SmolLm2, WindowPerplexityEqualsTransformers) {
  EXPECT_GT(check_window_perplexity(golden("eval"), true), 0);
  EXPECT_GT(check_window_perplexity(golden("eval_bigbench"), true), 0);
}

TEST_F(SmolLm2, TasksEqualLmEval) { EXPECT_GT(check_lmeval_tasks(golden("eval"), true), 0); }

TEST_F(SmolLm2, HalfWindowPerplexityEqualsLlamaCpp) {
  EXPECT_GT(check_llamacpp_perplexity(golden("eval"), true), 0);
}

TEST_F(SmolLm2, BigBenchTasksEqualTheOfficialCode) {
  EXPECT_GT(check_bigbench_tasks(golden("eval_bigbench"), true), 0);
}

}  // namespace
}  // namespace qbench::eval_cases
