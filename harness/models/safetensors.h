// The safetensors container: a JSON header and raw tensors. Reader (memory-mapped, strict) and writer.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "harness/core/files.h"

namespace qbench::models {

struct SafetensorsEntry {
  std::string name;
  std::string dtype;  ///< "F32", "F16", "BF16", "F64", "I64", "I32", "I16", "I8", "U8", "BOOL", ...
  std::vector<int64_t> shape;
  uint64_t begin = 0, end = 0;  ///< byte range inside the data section
  int64_t numel() const;
};

class SafetensorsFile {
 public:
  /// Maps the file and checks the whole header: JSON, duplicate names, dtypes, shapes against byte ranges,
  /// overlaps, holes, overflow, trailing bytes. @throws DataError naming file, tensor, found and expected.
  explicit SafetensorsFile(const std::filesystem::path& path);

  /// All tensors, in the order of their data.
  const std::vector<SafetensorsEntry>& entries() const { return entries_; }
  const SafetensorsEntry* find(std::string_view name) const;
  std::span<const std::byte> bytes(const SafetensorsEntry& entry) const;
  /// Any float or integer dtype, widened to float32 (integers must be exactly representable: u8/i8/i16;
  /// i32/i64 by cast).
  /// @throws DataError for a dtype without a float32 reading (complex, packed sub-byte floats).
  void read_float(const SafetensorsEntry& entry, std::span<float> out) const;
  std::vector<float> floats(std::string_view name) const;  ///< @throws DataError if absent
  std::vector<int64_t> integers(
      std::string_view name) const;                   ///< @throws DataError if absent or not an integer dtype
  void release(const SafetensorsEntry& entry) const;  ///< drops the pages from memory
  const std::filesystem::path& path() const { return map_.path(); }
  const std::vector<std::pair<std::string, std::string>>& metadata() const { return metadata_; }

 private:
  const SafetensorsEntry& required(std::string_view name) const;

  MappedFile map_;
  size_t data_offset_ = 0;
  std::vector<SafetensorsEntry> entries_;
  std::map<std::string, size_t, std::less<>> index_;
  std::vector<std::pair<std::string, std::string>> metadata_;
};

/// A tensor to be written; `data` must stay valid until write_safetensors returns.
struct SafetensorsTensor {
  std::string name;
  std::string dtype;
  std::vector<int64_t> shape;
  std::span<const std::byte> data;
};

/// Streams the tensors to `path` in the given order, beside it first and renamed at the end. @throws
/// DataError.
void write_safetensors(const std::filesystem::path& path, std::span<const SafetensorsTensor> tensors,
                       const std::vector<std::pair<std::string, std::string>>& metadata = {});

/// What a tensor of a file to be written will look like, before its data exist.
struct SafetensorsLayout {
  std::string name;
  std::string dtype;
  std::vector<int64_t> shape;
};

/// Writes a file tensor by tensor, so that only one tensor need be in memory. The file appears under its name
/// at finish(); until then (or if finish() is never called) nothing is there.
class SafetensorsWriter {
 public:
  /// @throws DataError if the file cannot be created, a name repeats, or a dtype is unknown.
  SafetensorsWriter(std::filesystem::path path, std::vector<SafetensorsLayout> layout,
                    const std::vector<std::pair<std::string, std::string>>& metadata = {});
  ~SafetensorsWriter();
  SafetensorsWriter(const SafetensorsWriter&) = delete;
  SafetensorsWriter& operator=(const SafetensorsWriter&) = delete;

  /// The data of the next tensor of the layout. @throws DataError if the size does not fit its shape, or on a
  /// write error.
  void append(std::span<const std::byte> data);
  /// @throws DataError if tensors are missing, or on a write error.
  void finish();

 private:
  void write(const void* data, size_t size);
  [[noreturn]] void fail(const std::string& what) const;

  std::filesystem::path path_, temporary_;
  std::vector<SafetensorsLayout> layout_;
  size_t next_ = 0;
  int fd_ = -1;
};

}  // namespace qbench::models
