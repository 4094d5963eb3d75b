// SHA-256: the one identity of files, token streams, steps and artifacts.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace qbench {

/// Incremental SHA-256. `hex()` ends the computation; the object must not be updated afterwards.
class Hasher {
 public:
  Hasher();
  ~Hasher();
  Hasher(const Hasher&) = delete;
  Hasher& operator=(const Hasher&) = delete;

  Hasher& update(const void* data, size_t bytes);
  Hasher& update(std::string_view text) { return update(text.data(), text.size()); }
  /// Length-prefixed, so that ("ab","c") and ("a","bc") differ.
  Hasher& field(std::string_view text);
  std::string hex();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

std::string sha256_hex(std::string_view bytes);
/// Hash of the ids as little-endian int32: the identity of a token stream.
std::string sha256_ids(std::span<const int32_t> ids);
/// @throws DataError if the file cannot be read.
std::string sha256_file(const std::filesystem::path& path);
/// sha256_file, remembered by path, size and modification time in `cache_dir` (weights are hashed once per
/// file).
std::string sha256_file_cached(const std::filesystem::path& path, const std::filesystem::path& cache_dir);

}  // namespace qbench
