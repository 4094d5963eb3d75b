#include "reports/report.h"

#include <fmt/format.h>

#include <algorithm>

#include "harness/core/errors.h"
#include "reports/render/documents.h"
#include "reports/render/text.h"
#include "reports/view/tables.h"

namespace qbench::reports {
namespace {

void check_selection(const Report& report, const ReportOptions& options, const results::Store& store) {
  if (options.run && report.runs.empty()) {
    std::string known;
    for (const auto& run : store.runs()) known += fmt::format("{}{}", known.empty() ? "" : ", ", run.id);
    throw ConfigError(fmt::format("{}: there is no run {}; the store has {}.", store.path().string(),
                                  *options.run, known.empty() ? "none" : "runs " + known));
  }
  if (!options.cell_prefix.empty() && report.rows.empty()) {
    throw ConfigError(fmt::format(
        "{}: no cell has a key that begins with \"{}\". `qbench report --format csv` lists the keys.",
        store.path().string(), options.cell_prefix));
  }
}

}  // namespace

const std::vector<std::string>& report_formats() {
  static const std::vector<std::string> formats = {"terminal", "md", "csv", "json", "html"};
  return formats;
}

std::string render_report(const results::Store& store, const std::string& format,
                          const ReportOptions& options) {
  const auto& known = report_formats();
  if (std::find(known.begin(), known.end(), format) == known.end()) {
    throw ConfigError(
        fmt::format("--format: unknown format \"{}\"; expected terminal, md, csv, json or html.{}", format,
                    did_you_mean(format, known)));
  }
  const Report report = build_report(store, options);
  check_selection(report, options, store);
  if (format == "md") return markdown_document(report);
  if (format == "csv") return csv_document(report);
  if (format == "json") return json_document(report);
  if (format == "html") return html_document(report, store);
  return terminal_document(report, options);
}

std::string summary_table(const results::Store& store, int64_t run, bool color) {
  ReportOptions options;
  options.run = run;
  options.color = color;
  const Report report = build_report(store, options);
  check_selection(report, options, store);
  std::string text;
  for (const Table& table : scheme_tables(report, 1)) text += terminal_table(table, color) + "\n";
  text += terminal_problems(report, color);
  for (const auto& note : report.notes)
    text += (color ? "\x1b[33m! " : "! ") + terminal_escape(note) + (color ? "\x1b[0m\n" : "\n");
  text += "Δ to the baseline; * p < 0.05, ** p < 0.01, *** p < 0.001 (paired, Holm-corrected).\n";
  return text + fmt::format("Store: {}\n", store.path().string());
}

}  // namespace qbench::reports
