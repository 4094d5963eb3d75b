// Doubles in JSON: it has no NaN and no infinities, so a collapsed model's scores are written as "nan", "inf"
// and "-inf".
#pragma once

#include <cmath>
#include <optional>
#include <string>

#include "harness/core/fields.h"

namespace qbench {

inline Json json_number(double value) {
  if (std::isfinite(value)) return value;
  return std::isnan(value) ? "nan" : value > 0 ? "inf" : "-inf";
}

inline Json json_number(const std::optional<double>& value) {
  return value ? json_number(*value) : Json(nullptr);
}

/// The double that json_number(value) was made of.
inline double number_from_json(const Json& json) {
  if (json.is_number()) return json.get<double>();
  const std::string text = json.get<std::string>();
  if (text == "inf") return INFINITY;
  return text == "-inf" ? -INFINITY : NAN;
}

}  // namespace qbench
