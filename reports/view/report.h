// What a store says, as typed rows and columns: everything a renderer needs, nothing rendered, no clock, no
// paths.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "reports/view/compare.h"
#include "results/store.h"

namespace qbench::reports {

/// A score has its own column for each task, metric and protocol: unlike protocols never share one.
struct ScoreColumn {
  std::string task, metric, protocol;
  std::string title;  ///< short and distinct among the columns: task_title and metric
  std::string task_title;
  bool higher_is_better = true;
};

struct Entry {
  results::ScoreRow score;
  std::string step_key;
  std::optional<Comparison> against_baseline;  ///< absent for the baseline itself
};

enum class EntryState { kDone, kFailed, kIllegal, kNotRun, kNotAsked };

/// Cells that share all their steps are one row: RTN appears once whatever the calibration sets.
struct Row {
  std::string cell;  ///< key of the first of its cells
  size_t cells = 1;
  std::string model, model_hash, recipe, scheme;
  std::string model_title;        ///< the last part of a path
  std::string calibration;        ///< "" when the result does not depend on it
  std::string calibration_title;  ///< short; "any" when it does not depend on it
  std::string calibration_hash;
  int64_t seed = 0;
  bool baseline = false;
  std::string illegal;
  std::string quantize_key, artifact_hash;
  std::optional<size_t> baseline_row;         ///< index of the row that deltas refer to
  std::vector<std::optional<Entry>> entries;  ///< one per column
  std::vector<EntryState> states;             ///< one per column
  results::LayerTotals ledger;                ///< of the quantize step; zero for the baseline
  std::optional<double> quantize_s;           ///< wall time of the quantize step
  std::optional<int64_t> quantize_rss;
  /// Bytes of the quantized linears at their effective bits.
  std::optional<int64_t> bytes() const;
  /// "fp", "gptq w4a16g64", "gptq w4a16g64 en_wiki"
  std::string name() const;
};

struct Failure {
  results::FailureRow row;
  std::vector<std::string> cells;  ///< names of the rows that miss it
  std::string what;                ///< "quantize", a task, or "step" when no cell links to it
};

struct Coverage {
  int64_t cells = 0, illegal = 0, rows = 0;
  int64_t links = 0;   ///< step uses that the cells ask for
  int64_t steps = 0;   ///< different steps among them
  int64_t shared = 0;  ///< links - steps: work that sharing saved
  int64_t cached = 0;  ///< finished by an earlier run than the latest one shown
  int64_t run = 0;     ///< finished by the latest run shown
  int64_t failed = 0, not_run = 0;
};

/// The same recipe and scheme over calibration sets: how much the choice matters.
struct Spread {
  std::string model, recipe, scheme;
  int64_t seed = 0;
  size_t column = 0;
  struct Point {
    std::string calibration_title;
    size_t row = 0;
    double value = 0;
  };
  std::vector<Point> points;  ///< in calibration order
  double lowest = 0, highest = 0;
};

struct CostLine {
  std::string kind;  ///< of step
  int64_t steps = 0;
  double wall_s = 0, cpu_s = 0;
  int64_t peak_rss_bytes = 0;
};

struct FallbackLine {
  size_t row = 0;
  std::string layer, fallback;
};

struct Report {
  std::vector<results::RunRow> runs;
  std::vector<ScoreColumn> columns;
  std::vector<Row> rows;  ///< by model, baseline first, then by scheme, recipe, calibration set
  std::vector<std::string> recipes, schemes,
      calibrations;                ///< distinct, in suite order; without the baseline
  std::vector<std::string> notes;  ///< what a reader must know before any number
  std::vector<Failure> failures;
  Coverage coverage;
  std::vector<Spread> spreads;
  std::vector<CostLine> costs;  ///< by kind; the last line is the sum
  double saved_s = 0;           ///< wall time that sharing saved: (uses - 1) x wall of each shared step
  std::vector<FallbackLine> fallbacks;
  const Row* baseline_of(const Row& row) const {
    return row.baseline_row ? &rows[*row.baseline_row] : nullptr;
  }
};

struct ReportOptions {
  std::optional<int64_t> run;  ///< only the cells and steps of this run
  std::string cell_prefix;     ///< only cells whose key begins so
  bool color = false;          ///< terminal only
  size_t width = 0;            ///< terminal only: wrap tables at this many columns; 0 = no limit
  CompareOptions compare;
  bool compare_with_baseline = true;  ///< false leaves the (costly) paired statistics out
};

Report build_report(const results::Store& store, const ReportOptions& options);

}  // namespace qbench::reports
