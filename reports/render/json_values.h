// Pieces of JSON that reports and diffs share.
#pragma once

#include <string>

#include "harness/core/fields.h"
#include "harness/core/json_number.h"
#include "reports/view/compare.h"

namespace qbench::reports {

Json comparison_json(const Comparison& comparison, bool with_flips);
/// Indented by one space, ending with a newline; invalid UTF-8 is replaced.
std::string json_text(const Json& json);

}  // namespace qbench::reports
