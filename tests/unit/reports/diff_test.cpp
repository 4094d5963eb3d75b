#include "reports/diff.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "harness/core/errors.h"
#include "reports/report.h"
#include "tests/unit/reports/sample_store.h"
#include "tests/unit/results/store_samples.h"

namespace qbench::reports {
namespace {

using results::Store;
using results::samples::TemporaryFolder;
using ::testing::AllOf;
using ::testing::Contains;
using ::testing::Field;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

TEST(DiffTarget, IsAFileARunOrACell) {
  EXPECT_EQ(parse_diff_target("a/s.sqlite").store, "a/s.sqlite");
  EXPECT_EQ(parse_diff_target("s.sqlite#run=12").run, 12);
  EXPECT_EQ(parse_diff_target("s.sqlite#run=12").store, "s.sqlite");
  EXPECT_EQ(parse_diff_target("s.sqlite#cell=ab12").cell_prefix, "ab12");
}

TEST(DiffTarget, UnknownSelectorsSayWhatIsExpected) {
  for (const char* text : {"s#", "s#run=", "s#run=x", "s#run=-1", "s#run=3x", "s#cell=", "s#row=2",
                           "s#run=99999999999999999999"}) {
    try {
      parse_diff_target(text);
      ADD_FAILURE() << text;
    } catch (const ConfigError& error) {
      EXPECT_THAT(error.what(), HasSubstr("expected nothing, #run=N or #cell=PREFIX"));
    }
  }
}

class DiffTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder_ = new TemporaryFolder;
    testing_support::SampleOptions options;
    options.failures = false;
    testing_support::write_sample_store(*folder_ / "a.sqlite", options);
    testing_support::write_sample_store(*folder_ / "same.sqlite", options);
    options.drift = 0.01;
    testing_support::write_sample_store(*folder_ / "drifted.sqlite", options);
    options.drift = 0;
    options.failures = true;
    testing_support::write_sample_store(*folder_ / "failing.sqlite", options);
  }
  static void TearDownTestSuite() { delete folder_; }
  static std::string file(const char* name) { return (*folder_ / name).string(); }
  static TemporaryFolder* folder_;
};

TemporaryFolder* DiffTest::folder_ = nullptr;

TEST_F(DiffTest, AStoreEqualsItselfAndItsRepetition) {
  for (const char* other : {"a.sqlite", "same.sqlite"}) {
    const DiffResult diff = diff_targets(file("a.sqlite"), file(other));
    EXPECT_TRUE(diff.same());
    EXPECT_THAT(diff.configuration, IsEmpty());
    EXPECT_GT(diff.scores.size(), 100u);
    EXPECT_THAT(render_diff(diff, "terminal"), HasSubstr("The same: "));
  }
}

TEST_F(DiffTest, ADriftIsFoundWithItsSignificance) {
  const DiffResult diff = diff_targets(file("a.sqlite"), file("drifted.sqlite"));
  EXPECT_FALSE(diff.same());
  EXPECT_EQ(diff.changed_scores(), 27);  // every quantized perplexity, nothing else
  EXPECT_THAT(diff.one_sided, IsEmpty());
  EXPECT_FALSE(diff.artifacts.empty());
  for (const auto& score : diff.scores) {
    if (score.identical) continue;
    EXPECT_EQ(score.column.metric, "ppl");
    EXPECT_LT(*score.comparison.p_adjusted, 0.001);
    EXPECT_GT(score.comparison.interval->low, 0);
  }
}

TEST_F(DiffTest, SwappingTheSidesTurnsTheDeltas) {
  const DiffResult ab = diff_targets(file("a.sqlite"), file("drifted.sqlite")),
                   ba = diff_targets(file("drifted.sqlite"), file("a.sqlite"));
  ASSERT_EQ(ab.scores.size(), ba.scores.size());
  for (size_t i = 0; i < ab.scores.size(); ++i)
    EXPECT_DOUBLE_EQ(ab.scores[i].comparison.delta, -ba.scores[i].comparison.delta);
}

TEST_F(DiffTest, WhatIsMissingOnOneSideIsListedWithItsReason) {
  const DiffResult diff = diff_targets(file("a.sqlite"), file("failing.sqlite"));
  EXPECT_FALSE(diff.same());
  EXPECT_EQ(diff.changed_scores(), 0);
  EXPECT_EQ(diff.one_sided.size(), 7u);  // five scores of the failed quantization, two of the killed task
  EXPECT_THAT(diff.one_sided,
              Contains(AllOf(Field(&OneSided::cell, "rtn w3a16g64"), Field(&OneSided::reason, "failed"),
                             Field(&OneSided::in_a, true))));
}

