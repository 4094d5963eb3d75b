// A model file as a directory of named tensors that can be read as float32. Memory-mapped; nothing is loaded
// at open.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "harness/core/fields.h"
#include "harness/models/architecture.h"
#include "harness/models/model_source.h"

namespace qbench::models {

struct TensorInfo {
  std::string name;   ///< Hugging Face name ("model.layers.0.self_attn.q_proj.weight") whatever the container
  std::string dtype;  ///< storage type as the container calls it: "F32", "BF16", "Q4_1", ...
  std::vector<int64_t> shape;  ///< row-major, [out, in] for linears
  uint64_t bytes = 0;          ///< stored size
  int64_t numel() const;
};

class Checkpoint {
 public:
  virtual ~Checkpoint() = default;

  /// Opens and validates headers (shapes against the architecture, missing and unknown tensors, offsets
  /// inside the file).
  /// @throws DataError with file, tensor, found, expected.
  static std::unique_ptr<Checkpoint> open(const ModelSource& source);

  const Architecture& architecture() const { return architecture_; }
  const ModelSource& source() const { return source_; }
  const std::vector<TensorInfo>& tensors() const { return tensors_; }
  const TensorInfo* find(std::string_view name) const;

  /// Writes the tensor as float32, row-major, Hugging Face layout (GGUF's q/k permutation undone, dither
  /// applied if the source asks for it). `out.size()` must equal numel. Thread-safe; the pages read are
  /// released afterwards.
  /// @throws DataError (unknown tensor, unsupported dtype).
  virtual void read(std::string_view name, std::span<float> out) const = 0;

  /// SHA-256 over architecture-relevant config and all weight bytes (memoised by path, size, mtime) and
  /// dequantize mode.
  virtual std::string content_hash() const = 0;

  /// Container facts for `describe`/`doctor`/reports: {"container": "gguf v3", "weight_grid": "Q4_1, groups
  /// of 32", ...}.
  virtual Json facts() const = 0;

 protected:
  ModelSource source_;
  Architecture architecture_;
  std::vector<TensorInfo> tensors_;
};

}  // namespace qbench::models
