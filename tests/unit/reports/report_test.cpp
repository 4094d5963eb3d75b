#include "reports/view/report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "reports/view/tables.h"
#include "tests/unit/reports/sample_store.h"
#include "tests/unit/results/store_samples.h"

namespace qbench::reports {
namespace {

using results::samples::TemporaryFolder;
using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

class SampleReport : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder_ = new TemporaryFolder;
    testing_support::write_sample_store(*folder_ / "s.sqlite");
    store_ = results::Store::open_readonly(*folder_ / "s.sqlite").release();
    report_ = new Report(build_report(*store_, {}));
  }
  static void TearDownTestSuite() {
    delete report_;
    delete store_;
    delete folder_;
  }
  static const Row* find(const std::string& name) {
    for (const Row& row : report_->rows) {
      if (row.name() == name) return &row;
    }
    return nullptr;
  }
  static TemporaryFolder* folder_;
  static results::Store* store_;
  static Report* report_;
};

TemporaryFolder* SampleReport::folder_ = nullptr;
results::Store* SampleReport::store_ = nullptr;
Report* SampleReport::report_ = nullptr;

TEST_F(SampleReport, ARecipeThatNeedsNoCalibrationIsOneRow) {
  const Row* rtn = find("rtn w4a16g64");
  ASSERT_NE(rtn, nullptr);
  EXPECT_EQ(rtn->cells, 3u);
  EXPECT_EQ(rtn->calibration_title, "any");
  EXPECT_NE(find("awq w4a16g64 en_wiki"), nullptr);
  EXPECT_NE(find("awq w4a16g64 de_wiki"), nullptr);
}

TEST_F(SampleReport, TheBaselineComesFirstAndHasNoDelta) {
  const Row& fp = report_->rows.front();
  EXPECT_TRUE(fp.baseline);
  EXPECT_EQ(fp.name(), "fp");
  ASSERT_TRUE(fp.entries[0].has_value());
  EXPECT_FALSE(fp.entries[0]->against_baseline.has_value());
}

TEST_F(SampleReport, DeltasReferToTheBaselineOfTheModel) {
  const Row* rtn = find("rtn w4a16g64");
  EXPECT_EQ(report_->baseline_of(*rtn), &report_->rows.front());
  const Entry& entry = *rtn->entries[0];
  EXPECT_DOUBLE_EQ(entry.against_baseline->delta,
                   entry.score.value - report_->rows.front().entries[0]->score.value);
  EXPECT_EQ(entry.against_baseline->test, "block bootstrap");
  EXPECT_EQ(rtn->entries[1]->against_baseline->test, "exact McNemar");
  EXPECT_GE(*entry.against_baseline->p_adjusted, *entry.against_baseline->p);
}

TEST_F(SampleReport, EveryTaskMetricAndProtocolHasItsOwnColumn) {
  std::set<std::string> titles;
  for (const auto& column : report_->columns) titles.insert(column.title);
  EXPECT_EQ(report_->columns.size(), 5u);
  EXPECT_EQ(titles.size(), 5u);
  EXPECT_THAT(titles, Contains("sports_understanding acc_norm %"));
}

TEST_F(SampleReport, FailuresAreMarkedInTheirCells) {
  const Row* numeric = find("gptq(act_order=true) w3a16g64 random_tokens");
  ASSERT_NE(numeric, nullptr);
  for (const auto state : numeric->states) EXPECT_EQ(state, EntryState::kFailed);
  const Row* killed = find("rtn w3a16g64");
  EXPECT_EQ(killed->states[0], EntryState::kDone);
  EXPECT_EQ(killed->states[3], EntryState::kFailed);
  ASSERT_EQ(report_->failures.size(), 2u);
  EXPECT_THAT(report_->failures[1].cells, ElementsAre("gptq(act_order=true) w3a16g64 random_tokens"));
  EXPECT_EQ(report_->failures[1].what, "quantize");
}

TEST_F(SampleReport, CombinationsThatAreNotLegalAreOneRowWithTheirReason) {
  const Table table = illegal_table(*report_);
  ASSERT_EQ(table.rows.size(), 1u);
  EXPECT_THAT(table.rows[0][3].text, HasSubstr("w8a8 has 8"));
}

TEST_F(SampleReport, NotesComeOnceAndNameTheModel) {
  EXPECT_THAT(report_->notes,
              Contains(AllOf(HasSubstr("smollm2-135m: weights lie on a 4-bit grid"))).Times(1));
  EXPECT_THAT(report_->notes, Contains(HasSubstr("3 contexts were truncated from the left (")));
  EXPECT_THAT(report_->notes, Contains(HasSubstr("2 steps failed")));
  EXPECT_THAT(report_->notes, Contains(HasSubstr("fell back")));
}

