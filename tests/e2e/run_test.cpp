// The whole program on a tiny model: resume, kill, crash, hang, interrupt, any number of threads and workers.
#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

#include "results/store.h"
#include "tests/support/fixtures.h"
#include "tests/support/process.h"

namespace qbench {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using testing_support::children;
using testing_support::eventually;
using testing_support::Process;
using testing_support::ProcessResult;
using testing_support::run_process;
using testing_support::source_dir;
using testing_support::TemporaryFolder;

const char* const kSuite = R"(suite: e2e
models: [MODEL]
calibration:
  - en_wiki(samples=4,length=64,seed=0)
  - random_tokens(samples=4,length=64,seed=0)
methods: [fp, rtn, gptq, awq]
schemes: [w4a16g32, w3a16g16-asym]
tasks:
  - perplexity(text=en_wiki,window=64,windows=8)
  - divergence(text=en_wiki,window=64,windows=4)
)";

class RunCommand : public ::testing::Test {
 protected:
  RunCommand() {
    std::string text = kSuite;
    text.replace(text.find("MODEL"), 5,
                 "\"" + (source_dir() / "tests/golden/eval/tiny_llama").string() + "\"");
    testing_support::spill(folder_ / "suite.yaml", text);
  }

  std::vector<std::string> command(std::vector<std::string> words) const {
    words.insert(words.begin(), QBENCH_PROGRAM);
    return words;
  }
  std::vector<std::pair<std::string, std::string>> environment() const {
    return {{"QBENCH_HOME", (folder_ / "home").string()}};
  }
  ProcessResult qbench(std::vector<std::string> words) const {
    return run_process(command(std::move(words)), folder_.path(), environment());
  }

  /// Every score and artifact hash of a store, to be compared whole.
  nlohmann::json content(const std::string& store_name) const {
    const auto store = results::Store::open_readonly(folder_ / store_name);
    nlohmann::json all;
    for (const std::string& key : store->step_keys()) {
      const auto step = store->step(key);
      auto& entry = all[key];
      entry["artifact"] = step->artifact_hash;
      for (const auto& score : step->scores) entry[score.metric] = score.value;
    }
    return all;
  }

  TemporaryFolder folder_;
};

TEST_F(RunCommand, FinishesAndASecondRunComputesNothing) {
  const auto first = qbench({"run", "suite.yaml", "--store", "a.db"});
  ASSERT_EQ(first.exit_code, 0) << first.out << first.err;
  const auto second = qbench({"run", "suite.yaml", "--store", "a.db"});
  EXPECT_EQ(second.exit_code, 0) << second.err;
  EXPECT_THAT(second.out, HasSubstr("0 to run"));
  // Weights are dropped once nothing needs them.
  const auto artifacts = folder_ / "home/artifacts";
  for (const auto& entry : std::filesystem::directory_iterator(artifacts))
    EXPECT_EQ(entry.path().extension(), ".statistics");
}

TEST_F(RunCommand, ScoresAndHashesDoNotDependOnWorkersOrThreads) {
  ASSERT_EQ(qbench({"run", "suite.yaml", "--store", "a.db", "--jobs", "1", "--threads", "1"}).exit_code, 0);
  for (const auto& [jobs, threads] : {std::pair("1", "2"), std::pair("2", "1"), std::pair("2", "2")}) {
    const std::string name = std::string("b") + jobs + threads + ".db";
    ASSERT_EQ(qbench({"run", "suite.yaml", "--store", name, "--jobs", jobs, "--threads", threads}).exit_code,
              0);
    EXPECT_EQ(content(name), content("a.db")) << jobs << " workers, " << threads << " threads";
    const auto diff = qbench({"diff", "a.db", name});
    EXPECT_EQ(diff.exit_code, 0) << diff.out;
  }
}

TEST_F(RunCommand, KillAtAnyMomentLosesOnlyTheStepInFlight) {
  ASSERT_EQ(qbench({"run", "suite.yaml", "--store", "whole.db", "--jobs", "1"}).exit_code, 0);
  const auto expected = content("whole.db");
  size_t stored = 0;
  for (int attempt = 0; attempt < 60; ++attempt) {
    Process run(command({"run", "suite.yaml", "--store", "killed.db", "--jobs", "1", "--log-json"}),
                folder_.path(), environment());
    const bool moved =
        eventually(60, [&] { return !run.running() || run.out().find("step_done") != std::string::npos; });
    ASSERT_TRUE(moved);
    run.signal(SIGKILL);
    const auto result = run.wait();
    const auto now = content("killed.db").size();
    EXPECT_GT(now + (result.exit_code == 0 ? 1 : 0), stored) << "a finished step was lost";
    stored = now;
    if (result.exit_code == 0 || stored == expected.size()) break;
  }
  ASSERT_EQ(qbench({"run", "suite.yaml", "--store", "killed.db"}).exit_code, 0);
  EXPECT_EQ(content("killed.db"), expected);
}

