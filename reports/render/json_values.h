// Pieces of JSON that reports and diffs share.
#pragma once

#include <optional>
#include <string>

#include "harness/core/fields.h"
#include "reports/view/compare.h"

namespace qbench::reports {

/// JSON has no NaN and no infinities: they become the strings "nan", "inf", "-inf".
Json json_number(double value);
Json json_number(const std::optional<double>& value);
Json comparison_json(const Comparison& comparison, bool with_flips);
/// Indented by one space, ending with a newline; invalid UTF-8 is replaced.
std::string json_text(const Json& json);

}  // namespace qbench::reports