TEST_F(SampleReport, CoverageAddsUp) {
  const Coverage& c = report_->coverage;
  EXPECT_EQ(c.cells, 37);
  EXPECT_EQ(c.illegal, 3);
  EXPECT_EQ(c.links - c.shared, c.steps);
  EXPECT_EQ(c.cached + c.run + c.failed + c.not_run, c.steps);
  EXPECT_GT(c.cached, 0);
  EXPECT_EQ(c.failed, 2);
  EXPECT_EQ(c.not_run, 3);  // the tasks behind the failed quantization
}

TEST_F(SampleReport, SpreadsSpanTheCalibrationSets) {
  ASSERT_FALSE(report_->spreads.empty());
  for (const Spread& spread : report_->spreads) {
    EXPECT_GE(spread.points.size(), 2u);
    EXPECT_LE(spread.lowest, spread.highest);
    EXPECT_NE(spread.recipe, "rtn");
  }
}

TEST_F(SampleReport, BitsAndSizesComeFromTheLedger) {
  const Row* rtn = find("rtn w4a16g64");
  EXPECT_EQ(rtn->ledger.layers, 42);
  EXPECT_DOUBLE_EQ(rtn->ledger.bits_nominal, 4);
  EXPECT_DOUBLE_EQ(rtn->ledger.bits_effective, 4.5);
  EXPECT_EQ(*rtn->bytes(), rtn->ledger.parameters * 9 / 16);
}

TEST_F(SampleReport, FallbacksAreListedLayerByLayer) {
  ASSERT_EQ(report_->fallbacks.size(), 3u);
  EXPECT_EQ(report_->fallbacks[0].layer, "model.layers.1.mlp.down_proj");
}

TEST_F(SampleReport, ARunShowsOnlyItsCells) {
  ReportOptions options;
  options.run = 1;
  const Report first = build_report(*store_, options);
  EXPECT_THAT(first.schemes, ElementsAre("w8a8"));
  EXPECT_EQ(first.runs.size(), 1u);
}

TEST_F(SampleReport, APrefixShowsOnlyItsCell) {
  ReportOptions options;
  options.cell_prefix = find("rtn w4a16g64")->cell.substr(0, 10);
  const Report one = build_report(*store_, options);
  ASSERT_EQ(one.rows.size(), 1u);
  EXPECT_TRUE(one.failures.empty());
}

TEST(Report, AnEmptyStoreHasAnEmptyReport) {
  TemporaryFolder folder;
  const auto store = results::Store::open(folder / "s.sqlite");
  const Report report = build_report(*store, {});
  EXPECT_TRUE(report.rows.empty());
  EXPECT_TRUE(report.columns.empty());
}

TEST(Report, UnlikeProtocolsNeverShareAColumn) {
  TemporaryFolder folder;
  const auto store = results::Store::open(folder / "s.sqlite");
  const int64_t run = store->begin_run(results::samples::run());
  store->put_cells(run, {results::samples::cell("a"), results::samples::cell("b")},
                   {{"a", "s1", "ppl"}, {"b", "s2", "ppl"}});
  for (const char* key : {"s1", "s2"}) {
    results::StepOutcome step = results::samples::step(key, 0);
    step.scores = {
        {"ppl", "ppl", key == std::string("s1") ? "ppl/win" : "ppl/lcpp", 10, std::nullopt, 1, false}};
    store->commit_step(run, step);
  }
  const Report report = build_report(*store, {});
  ASSERT_EQ(report.columns.size(), 2u);
  EXPECT_EQ(report.columns[0].title, "ppl [ppl/win] ppl");
  EXPECT_FALSE(report.rows[0].entries[1].has_value());
  EXPECT_FALSE(report.rows[1].entries[0].has_value());
}

TEST(Report, CellsWithoutABaselineSaySo) {
  TemporaryFolder folder;
  const auto store = results::Store::open(folder / "s.sqlite");
  const int64_t run = store->begin_run(results::samples::run());
  store->put_cells(run, {results::samples::cell("a")}, {{"a", "s1", "mc"}});
  store->commit_step(run, results::samples::step("s1"));
  EXPECT_THAT(build_report(*store, {}).notes, Contains(HasSubstr("no baseline was measured")));
}

}  // namespace
}  // namespace qbench::reports
