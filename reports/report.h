// The one entry for programs: a store in, a document out. Pure functions of the store; nothing is printed.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "reports/view/report.h"
#include "results/store.h"

namespace qbench::reports {

/// Formats of render_report and render_diff, the default first.
const std::vector<std::string>& report_formats();  // terminal, md, csv, json, html

/// @throws ConfigError  unknown format (names the nearest), unknown run, no cell with the prefix.
std::string render_report(const results::Store& store, const std::string& format,
                          const ReportOptions& options = {});

/// What `qbench run` prints at its end: one compact table per model and scheme, failures, notes, the path of
/// the store.
std::string summary_table(const results::Store& store, int64_t run, bool color);

}  // namespace qbench::reports