TEST_F(RunCommand, ACrashedWorkerCostsItsStepAndTheOthersGoOn) {
  Process run(command({"run", "suite.yaml", "--store", "a.db", "--jobs", "1", "--log-json"}), folder_.path(),
              environment());
  ASSERT_TRUE(eventually(
      60, [&] { return run.out().find("step_done") != std::string::npos && !children(run.pid()).empty(); }));
  for (const pid_t worker : children(run.pid())) ::kill(worker, SIGSEGV);
  const auto result = run.wait();
  EXPECT_EQ(result.exit_code, 1) << result.out;
  EXPECT_THAT(result.out, HasSubstr("killed by SIGSEGV"));
  const auto failures = results::Store::open_readonly(folder_ / "a.db")->failures();
  ASSERT_EQ(failures.size(), 1U);
  EXPECT_EQ(failures.front().signal, "SIGSEGV");
  const auto again = qbench({"run", "suite.yaml", "--store", "a.db"});
  EXPECT_EQ(again.exit_code, 0) << again.out;
  EXPECT_TRUE(results::Store::open_readonly(folder_ / "a.db")->failures().empty())
      << "a later success supersedes the failure";
}

TEST_F(RunCommand, AHangingWorkerIsEndedAfterTheTimeout) {
  Process run(command({"run", "suite.yaml", "--store", "a.db", "--jobs", "1", "--log-json", "--set",
                       "limits.timeout=8s"}),
              folder_.path(), environment());
  ASSERT_TRUE(eventually(
      60, [&] { return run.out().find("step_done") != std::string::npos && !children(run.pid()).empty(); }));
  for (const pid_t worker : children(run.pid())) ::kill(worker, SIGSTOP);
  const auto result = run.wait();
  EXPECT_EQ(result.exit_code, 1) << result.out;
  EXPECT_THAT(result.out, HasSubstr("limits.timeout"));
  EXPECT_EQ(results::Store::open_readonly(folder_ / "a.db")->failures().front().kind, "timeout");
}

TEST_F(RunCommand, InterruptStopsCleanlyAndTheNextRunGoesOn) {
  Process run(command({"run", "suite.yaml", "--store", "a.db", "--jobs", "1", "--log-json"}), folder_.path(),
              environment());
  ASSERT_TRUE(eventually(60, [&] { return run.out().find("step_done") != std::string::npos; }));
  run.signal(SIGINT);
  const auto result = run.wait();
  EXPECT_EQ(result.exit_code, 130) << result.out;
  EXPECT_THAT(result.out, HasSubstr("\"interrupted\":true"));
  const auto again = qbench({"run", "suite.yaml", "--store", "a.db"});
  EXPECT_EQ(again.exit_code, 0) << again.out;
  EXPECT_THAT(again.out, Not(HasSubstr(" 0 cached")));
}

TEST_F(RunCommand, TheMemoryBudgetRefusesWhatCannotFit) {
  const auto result = qbench({"run", "suite.yaml", "--store", "a.db", "--memory", "10MiB"});
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_THAT(result.out, HasSubstr("Raise --memory"));
}

TEST_F(RunCommand, PlanCountsSharedAndCachedStepsWithoutRunning) {
  const auto plan = qbench({"plan", "suite.yaml", "--store", "a.db", "--json"});
  ASSERT_EQ(plan.exit_code, 0) << plan.err;
  const auto document = nlohmann::json::parse(plan.out);
  EXPECT_EQ(document["schema_version"], 1);
  // fp, rtn x 2 schemes (one whatever the calibration sets), gptq and awq x 2 schemes x 2 sets.
  EXPECT_EQ(document["cells"].size(), 11U);
  EXPECT_FALSE(std::filesystem::exists(folder_ / "a.db"));
  ASSERT_EQ(qbench({"run", "suite.yaml", "--store", "a.db", "--only", "*/rtn/*"}).exit_code, 0);
  const auto later = nlohmann::json::parse(qbench({"plan", "suite.yaml", "--store", "a.db", "--json"}).out);
  size_t cached = 0;
  for (const auto& step : later["steps"]) cached += step["cached"].get<bool>() ? 1 : 0;
  EXPECT_EQ(cached, 6U);  // two quantizations, four evaluations
}

}  // namespace
}  // namespace qbench
