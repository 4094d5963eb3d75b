// Per-channel statistics of the unquantized model's site inputs: gathered once per model and calibration set,
// shared by every scheme and by every method that needs them (SmoothQuant's absmax, AWQ's mean |x|).
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "harness/engine/model.h"
#include "methods/core/pass.h"

namespace qbench::methods {

struct FpStatistics {
  int64_t tokens = 0;
  std::vector<BlockStatistics> blocks;  ///< one per decoder block

  /// Atomically, as a safetensors file with `identity` in its metadata. @throws DataError.
  void save(const std::filesystem::path& path, const std::string& identity) const;
  /// @param identity  what save() was given, or "" to accept any. @throws DataError (damaged, other
  /// identity).
  static FpStatistics load(const std::filesystem::path& path, const std::string& identity = "");
};

/// phase ("statistics", "quantize"), layer (0-based), layers. Called from the calling thread only.
using Progress = std::function<void(const std::string& phase, int layer, int layers)>;

/// Runs the samples through the model as it is (its blocks must be unquantized).
/// @throws DataError no samples, or an empty one. NumericError statistics that are not finite (names block
/// and site).
FpStatistics gather_fp_statistics(const engine::Model& model,
                                  const std::vector<std::vector<int32_t>>& samples, const Lanes& lanes,
                                  const Progress& progress = {});

}  // namespace qbench::methods
