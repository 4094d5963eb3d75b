// What is known about every method without running any: the planner, `describe` and the recipe parser read
// this. No torch. The list itself comes from the methods' own source files (methods/core/registry.cpp) and is
// embedded at build time.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "harness/core/fields.h"

namespace qbench::methods {

/// A transform changes the model without changing its function; a quantize pass puts the weights on the
/// scheme's grid.
enum class PassKind { kTransform, kQuantize };

struct MethodInfo {
  std::string name;
  PassKind kind = PassKind::kQuantize;
  std::string summary;  ///< one line
  std::string paper;    ///< "arXiv:2210.17323"
  /// Needs per-channel statistics of the unquantized model's site inputs (shared by every scheme and method).
  bool needs_fp_statistics = false;
  /// Needs calibration samples to run through the model while quantizing.
  bool needs_calibration = false;
  /// Would another random seed give another result?
  bool uses_seed = false;
  /// Has no meaning when the scheme leaves the weights at 16 bits.
  bool needs_weight_bits = false;
  /// Raised whenever a change of the code changes the numbers; part of every cell's key.
  int64_t numerics_version = 1;
  std::vector<FieldSpec> fields;

  Json json() const;
  static MethodInfo from_json(const Json& json);
};

std::string_view pass_kind_name(PassKind kind);  ///< "transform", "quantize"

/// Every method, in the order of registry.cpp. Library qbench::catalogue.
const std::vector<MethodInfo>& method_catalogue();

/// @throws ConfigError with the nearest known name.
const MethodInfo& find_method(const std::vector<MethodInfo>& catalogue, std::string_view name);

/// Parses what qbench-catalogue printed. @throws InternalError if it is not a catalogue.
std::vector<MethodInfo> catalogue_from_json(std::string_view text);

}  // namespace qbench::methods
