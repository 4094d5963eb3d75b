#include <cmath>

#include "tasks/multiple_choice.h"
#include "tests/unit/tasks/task_test_support.h"

namespace qbench::tasks {
namespace {

constexpr const char* kYaml = R"(
summary: "colours"
data: {file: DATA}
context: "Q: {{q}}\nA:"
choices: ["{{a}}", "{{b}}"]
gold: "{{gold}}"
metrics: [acc, acc_norm]
shots: {rule: sample, same_split: true}
)";

constexpr const char* kRows =
    "{\"q\": \"sky\", \"a\": \"blue\", \"b\": \"red\", \"gold\": 0}\n"
    "{\"q\": \"blood\", \"a\": \"blue\", \"b\": \"red\", \"gold\": 1}\n"
    "{\"q\": \"sea\", \"a\": \"blue\", \"b\": \"red\", \"gold\": 0}\n";

std::string task_file(std::string yaml = kYaml, const std::string& rows = kRows) {
  const std::string data = write_file("rows.jsonl", rows);
  if (const size_t at = yaml.find("DATA"); at != std::string::npos) yaml.replace(at, 4, data);
  return write_file("colours.yaml", yaml);
}

/// Every token costs one nat: short answers win by likelihood, all tie by likelihood per character but for
/// the delimiter.
FormulaScorer per_token() {
  return FormulaScorer([](std::span<const int32_t>, int32_t) { return -1.0; });
}

TEST(MultipleChoice, PrefersTheLikelierAnswer) {
  FormulaScorer scorer = per_token();
  const TaskResult result = run("mc(file=" + task_file() + ")", scorer);
  EXPECT_NEAR(score_named(result, "acc").value, 1.0 / 3, 1e-12);       // "red" is shorter, gold once
  EXPECT_NEAR(score_named(result, "acc_norm").value, 2.0 / 3, 1e-12);  // -5/4 beats -4/3
  EXPECT_EQ(result.items[0].loglikelihoods, (std::vector<double>{-5, -4}));
  EXPECT_EQ(result.items[0].detail.at("chosen"), 1);
  EXPECT_EQ(result.provenance.at("requests").at("count"), 6);
}

TEST(MultipleChoice, FeedsContextDelimiterAndChoice) {
  FormulaScorer scorer = per_token();
  run("mc(file=" + task_file() + ",limit=1)", scorer);
  EXPECT_EQ(ByteTokenizer().decode(scorer.requests.at(0).tokens), "Q: sky\nA: blue");
  EXPECT_EQ(scorer.requests.at(0).scored_from, 9);
}

TEST(MultipleChoice, ShotsLeaveTheQuestionItselfOut) {
  FormulaScorer scorer = per_token();
  run("mc(file=" + task_file() + ",shots=1)", scorer);
  for (size_t i = 0; i < scorer.requests.size(); i += 2) {
    const std::string text = ByteTokenizer().decode(scorer.requests[i].tokens);
    const std::string question = text.substr(text.rfind("Q: "));
    EXPECT_EQ(text.find(question.substr(0, question.find('\n'))), text.rfind("Q: ")) << text;
    EXPECT_THAT(text, HasSubstr("\n\nQ: "));
  }
}

TEST(MultipleChoice, SeveralContextsShareOneContinuation) {
  const std::string rows =
      "{\"sentence\": \"The _ barked.\", \"option1\": \"dog\", \"option2\": \"cat\", \"answer\": \"1\"}\n";
  const std::string yaml =
      "data: {file: DATA}\n"
      "contexts: ['{{sentence|before(\"_\")}}{{option1}}', '{{sentence|before(\"_\")}}{{option2}}']\n"
      "continuation: '{{sentence|after(\"_\")|trim}}'\n"
      "gold: '{{answer|add(-1)}}'\n";
  FormulaScorer scorer(
      [](std::span<const int32_t> before, int32_t) { return before[4] == 'd' ? -1.0 : -2.0; });
  const TaskResult result = run("mc(file=" + task_file(yaml, rows) + ")", scorer);
  EXPECT_EQ(score_named(result, "acc").value, 1);
  EXPECT_EQ(ByteTokenizer().decode(scorer.requests.at(1).tokens), "The cat barked.");
  EXPECT_EQ(scorer.requests.at(1).scored_from, 7);
}

TEST(MultipleChoice, NanIsNoAnswer) {
  FormulaScorer scorer(
      [](std::span<const int32_t> before, int32_t) { return before[3] == 's' ? std::nan("") : -1.0; });
  const TaskResult result = run("mc(file=" + task_file() + ")", scorer);
  EXPECT_EQ(result.provenance.at("diverged"), 2);
  EXPECT_NEAR(score_named(result, "acc").value, 1.0 / 3, 1e-12);  // only "blood" is answered
  EXPECT_TRUE(result.items[0].loglikelihoods.empty());
}

TEST(MultipleChoice, LongContextsAreCutOnTheLeftAndCounted) {
  FormulaScorer scorer = per_token();
  const TaskResult result = run("mc(file=" + task_file() + ",max_length=8)", scorer);
  EXPECT_EQ(result.provenance.at("requests").at("truncated"), 6);
  EXPECT_EQ(scorer.requests.at(0).tokens.size(), 9U);
}

TEST(MultipleChoice, IdentityFollowsRecordsAndTemplate) {
  const std::string before = make_task("mc(file=" + task_file() + ")")->identity();
  EXPECT_EQ(before, make_task("mc(file=" + task_file() + ")")->identity());
  EXPECT_NE(before, make_task("mc(file=" + task_file(kYaml, std::string(kRows) + kRows) + ")")->identity());
  EXPECT_NE(before,
            make_task("mc(file=" + task_file(std::string(kYaml) + "delimiter: \"\"\n") + ")")->identity());
}

struct BadFile {
  const char* yaml;
  const char* message;
};

TEST(MultipleChoice, MistakesInATaskFileAreLocated) {
  const BadFile cases[] = {
      {"data: {file: DATA}\ncontext: a\nchoices: [b]\ngold: '0'\nmetric: [acc]\n",
       "Did you mean \"metrics\"?"},
      {"data: {file: DATA}\ncontext: a\nchoices: [b]\ngold: '0'\nmetrics: [accc]\n", "Did you mean \"acc\"?"},
      {"context: a\nchoices: [b]\ngold: '0'\n", "\"data\" is missing"},
      {"data: {set: piqqa}\ncontext: a\nchoices: [b]\ngold: '0'\n", "Did you mean \"piqa\"?"},
      {"data: {file: DATA}\ncontext: a\ngold: '0'\n", "\"choices\" is missing"},
      {"data: {file: DATA}\ncontext: '{{q|trimm}}'\nchoices: [b]\ngold: '0'\n", ":2: context"},
      {"data: {file: DATA}\ncontext: a\ncontext: b\nchoices: [b]\ngold: '0'\n", "given twice"},
      {"data: [\n", "colours.yaml:"},
      {"just text\n", "expected key: value"},
      {"data: {file: nowhere.jsonl}\ncontext: a\nchoices: [b]\ngold: '0'\n", "no such file"},
  };
  for (const BadFile& bad : cases) {
    const std::string message = message_of([&] { make_task("mc(file=" + task_file(bad.yaml) + ")"); });
    EXPECT_THAT(message, HasSubstr(bad.message)) << bad.yaml;
  }
}

TEST(MultipleChoice, MistakesInRecordsNameTheRecord) {
  FormulaScorer scorer = per_token();
  const auto broken = [&](const std::string& rows) {
    return message_of([&] { run("mc(file=" + task_file(kYaml, rows) + ")", scorer); });
  };
  EXPECT_THAT(broken("{\"q\": \"x\", \"a\": \"b\", \"b\": \"c\", \"gold\": 2}\n"),
              HasSubstr("gold is 2; expected a position in [0, 2)"));
  EXPECT_THAT(broken("{\"q\": \"x\", \"a\": \"b\", \"gold\": 0}\n"), HasSubstr("no field \"b\""));
  EXPECT_THAT(broken("{\"q\": \"x\"\n"), HasSubstr("rows.jsonl:1"));
  EXPECT_THAT(broken(""), HasSubstr("no JSON object"));
}

TEST(ChoiceMetrics, FollowTheirDefinitions) {
  ChoiceDocument document;
  document.choices = {"été", "abcd"};
  document.gold = {0};
  document.labels = {1, 0};
  const std::vector<double> lls = {std::log(0.2), std::log(0.6)};
  const Json metrics = choice_metrics(document, lls, choice_metric_names());
  EXPECT_EQ(metrics.at("acc"), 0.0);
  EXPECT_EQ(metrics.at("acc_norm"), 0.0);  // -1.609/3 < -0.511/4
  EXPECT_NEAR(metrics.at("brier_score").get<double>(), 2 * 0.75 * 0.75, 1e-12);
  EXPECT_NEAR(metrics.at("mc2").get<double>(), 0.25, 1e-12);
}

TEST(ChoiceMetrics, TiesGoToTheFirst) {
  ChoiceDocument document;
  document.choices = {"a", "b"};
  document.gold = {1};
  EXPECT_EQ(choice_metrics(document, std::vector<double>{-1, -1}, std::vector<std::string>{"acc"}).at("acc"),
            0.0);
}

}  // namespace
}  // namespace qbench::tasks
