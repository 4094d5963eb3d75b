// A report as plain tables of formatted values: what the text renderers print.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "reports/view/report.h"

namespace qbench::reports {

enum class Tone { kPlain, kGood, kBad, kWarn, kDim };

struct Value {
  std::string text;
  std::string suffix;            ///< marks behind a number ("**"), kept out of its alignment
  std::optional<double> number;  ///< full precision, for sorting
  Tone tone = Tone::kPlain;
};

struct TableColumn {
  std::string title;
  bool numeric = false;
  std::string group;  ///< a heading over neighbouring columns of the same group
};

struct Table {
  std::string title;
  std::string caption;
  std::vector<TableColumn> columns;
  std::vector<std::vector<Value>> rows;
};

/// One table per model and score column: rows recipe x calibration, columns schemes, "value (delta)".
std::vector<Table> score_matrices(const Report& report);
/// One table per model and scheme: rows recipe x calibration, a value and a delta column per score, bits and
/// time.
/// @param most_metrics  of a task with more metrics than this only the first is shown.
std::vector<Table> scheme_tables(const Report& report, size_t most_metrics);
/// Whether scheme_tables(report, most_metrics) leaves out a column.
bool hides_metrics(const Report& report, size_t most_metrics);
/// One line per row: bits, size, time, memory, artifact.
Table cell_table(const Report& report);
Table column_table(const Report& report);  ///< what each score column means
Table spread_table(const Report& report);
Table failure_table(const Report& report);
Table illegal_table(const Report& report);
Table fallback_table(const Report& report);
Table coverage_table(const Report& report);
Table cost_table(const Report& report);
Table run_table(const Report& report);  ///< environment of the runs, one column per run

}  // namespace qbench::reports
