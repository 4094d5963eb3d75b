// A quantized model on disk: everything a recipe can change, relative to a checkpoint that is at hand. One
// file:
//   "QBARTIF1" | zstd frames, one per tensor | footer JSON | footer size (8 bytes, little-endian) | SHA-256
//   of all before (hex)
#pragma once

#include <filesystem>

#include "harness/core/lanes.h"
#include "harness/engine/model.h"

namespace qbench::methods {

/// Linear weights and biases, norms and activation quantizers of every block; exact. Beside the target first,
/// then renamed.
/// @throws DataError (cannot write: says what the system said).
void save_artifact(const engine::Model& model, const std::filesystem::path& path, const Lanes& lanes);

/// Puts a saved artifact into a model of the same checkpoint. The file is verified completely before the
/// model is touched.
/// @throws DataError (truncated, damaged, not an artifact, of another architecture: names the tensor, found,
/// expected).
void load_artifact(engine::Model& model, const std::filesystem::path& path, const Lanes& lanes);

}  // namespace qbench::methods
