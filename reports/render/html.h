// Pieces of a self-contained page: no network, opens from disk, every text escaped.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "harness/core/fields.h"

namespace qbench::reports {

/// The files of reports/render/assets, embedded at build time.
const std::vector<std::pair<std::string_view, std::string_view>>& assets();
/// One of them. @throws InternalError  not embedded.
std::string_view asset(std::string_view name);

std::string html_escape(std::string_view text);
/// JSON that cannot end the script element it stands in.
std::string script_json(const Json& json);
/// Title, style sheet, data and script in one page; the script builds <main> from the data.
std::string html_page(const std::string& title, std::string_view script, const Json& data);

}  // namespace qbench::reports
