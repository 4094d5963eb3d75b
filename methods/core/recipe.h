// A recipe: the ordered passes that make a cell, "smoothquant(alpha=0.8)|gptq(act_order=true)". No torch
// here.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "harness/core/call.h"
#include "harness/models/architecture.h"
#include "methods/core/catalogue.h"
#include "methods/core/scheme.h"

namespace qbench::methods {

/// Zero or more transforms, then exactly one quantize pass; no pass at all is the baseline, "fp".
struct Recipe {
  std::vector<Call>
      passes;  ///< each with only the arguments that differ from the defaults, in the spec's order
  std::vector<MethodInfo> methods;  ///< what the catalogue says about passes[i]

  bool baseline() const { return passes.empty(); }
  /// Shortest text that means the same: non-default parameters only. parse_recipe(canonical()) == *this.
  std::string canonical() const;
  /// Everything that can change the outcome: all parameters after defaults and the numerics versions. For
  /// keys.
  std::string identity() const;
  bool operator==(const Recipe& other) const { return passes == other.passes; }
};

/// Checks names, parameters and order, and completes a chain of transforms with `rtn` ("awq" -> "awq|rtn").
/// @throws ConfigError with the nearest known name or the legal values.
Recipe parse_recipe(std::string_view text, const std::vector<MethodInfo>& catalogue);

bool needs_calibration(const Recipe& recipe);    ///< calibration samples must run through the model
bool needs_fp_statistics(const Recipe& recipe);  ///< FpStatistics of the calibration samples must be at hand
/// Does the result depend on a calibration set at all?
inline bool depends_on_calibration(const Recipe& recipe) {
  return needs_calibration(recipe) || needs_fp_statistics(recipe);
}
bool seed_matters(const Recipe& recipe);

/// What is wrong with the order of the passes: two quantize passes, a transform after one, none at all. Empty
/// = right.
std::vector<std::string> order_problems(const Recipe& recipe);

/// Everything that forbids this cell, found from headers alone: pass order, a group that does not divide a
/// width (names the linears and the legal groups), missing calibration, bits that a method cannot use. Empty
/// = legal.
std::vector<std::string> legality_problems(const Recipe& recipe, const Scheme& scheme,
                                           const models::Architecture& architecture, bool has_calibration);

}  // namespace qbench::methods
