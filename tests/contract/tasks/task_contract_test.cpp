// What every task must keep: canonical text and identity, repeatable results, stable items, a protocol,
// provenance.
#include <gtest/gtest.h>

#include <set>

#include "harness/core/files.h"
#include "harness/data/data_set.h"
#include "tasks/choice_file.h"
#include "tasks/core/task.h"
#include "tests/support/fake_scorer.h"
#include "tests/support/fake_tokenizer.h"

namespace qbench::tasks {
namespace {

using testing_support::ByteTokenizer;
using testing_support::FormulaScorer;

/// Kinds of tasks on data that is always there.
std::vector<std::string> always_available() {
  std::vector<std::string> texts = {"perplexity(window=128,windows=3)",
                                    "perplexity(protocol=rolling,window=512,limit=2)",
                                    "perplexity(protocol=llamacpp,window=128,windows=3)",
                                    "perplexity(text=de_wiki,window=64,windows=2,bos=none)",
                                    "divergence(window=128,windows=2)",
                                    "divergence(protocol=llamacpp,window=128,windows=2)"};
  for (const char* name : {"snarks", "hyperbaton", "arithmetic/2_digit_addition", "word_unscrambling"}) {
    texts.push_back(std::string("bigbench(name=") + name + ",limit=4)");
    texts.push_back(std::string("bigbench(name=") + name + ",limit=3,shots=2)");
  }
  return texts;
}

/// Likelihoods that differ from token to token but never from run to run.
FormulaScorer uneven() {
  return FormulaScorer(
      [](std::span<const int32_t> before, int32_t next) {
        return -0.5 - static_cast<double>((before.size() * 31 + static_cast<size_t>(next) * 17) % 97) / 20.0;
      },
      258, 8192);
}

class EveryTask : public ::testing::TestWithParam<std::string> {};

TEST_P(EveryTask, CanonicalTextReadsBackToTheSameTask) {
  const auto task = make_task(GetParam());
  const auto again = make_task(task->canonical());
  EXPECT_EQ(again->canonical(), task->canonical());
  EXPECT_EQ(again->identity(), task->identity());
  EXPECT_EQ(again->protocol(), task->protocol());
}

TEST_P(EveryTask, TwoRunsAreIdentical) {
  const auto task = make_task(GetParam());
  FormulaScorer first = uneven(), second = uneven();
  const TaskResult a = task->run(ByteTokenizer(true), first), b = task->run(ByteTokenizer(true), second);
  ASSERT_EQ(a.scores.size(), b.scores.size());
  for (size_t i = 0; i < a.scores.size(); ++i)
    EXPECT_EQ(a.scores[i].value, b.scores[i].value) << a.scores[i].metric;
  EXPECT_EQ(a.provenance, b.provenance);
}

TEST_P(EveryTask, ItemsHaveUniqueIdsAndScoresHaveMetricsOfTheirOwn) {
  FormulaScorer scorer = uneven();
  const TaskResult result = make_task(GetParam())->run(ByteTokenizer(true), scorer);
  EXPECT_EQ(result.task, make_task(GetParam())->canonical());
  EXPECT_FALSE(result.protocol.empty());
  std::set<std::string> items, metrics;
  for (const ItemRecord& item : result.items) EXPECT_TRUE(items.insert(item.item).second) << item.item;
  for (const Score& score : result.scores) EXPECT_TRUE(metrics.insert(score.metric).second) << score.metric;
  EXPECT_FALSE(items.empty());
  EXPECT_FALSE(metrics.empty());
  EXPECT_TRUE(result.provenance.contains("diverged"));
  EXPECT_NO_THROW(result.provenance.dump());
  for (const ItemRecord& item : result.items) EXPECT_NO_THROW(item.detail.dump());
}

TEST_P(EveryTask, CostIsPositiveAndFitsTheRun) {
  const TaskCost cost = make_task(GetParam())->cost();
  EXPECT_GT(cost.tokens, 0);
  EXPECT_GT(cost.scored_tokens, 0);
  EXPECT_GT(cost.longest, 0);
  EXPECT_LE(cost.scored_tokens, cost.tokens);
}

INSTANTIATE_TEST_SUITE_P(Tasks, EveryTask, ::testing::ValuesIn(always_available()));

TEST(TaskFiles, AllAreWellFormedAndSummarised) {
  for (const std::string& name : task_file_names()) {
    const ChoiceFile file = ChoiceFile::load(find_task_file(name).path);
    EXPECT_FALSE(file.summary.empty()) << name;
    EXPECT_FALSE(file.source.empty()) << name;
    EXPECT_NE(data::find_data_set(file.set), nullptr) << name;
    EXPECT_EQ(task_summary(name), file.summary);
  }
}

TEST(DataSets, SayWhereTheyComeFromAndWhatTheirLicenceIs) {
  for (const data::DataSet& set : data::data_sets()) {
    EXPECT_FALSE(set.summary.empty()) << set.name;
    EXPECT_FALSE(set.licence.empty()) << set.name;
    EXPECT_FALSE(set.get.empty()) << set.name;
    EXPECT_NO_THROW(data::find_split(set, "")) << set.name;
  }
}

struct Prompt {
  const char* task;
  const char* record;
  const char* context;  ///< of the first choice
  std::vector<std::string> choices;
  int64_t gold;
};

/// Records made up in the shape of the hub's, prompts written out by hand from the harness's templates.
TEST(TaskFiles, BuildTheHarnessesPrompts) {
  const Prompt prompts[] = {
      {"piqa",
       R"({"goal": "g", "sol1": "s1", "sol2": "s2", "label": 1})",
       "Question: g\nAnswer:",
       {"s1", "s2"},
       1},
      {"arc_easy",
       R"({"question": "q", "choices": {"text": ["x", "y"], "label": ["1", "2"]}, "answerKey": "2"})",
       "Question: q\nAnswer:",
       {"x", "y"},
       1},
      {"hellaswag",
       R"({"activity_label": "Roof", "ctx_a": "A man [x] sits.", "ctx_b": "he LOOKS", "endings": [" a [title] b", "b", "c", "d"], "label": "0"})",
       "Roof: A man sits. He looks",
       {"a. b", "b", "c", "d"},
       0},
      {"winogrande",
       R"({"sentence": "The _ is big.", "option1": "cup", "option2": "jar", "answer": "2"})",
       "The cup",
       {"The cup", "The jar"},
       1},
      {"boolq",
       R"({"passage": "p", "question": "q", "label": 1})",
       "p\nQuestion: q?\nAnswer:",
       {"no", "yes"},
       1},
      {"openbookqa",
       R"({"question_stem": "q", "choices": {"text": ["x", "y"], "label": ["A", "B"]}, "answerKey": " B"})",
       "q",
       {"x", "y"},
       1},
      {"copa",
       R"({"premise": "It fell.", "question": "cause", "choice1": "I pushed.", "choice2": "It Flew.", "label": 0})",
       "It fell because",
       {" i pushed.", " it Flew."},
       0},
      {"rte",
       R"({"sentence1": "a", "sentence2": "b", "label": 1})",
       "a\nQuestion: b True or False?\nAnswer:",
       {"True", "False"},
       1},
      {"social_iqa",
       R"({"context": "c", "question": "q", "answerA": "x", "answerB": "y", "answerC": "z", "label": "3"})",
       "Q: c q\nA:",
       {"x", "y", "z"},
       2},
      {"mmlu",
       R"({"question": " q ", "choices": ["w", "x", "y", "z"], "answer": 3, "subject": "high_school_biology"})",
       "q\nA. w\nB. x\nC. y\nD. z\nAnswer:",
       {"A", "B", "C", "D"},
       3},
      {"blimp", R"({"sentence_good": "g", "sentence_bad": "b"})", "", {"g", "b"}, 0},
  };
  for (const Prompt& prompt : prompts) {
    SCOPED_TRACE(prompt.task);
    const ChoiceFile file = ChoiceFile::load(find_task_file(prompt.task).path);
    const OrderedJson record = OrderedJson::parse(prompt.record);
    const Question question = make_question(file, record, "record");
    EXPECT_EQ(question.contexts.front(), prompt.context);
    EXPECT_EQ(question.choices, prompt.choices);
    EXPECT_EQ(question.gold, std::vector<int64_t>{prompt.gold});
  }
  EXPECT_EQ(ChoiceFile::load(find_task_file("mmlu").path)
                .description.render(OrderedJson::parse(R"({"subject": "high_school_biology"})")),
            "The following are multiple choice questions (with answers) about high school biology.\n\n");
}

}  // namespace
}  // namespace qbench::tasks
