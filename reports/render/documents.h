// One function per format: a report in, a whole document out.
#pragma once

#include <string>

#include "reports/view/report.h"

namespace qbench::results {
class Store;
}

namespace qbench::reports {

/// Failures and combinations that are not legal, as paragraphs; "" without any.
std::string terminal_problems(const Report& report, bool color);
std::string terminal_document(const Report& report, const ReportOptions& options);
std::string markdown_document(const Report& report);
/// One line per cell and score column (RFC 4180).
std::string csv_document(const Report& report);
/// `schema_version` 1; full precision.
std::string json_document(const Report& report);
/// One self-contained page; the store is asked for the ledger of the drill-down.
std::string html_document(const Report& report, const results::Store& store);

}  // namespace qbench::reports
