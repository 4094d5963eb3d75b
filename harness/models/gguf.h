// The GGUF container (versions 2 and 3, little-endian): key-value metadata and a directory of (quantized)
// tensors. Everything is bounds-checked at open; tensor data stay in the memory map. Dequantization:
// gguf_blocks.h.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "harness/core/files.h"

namespace qbench::models {

/// One metadata value. Numbers of every width are widened: unsigned and signed integers to int64 (a u64 above
/// int64's range is a DataError at open), floats to double, arrays of numbers likewise. Arrays of arrays do
/// not occur in model files and are refused.
struct GgufValue {
  std::string
      type;  ///< as the format calls it: "u32", "string", "bool", "f32", "array<string>", "array<i32>", ...
  std::variant<bool, int64_t, double, std::string, std::vector<bool>, std::vector<int64_t>,
               std::vector<double>, std::vector<std::string>>
      value;
};

struct GgufTensor {
  std::string name;   ///< GGUF name, "blk.0.attn_q.weight"
  uint32_t type = 0;  ///< ggml type number; gguf_type() of gguf_blocks.h knows its name and block layout
  std::vector<int64_t> shape;  ///< row-major: GGUF's dimension list reversed, [out, in] for linears
  uint64_t offset = 0;         ///< first byte, counted from the start of the file
  uint64_t bytes = 0;          ///< stored size
  int64_t numel() const;
};

class GgufFile {
 public:
  /// Maps the file and checks header, metadata and tensor directory: magic, version, lengths against the
  /// file, duplicate names, overflow, alignment, block sizes, tensor ranges inside the file and not
  /// overlapping.
  /// @throws DataError naming file, key or tensor, found and expected.
  explicit GgufFile(const std::filesystem::path& path);

  uint32_t version() const { return version_; }
  const std::filesystem::path& path() const { return map_.path(); }

  // --- metadata ---
  /// All metadata by key ("tokenizer.ggml.tokens", "llama.block_count", ...).
  const std::map<std::string, GgufValue, std::less<>>& values() const { return values_; }
  /// The value of `key`, or nullptr.
  const GgufValue* find(std::string_view key) const;
  bool has(std::string_view key) const { return find(key) != nullptr; }

  /// Typed getters: @throws DataError if the key is absent or of another type (naming both). An empty array
  /// fits every array getter; integers() and floats() read arrays, integer() and number() scalars;
  /// floats()/number() accept integers.
  std::string string(std::string_view key) const;
  int64_t integer(std::string_view key) const;
  double number(std::string_view key) const;
  bool boolean(std::string_view key) const;
  std::vector<std::string> strings(std::string_view key) const;
  std::vector<int64_t> integers(std::string_view key) const;
  std::vector<float> floats(std::string_view key) const;

  /// The same for keys that may be absent: nullopt then. A wrong type is still a DataError.
  std::optional<std::string> maybe_string(std::string_view key) const;
  std::optional<int64_t> maybe_integer(std::string_view key) const;
  std::optional<double> maybe_number(std::string_view key) const;
  std::optional<bool> maybe_boolean(std::string_view key) const;
  std::optional<std::vector<std::string>> maybe_strings(std::string_view key) const;
  std::optional<std::vector<int64_t>> maybe_integers(std::string_view key) const;
  std::optional<std::vector<float>> maybe_floats(std::string_view key) const;

  // --- tensors ---
  const std::vector<GgufTensor>& tensors() const { return tensors_; }
  const GgufTensor* find_tensor(std::string_view name) const;
  std::span<const std::byte> bytes(const GgufTensor& tensor) const;
  /// Tells the kernel that the tensor's pages are not needed any more.
  void release(const GgufTensor& tensor) const;

 private:
  MappedFile map_;
  uint32_t version_ = 0;
  std::map<std::string, GgufValue, std::less<>> values_;
  std::vector<GgufTensor> tensors_;
  std::map<std::string, size_t, std::less<>> tensor_index_;
};

}  // namespace qbench::models
