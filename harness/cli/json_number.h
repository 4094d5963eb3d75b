// Doubles in documents: JSON has no infinities, so a collapsed model's scores are written as "inf", "-inf" or
// "nan".
#pragma once

#include <cmath>

#include "harness/core/fields.h"

namespace qbench::cli {

inline Json json_number(double value) {
  if (std::isfinite(value)) return value;
  return std::isnan(value) ? "nan" : value > 0 ? "inf" : "-inf";
}

}  // namespace qbench::cli
