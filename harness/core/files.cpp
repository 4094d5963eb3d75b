#include "harness/core/files.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zstd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <sstream>
#include <utility>
#include <vector>

#include "harness/core/errors.h"

namespace qbench {
namespace {

[[noreturn]] void fail(const std::filesystem::path& path, std::string_view doing) {
  throw DataError(fmt::format("{}: {} failed: {}", path.string(), doing, std::strerror(errno)));
}

std::string decompress(const std::filesystem::path& path, const std::string& packed) {
  std::string text;
  std::vector<char> chunk(ZSTD_DStreamOutSize());
  ZSTD_DStream* stream = ZSTD_createDStream();
  ZSTD_inBuffer in{packed.data(), packed.size(), 0};
  size_t left = 1;
  while (in.pos < in.size) {
    ZSTD_outBuffer out{chunk.data(), chunk.size(), 0};
    left = ZSTD_decompressStream(stream, &out, &in);
    if (ZSTD_isError(left)) break;
    text.append(chunk.data(), out.pos);
  }
  ZSTD_freeDStream(stream);
  if (left != 0) {
    throw DataError(fmt::format("{}: not a complete zstd file; fetch or pack it again", path.string()));
  }
  return text;
}

}  // namespace

std::string read_text_file(const std::filesystem::path& path) {
  std::error_code error;
  if (std::filesystem::is_directory(path, error)) {
    throw DataError(fmt::format("{}: is a folder; expected a file", path.string()));
  }
  std::ifstream file(path, std::ios::binary);
  if (!file) fail(path, "open");
  std::ostringstream content;
  content << file.rdbuf();
  if (file.bad()) fail(path, "read");
  return std::move(content).str();
}

std::string read_maybe_compressed(const std::filesystem::path& path) {
  std::string content = read_text_file(path);
  return path.extension() == ".zst" ? decompress(path, content) : content;
}

void write_file_atomically(const std::filesystem::path& path, std::string_view content) {
  const std::filesystem::path temporary = path.string() + fmt::format(".tmp{}", ::getpid());
  const int fd = ::open(temporary.c_str(), O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0644);
  if (fd < 0) fail(path, "create");
  size_t written = 0;
  while (written < content.size()) {
    const ssize_t n = ::write(fd, content.data() + written, content.size() - written);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) {
      const int saved = errno;
      ::close(fd);
      ::unlink(temporary.c_str());
      errno = saved;
      fail(path, "write");
    }
    written += static_cast<size_t>(n);
  }
  if (::fsync(fd) != 0 || ::close(fd) != 0 || ::rename(temporary.c_str(), path.c_str()) != 0) {
    const int saved = errno;
    ::unlink(temporary.c_str());
    errno = saved;
    fail(path, "write");
  }
}

MappedFile::MappedFile(const std::filesystem::path& path) : path_(path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) fail(path, "open");
  struct stat status {};
  if (::fstat(fd, &status) != 0 || !S_ISREG(status.st_mode)) {
    ::close(fd);
    throw DataError(fmt::format("{}: not a regular file", path.string()));
  }
  size_ = static_cast<size_t>(status.st_size);
  if (size_ > 0) {
    void* address = ::mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, fd, 0);
    const int saved = errno;
    ::close(fd);
    errno = saved;
    if (address == MAP_FAILED) fail(path, "memory map");
    data_ = static_cast<const std::byte*>(address);
  } else {
    ::close(fd);
  }
}

MappedFile::~MappedFile() {
  if (data_ != nullptr) ::munmap(const_cast<std::byte*>(data_), size_);
}

MappedFile::MappedFile(MappedFile&& other) noexcept
    : path_(std::move(other.path_)),
      data_(std::exchange(other.data_, nullptr)),
      size_(std::exchange(other.size_, 0)) {}

void MappedFile::release(size_t offset, size_t size) const {
  if (data_ == nullptr || offset >= size_) return;
  const auto page = static_cast<size_t>(::sysconf(_SC_PAGESIZE));
  const size_t begin = (offset + page - 1) / page * page;
  const size_t end = std::min(offset + size, size_) / page * page;
  if (end > begin) ::madvise(const_cast<std::byte*>(data_) + begin, end - begin, MADV_DONTNEED);
}

std::filesystem::path qbench_home() {
  if (const char* home = std::getenv("QBENCH_HOME"); home != nullptr && *home != '\0') return home;
  if (const char* home = std::getenv("HOME"); home != nullptr && *home != '\0') {
    return std::filesystem::path(home) / ".cache" / "qbench";
  }
  throw ConfigError(
      "neither QBENCH_HOME nor HOME is set. Set QBENCH_HOME to a folder for models and artifacts.");
}

std::filesystem::path share_dir() {
  if (const char* share = std::getenv("QBENCH_SHARE"); share != nullptr && *share != '\0') return share;
  std::error_code error;
  const std::filesystem::path self = std::filesystem::read_symlink("/proc/self/exe", error);
  if (!error) {
    const auto installed = self.parent_path().parent_path() / "share" / "qbench";
    if (std::filesystem::exists(installed, error)) return installed;
  }
  return QBENCH_SOURCE_DIR;
}

}  // namespace qbench
