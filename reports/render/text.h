// Tables as text. Each renderer gives the whole text of one table, ending with a newline.
#pragma once

#include <string>

#include "reports/view/tables.h"

namespace qbench::reports {

/// Aligned columns; with `color`, ANSI colours by tone. Cells are made safe for a terminal (control
/// characters shown as ?).
std::string terminal_table(const Table& table, bool color);
/// Indented by four spaces, wrapped at 110 columns.
std::string terminal_paragraph(const std::string& text);
std::string markdown_table(const Table& table, int heading_level);
/// RFC 4180 with "\n" line ends.
std::string csv_field(const std::string& text);

/// Number of columns a UTF-8 text takes on a terminal, one per code point.
size_t display_width(const std::string& text);
/// `text` without what would end or forge a Markdown table cell, link or tag.
std::string markdown_escape(const std::string& text);
std::string terminal_escape(const std::string& text);

}  // namespace qbench::reports
