#include <fmt/format.h>

#include "reports/render/documents.h"
#include "reports/render/text.h"
#include "reports/view/names.h"
#include "reports/view/tables.h"

namespace qbench::reports {
namespace {

constexpr size_t kMostMetrics = 2;  // of a task, on a terminal

constexpr const char* kStarsLegend =
    "Δ: difference to the baseline (accuracies in points). * p < 0.05, ** p < 0.01, *** p < 0.001, paired "
    "(exact McNemar on items, block "
    "bootstrap on windows), Holm-corrected within each score.";

std::string suite_names(const Report& report) {
  std::string names;
  for (const auto& run : report.runs) {
    if (names.find(run.suite_name) == std::string::npos)
      names += (names.empty() ? "" : ", ") + run.suite_name;
  }
  return names.empty() ? "no runs" : names;
}

void add_if_any(std::string& text, const Table& table) {
  if (!table.rows.empty()) text += markdown_table(table, 2);
}

std::string fenced(const std::string& yaml) {
  std::string fence = "```";
  while (yaml.find(fence) != std::string::npos) fence += "`";
  return fence + "yaml\n" + yaml + (yaml.empty() || yaml.back() != '\n' ? "\n" : "") + fence + "\n\n";
}

std::string csv_row(const Report& report, const Row& row, size_t c) {
  const ScoreColumn& column = report.columns[c];
  const auto full = [](double value) { return fmt::format("{}", value); };
  const auto maybe = [&](const std::optional<double>& value) { return value ? full(*value) : std::string(); };
  std::vector<std::string> fields = {row.model,
                                     row.model_hash,
                                     row.recipe,
                                     row.scheme,
                                     row.calibration,
                                     row.calibration_hash,
                                     std::to_string(row.seed),
                                     row.baseline ? "1" : "0",
                                     column.task,
                                     column.metric,
                                     column.protocol};
  const Entry* entry = row.entries[c] ? &*row.entries[c] : nullptr;
  static const char* const kStates[] = {"done", "failed", "illegal", "not run", "not asked"};
  fields.push_back(kStates[static_cast<size_t>(row.states[c])]);
  fields.push_back(entry ? full(entry->score.value) : "");
  fields.push_back(entry ? maybe(entry->score.stderr_) : "");
  fields.push_back(entry ? std::to_string(entry->score.n) : "");
  const Comparison* comparison =
      entry != nullptr && entry->against_baseline ? &*entry->against_baseline : nullptr;
  fields.push_back(comparison ? full(comparison->delta) : "");
  fields.push_back(comparison ? maybe(comparison->delta_stderr) : "");
  fields.push_back(comparison ? comparison->test : "");
  fields.push_back(comparison ? maybe(comparison->p) : "");
  fields.push_back(comparison ? maybe(comparison->p_adjusted) : "");
  fields.push_back(
      comparison && comparison->test == "exact McNemar" ? std::to_string(comparison->flips.size()) : "");
  const bool ledger = row.ledger.layers > 0;
  fields.push_back(ledger ? full(row.ledger.bits_nominal) : "");
  fields.push_back(ledger ? full(row.ledger.bits_effective) : "");
  fields.push_back(row.bytes() ? std::to_string(*row.bytes()) : "");
  fields.push_back(maybe(row.quantize_s));
  fields.push_back(row.artifact_hash);
  fields.push_back(row.cell);
  std::string line;
  for (size_t i = 0; i < fields.size(); ++i) line += (i > 0 ? "," : "") + csv_field(fields[i]);
  return line + "\n";
}

}  // namespace

std::string terminal_problems(const Report& report, bool color) {
  std::string text;
  const auto add = [&](const Table& table, size_t message, bool severe) {
    for (const auto& row : table.rows) {
      std::string head;
      for (size_t c = 0; c < row.size(); ++c) {
        if (c != message && !row[c].text.empty())
          head += (head.empty() ? "" : " · ") + terminal_escape(row[c].text);
      }
      const char* mark = severe ? "failed: " : "not legal: ";
      text += color && severe ? "\x1b[31m" + std::string(mark) + head + "\x1b[0m\n" : mark + head + "\n";
      text += terminal_paragraph(row[message].text);
    }
  };
  add(failure_table(report), 3, true);
  add(illegal_table(report), 3, false);
  return text.empty() ? text : text + "\n";
}

std::string terminal_document(const Report& report, const ReportOptions& options) {
  std::string text;
  for (const auto& note : report.notes) {
    const std::string line = "! " + terminal_escape(note);
    text += options.color ? "\x1b[33m" + line + "\x1b[0m\n" : line + "\n";
  }
  if (!report.notes.empty()) text += "\n";
  for (const Table& table : scheme_tables(report, kMostMetrics))
    text += terminal_table(table, options.color) + "\n";
  if (report.rows.empty()) text += "No cells.\n";
  const auto add = [&](const Table& table) {
    if (!table.rows.empty()) text += terminal_table(table, options.color) + "\n";
  };
  text += terminal_problems(report, options.color);
  add(spread_table(report));
  add(fallback_table(report));
  add(coverage_table(report));
  add(cost_table(report));
  if (hides_metrics(report, kMostMetrics))
    text += "Of tasks with many metrics only the first is shown; the other formats have all.\n";
  return text + kStarsLegend + "\n";
}

std::string markdown_document(const Report& report) {
  std::string text = "# qbench report: " + markdown_escape(suite_names(report)) + "\n\n";
  for (const auto& note : report.notes) text += "> **Note.** " + markdown_escape(note) + "\n>\n";
  if (!report.notes.empty()) text.replace(text.size() - 2, 2, "\n");
  for (const Table& table : score_matrices(report)) text += markdown_table(table, 2);
  text += markdown_escape(kStarsLegend) + "\n\n";
  for (const Table& table : {failure_table(report), illegal_table(report), spread_table(report),
                             column_table(report), cell_table(report), fallback_table(report),
                             coverage_table(report), cost_table(report), run_table(report)}) {
    add_if_any(text, table);
  }
  std::string last;
  for (const auto& run : report.runs) {
    if (run.suite_yaml == last || run.suite_yaml.empty()) continue;
    last = run.suite_yaml;
    text += fmt::format("## Suite of run {}: {}\n\n", run.id, markdown_escape(run.suite_name)) +
            fenced(run.suite_yaml);
  }
  text.pop_back();
  return text;
}

std::string csv_document(const Report& report) {
  std::string text =
      "model,model_hash,recipe,scheme,calibration,calibration_hash,seed,baseline,task,metric,protocol,state,"
      "value,stderr,n,delta,delta_stderr,"
      "test,p,p_holm,flips,bits_nominal,bits_effective,bytes,quantize_s,artifact_hash,cell\n";
  for (const Row& row : report.rows) {
    for (size_t c = 0; c < report.columns.size(); ++c) {
      if (row.states[c] != EntryState::kNotAsked) text += csv_row(report, row, c);
    }
  }
  return text;
}

}  // namespace qbench::reports