TEST_F(DiffTest, RunsOfOneStoreCanBeCompared) {
  const DiffResult diff = diff_targets(file("a.sqlite") + "#run=1", file("a.sqlite") + "#run=2");
  EXPECT_FALSE(diff.same());
  EXPECT_EQ(diff.changed_scores(), 0);
  EXPECT_THAT(diff.configuration, Contains(Field(&ConfigDifference::what, "suite hash")));
  EXPECT_THAT(diff.one_sided, Contains(Field(&OneSided::in_a, false)));
}

TEST_F(DiffTest, TwoCellsAreComparedWhateverTheyAre) {
  const auto store = Store::open_readonly(*folder_ / "a.sqlite");
  std::string fp, rtn;
  for (const auto& cell : store->cells()) {
    if (cell.recipe == "fp") fp = cell.key;
    if (cell.recipe == "rtn" && cell.scheme == "w3a16g64") rtn = cell.key;
  }
  const DiffResult diff =
      diff_targets(file("a.sqlite") + "#cell=" + fp.substr(0, 12), file("a.sqlite") + "#cell=" + rtn);
  EXPECT_EQ(diff.common_cells, 1);
  EXPECT_THAT(diff.configuration,
              Contains(AllOf(Field(&ConfigDifference::what, "recipe"), Field(&ConfigDifference::a, "fp"),
                             Field(&ConfigDifference::b, "rtn"))));
  ASSERT_EQ(diff.scores.size(), 5u);
  EXPECT_FALSE(diff.scores[1].comparison.flips.empty());
  EXPECT_EQ(diff.scores[1].comparison.flips.size(),
            static_cast<size_t>(diff.scores[1].comparison.n10 + diff.scores[1].comparison.n01));
  EXPECT_THAT(render_diff(diff, "md"), HasSubstr("right → wrong"));
}

TEST_F(DiffTest, WhatIsNotThereIsAConfigError) {
  EXPECT_THROW(diff_targets(file("a.sqlite") + "#run=9", file("a.sqlite")), ConfigError);
  EXPECT_THROW(diff_targets(file("a.sqlite"), file("a.sqlite") + "#cell=zzz"), ConfigError);
  EXPECT_THROW(diff_targets(file("a.sqlite"), file("none.sqlite")), StoreError);
  EXPECT_THROW(render_diff({}, "pdf"), ConfigError);
}

TEST(Diff, SaysWhatDiffersInTheMakingBeforeAnyScore) {
  TemporaryFolder folder;
  for (const bool second : {false, true}) {
    const auto store = Store::open(folder / (second ? "b.sqlite" : "a.sqlite"));
    auto run = results::samples::run();
    run.environment["cpu"] = second ? "other" : "any";
    const int64_t id = store->begin_run(run);
    auto cell = results::samples::cell("c");
    cell.model_hash = second ? "m2" : "m1";
    store->put_cells(id, {cell}, {{"c", "s", "mc"}});
    auto step = results::samples::step("s");
    step.inputs["limit"] = second ? 5 : 3;
    step.scores.pop_back();
    if (second) step.scores[0].protocol = "mc/other";
    store->commit_step(id, step);
  }
  const DiffResult diff = diff_targets((folder / "a.sqlite").string(), (folder / "b.sqlite").string());
  std::vector<std::string> what;
  for (const auto& line : diff.configuration) what.push_back(line.what);
  EXPECT_THAT(what,
              ::testing::UnorderedElementsAre("environment cpu", "model hash of tiny", "protocol of mc"));
  EXPECT_EQ(diff.one_sided.size(), 2u);  // unlike protocols are unlike scores
  const std::string text = render_diff(diff, "terminal");
  EXPECT_LT(text.find("What differs in how they were made"), text.find("Only on one side"));
}

TEST(Diff, InputsOfStepsAreCompared) {
  TemporaryFolder folder;
  for (const bool second : {false, true}) {
    const auto store = Store::open(folder / (second ? "b.sqlite" : "a.sqlite"));
    const int64_t id = store->begin_run(results::samples::run());
    store->put_cells(id, {results::samples::cell("c")}, {{"c", "s", "mc"}});
    auto step = results::samples::step("s");
    step.inputs["limit"] = second ? 5 : 3;
    store->commit_step(id, step);
  }
  const DiffResult diff = diff_targets((folder / "a.sqlite").string(), (folder / "b.sqlite").string());
  ASSERT_EQ(diff.configuration.size(), 1u);
  EXPECT_EQ(diff.configuration[0].what, "limit of mc");
  EXPECT_TRUE(diff.same());
}

}  // namespace
}  // namespace qbench::reports
