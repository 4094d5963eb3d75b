#include "tasks/bigbench/bigbench.h"

#include <cmath>

#include "tasks/bigbench/prompt.h"
#include "tests/unit/tasks/task_test_support.h"

namespace qbench::tasks {
namespace {

BigBenchExample example(const std::string& input, std::vector<std::string> choices,
                        std::vector<double> scores) {
  return {0, input, std::move(choices), std::move(scores), {}};
}

TEST(BigBenchPrompt, TwoChoicesStandInReverseAlphabeticalOrder) {
  EXPECT_EQ(format_bigbench_input({}, example("ok?", {"no", "yes"}, {0, 1})),
            "\nQ: ok?\n  choice: yes\n  choice: no\nA: ");
}

TEST(BigBenchPrompt, AnExampleWithoutABestChoiceIsNoShot) {
  EXPECT_THROW(bigbench_targets(example("x", {"a", "b"}, {0, 0})), DataError);
  EXPECT_EQ(bigbench_targets(example("x", {"a", "b"}, {0, 1})), std::vector<std::string>{"b"});
}

TEST(BigBenchFormat, AStringThatSaysFalseIsTrue) {
  EXPECT_TRUE(
      bigbench_format(OrderedJson::parse(R"({"append_choices_to_input": "false"})"), "x").append_choices);
  EXPECT_FALSE(
      bigbench_format(OrderedJson::parse(R"({"append_choices_to_input": false})"), "x").append_choices);
}

TEST(BigBenchFormat, TheDefaultRegexYieldsToAStopString) {
  EXPECT_NE(bigbench_format(OrderedJson::object(), "x").output_regex, "");
  EXPECT_EQ(bigbench_format(OrderedJson::parse(R"({"stop_string": "\n"})"), "x").output_regex, "");
}

TEST(BigBench, EveryShippedTaskScoresAUniformModel) {
  for (const std::string& name : bigbench_names()) {
    SCOPED_TRACE(name);
    FormulaScorer scorer = FormulaScorer::uniform();
    const TaskResult result = run("bigbench(name=" + name + ",limit=3)", scorer);
    EXPECT_EQ(result.items.size(), 3U);
    EXPECT_FALSE(result.scores.empty());
    for (const Score& score : result.scores) EXPECT_TRUE(std::isfinite(score.value)) << score.metric;
  }
}

TEST(BigBench, ShippedTasksAreAtLeastTwelveAndKnownByName) {
  EXPECT_GE(bigbench_names().size(), 12U);
  EXPECT_EQ(make_task("sports_understanding(limit=5)")->canonical(),
            "bigbench(name=sports_understanding,limit=5)");
}

TEST(BigBench, AFamilyNameStandsForItsTasks) {
  FormulaScorer scorer = FormulaScorer::uniform();
  const TaskResult result = run("bigbench(name=arithmetic,limit=2)", scorer);
  EXPECT_EQ(result.items.size(), 2U);
}

TEST(BigBench, UnknownTasksOfferTheNearestAndTheWayToAll) {
  const std::string message = message_of([] { make_task("bigbench(name=sport_understanding)"); });
  EXPECT_THAT(message, HasSubstr("Did you mean \"sports_understanding\"?"));
  EXPECT_THAT(message, HasSubstr("qbench data add bigbench"));
  EXPECT_THROW(make_task("bigbench"), ConfigError);
}

TEST(BigBench, ReadsATaskFileOfThePackage) {
  const std::string file = write_file(
      "task.json",
      R"({"name": "t", "metrics": ["multiple_choice_grade"], "examples": [{"input": "a", "target_scores": {"x": 1, "yy": 0}},
          {"input": "b", "target_scores": {"x": 0, "yy": 1}}, {"input": "a", "target_scores": {"x": 1, "yy": 0}}]})");
  FormulaScorer scorer([](std::span<const int32_t>, int32_t) { return -1.0; });
  const TaskResult result = run("bigbench(file=" + file + ")", scorer);
  EXPECT_EQ(result.items.size(), 2U);  // the third is a duplicate
  EXPECT_NEAR(score_named(result, "multiple_choice_grade").value, 0.5, 1e-12);
  EXPECT_NEAR(score_named(result, "normalized_aggregate_score").value, 0, 1e-9);
}

TEST(BigBench, BrokenTaskFilesAreLocated) {
  const auto broken = [](const std::string& content) {
    return message_of([&] { make_task("bigbench(file=" + write_file("broken.json", content) + ")"); });
  };
  EXPECT_THAT(broken("{\"metrics\": [\"multiple_choice_grade\"]}"), HasSubstr("no list \"examples\""));
  EXPECT_THAT(broken("{\"examples\": []}"), HasSubstr("metrics"));
  EXPECT_THAT(broken("{\"metrics\": [\"m\"], \"examples\": [{\"input\": \"x\"}]}"),
              HasSubstr("neither target_scores nor target"));
  EXPECT_THAT(broken("{\"metrics\": [\"m\"], \"examples\": [{\"input\": 3}]}"), HasSubstr("broken.json:1"));
  EXPECT_THAT(message_of([] { make_task("bigbench(file=" + write_file("lonely.jsonl", "{}\n") + ")"); }),
              HasSubstr("header"));
}

}  // namespace
}  // namespace qbench::tasks
