#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <set>

#include "tests/unit/tasks/task_test_support.h"

namespace qbench::tasks {
namespace {

using ::testing::Contains;

TEST(Registry, NamesAreUniqueAndEachKindDescribesItself) {
  const auto names = task_names();
  EXPECT_EQ(std::set<std::string>(names.begin(), names.end()).size(), names.size());
  for (const TaskInfo& kind : task_registry()) {
    EXPECT_FALSE(kind.summary.empty()) << kind.name;
    EXPECT_FALSE(kind.source.empty()) << kind.name;
    EXPECT_FALSE(kind.fields.empty()) << kind.name;
  }
  for (const char* name : {"perplexity", "hellaswag", "blimp", "winogrande", "sports_understanding"})
    EXPECT_THAT(names, Contains(name));
}

TEST(Registry, OffersTheNearestName) {
  EXPECT_THAT(message_of([] { make_task("perplexety"); }), HasSubstr("Did you mean \"perplexity\"?"));
  EXPECT_THAT(message_of([] { make_task("perplexity(windw=3)"); }), HasSubstr("Did you mean \"window\"?"));
  EXPECT_THROW(make_task("perplexity(window=four)"), ConfigError);
  EXPECT_THROW(make_task("perplexity("), ConfigError);
}

TEST(Registry, CanonicalTextDropsDefaultsAndReadsBack) {
  for (const char* text : {"perplexity(windows=6,window=2048,protocol=gptq)",
                           "divergence(window=512,windows=3)", "bigbench(name=snarks,limit=9,shots=0)"}) {
    const std::string canonical = make_task(text)->canonical();
    EXPECT_EQ(make_task(canonical)->canonical(), canonical);
    EXPECT_EQ(make_task(canonical)->identity(), make_task(text)->identity());
  }
  EXPECT_EQ(make_task("perplexity(windows=6,window=2048,protocol=gptq)")->canonical(),
            "perplexity(windows=6)");
}

TEST(Registry, AShippedTaskFileWithoutItsDataSaysHowToGetIt) {
  ::setenv("QBENCH_DATA", "/nonexistent", 1);
  for (const char* name : {"hellaswag", "piqa", "arc_easy", "winogrande", "blimp_passive_1", "lambada",
                           "boolq", "copa", "rte", "mmlu"}) {
    const std::string message = message_of([&] { make_task(name); });
    EXPECT_TRUE(message.empty() || message.find("Get it") != std::string::npos) << name << ": " << message;
  }
  ::unsetenv("QBENCH_DATA");
}

TEST(Registry, TaskFilesReadTheUsersCopy) {
  namespace fs = std::filesystem;
  const fs::path folder = fs::path(::testing::TempDir()) / ("qbench_user_data" + std::to_string(::getpid()));
  fs::create_directories(folder / "hellaswag");
  fs::create_directories(folder / "blimp");
  std::ofstream(folder / "hellaswag" / "validation.jsonl")
      << R"({"activity_label": "Roof", "ctx_a": "A man sits.", "ctx_b": "he", "endings": ["falls [x] off.", "sings [title] loud."], "label": "1"})";
  std::ofstream(folder / "blimp" / "passive_1.jsonl")
      << R"({"sentence_good": "It was seen.", "sentence_bad": "It was slept."})";
  ::setenv("QBENCH_DATA", folder.c_str(), 1);
  FormulaScorer scorer([](std::span<const int32_t>, int32_t) { return -1.0; });
  const TaskResult blimp = run("blimp_passive_1", scorer);
  EXPECT_EQ(ByteTokenizer().decode(scorer.requests.at(0).tokens), "<s> It was seen.");
  EXPECT_EQ(score_named(blimp, "acc").value, 1);
  const std::string message = message_of([&] { run("hellaswag", scorer); });
  EXPECT_THAT(message, HasSubstr("endings.2"));  // the real set has four
  ::unsetenv("QBENCH_DATA");
}

TEST(Registry, CostGrowsWithTheWork) {
  EXPECT_EQ(make_task("perplexity(window=128,windows=4)")->cost().tokens, 512);
  EXPECT_EQ(make_task("perplexity(window=128,windows=4)")->cost().longest, 128);
  EXPECT_LT(make_task("snarks(limit=5)")->cost().tokens, make_task("snarks(limit=50)")->cost().tokens);
}

}  // namespace
}  // namespace qbench::tasks
