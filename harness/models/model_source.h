// What a MODEL argument names: a Hugging Face folder, a hub id in the local cache, a GGUF file, or a name of
// the model folder.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

namespace qbench::models {

enum class SourceKind { kHuggingFace, kGguf };

/// How quantized GGUF blocks become numbers. `kDither` adds seeded uniform noise inside each quantization
/// cell: a labelled alternative baseline off the file's own grid.
enum class Dequantize { kExact, kDither };

struct ModelSource {
  std::string name;  ///< as the user wrote it
  SourceKind kind = SourceKind::kHuggingFace;
  std::filesystem::path path;  ///< the folder, or the .gguf file
  Dequantize dequantize = Dequantize::kExact;
  uint64_t dither_seed = 0;
};

/// Finds the model. `text` is a path, "hf:org/name", or a name in the model folder (`QBENCH_HOME`/models)
/// such as "smollm2-135m"; each may carry "(dequantize=dither, seed=N)".
/// @throws DataError with what was tried, the nearest known name and how to get the model. Nothing is ever
/// downloaded.
ModelSource resolve_model(const std::string& text);

}  // namespace qbench::models
