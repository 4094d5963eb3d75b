// Files: whole-file reads, atomic writes, read-only memory maps, zstd, and where the program's own data lies.
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>

namespace qbench {

/// @throws DataError naming the path.
std::string read_text_file(const std::filesystem::path& path);

/// Reads a text file; a `.zst` file is decompressed. @throws DataError.
std::string read_maybe_compressed(const std::filesystem::path& path);

/// Writes beside the target and renames, so that a reader or a crash never sees half a file. @throws
/// DataError.
void write_file_atomically(const std::filesystem::path& path, std::string_view content);

/// A read-only memory map of a whole file. Empty files map to an empty span.
class MappedFile {
 public:
  /// @throws DataError if the file cannot be opened or mapped.
  explicit MappedFile(const std::filesystem::path& path);
  ~MappedFile();
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&&) = delete;
  MappedFile(const MappedFile&) = delete;

  std::span<const std::byte> bytes() const { return {data_, size_}; }
  const std::filesystem::path& path() const { return path_; }
  /// Tells the kernel that the pages of [offset, offset + size) are not needed any more (keeps residency
  /// low).
  void release(size_t offset, size_t size) const;

 private:
  std::filesystem::path path_;
  const std::byte* data_ = nullptr;
  size_t size_ = 0;
};

/// QBENCH_HOME, default ~/.cache/qbench: models, artifacts, memoised file hashes.
std::filesystem::path qbench_home();
/// Folder with the data the program ships (tasks, corpora, suites): QBENCH_SHARE, else the installed or
/// source tree.
std::filesystem::path share_dir();

}  // namespace qbench
