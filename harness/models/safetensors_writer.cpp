#include <fcntl.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <nlohmann/json.hpp>
#include <set>

#include "harness/core/errors.h"
#include "harness/models/safetensors.h"

namespace qbench::models {
namespace {

/// Bytes per element of the dtypes we write.
uint64_t element_bytes(std::string_view dtype) {
  if (dtype == "F64" || dtype == "I64" || dtype == "U64") return 8;
  if (dtype == "F32" || dtype == "I32" || dtype == "U32") return 4;
  if (dtype == "F16" || dtype == "BF16" || dtype == "I16" || dtype == "U16") return 2;
  if (dtype == "I8" || dtype == "U8" || dtype == "BOOL" || dtype == "F8_E4M3" || dtype == "F8_E5M2") return 1;
  return 0;
}

uint64_t layout_bytes(const SafetensorsLayout& layout) {
  uint64_t bytes = element_bytes(layout.dtype);
  for (const int64_t dimension : layout.shape) bytes *= static_cast<uint64_t>(dimension);
  return bytes;
}

std::string header_text(const std::vector<SafetensorsLayout>& layout,
                        const std::vector<std::pair<std::string, std::string>>& metadata) {
  nlohmann::ordered_json header = nlohmann::ordered_json::object();
  for (const auto& [key, value] : metadata) header["__metadata__"][key] = value;
  uint64_t offset = 0;
  for (const SafetensorsLayout& tensor : layout) {
    const uint64_t end = offset + layout_bytes(tensor);
    header[tensor.name] = {{"dtype", tensor.dtype}, {"shape", tensor.shape}, {"data_offsets", {offset, end}}};
    offset = end;
  }
  std::string text = header.dump();
  text.resize((text.size() + 7) / 8 * 8, ' ');  // keeps the data aligned to 8 bytes
  return text;
}

}  // namespace

SafetensorsWriter::SafetensorsWriter(std::filesystem::path path, std::vector<SafetensorsLayout> layout,
                                     const std::vector<std::pair<std::string, std::string>>& metadata)
    : path_(std::move(path)),
      temporary_(path_.string() + fmt::format(".tmp{}", ::getpid())),
      layout_(std::move(layout)) {
  std::set<std::string_view> names;
  for (const SafetensorsLayout& tensor : layout_) {
    if (element_bytes(tensor.dtype) == 0) {
      throw DataError(fmt::format("{}: tensor \"{}\": dtype \"{}\" cannot be written", path_.string(),
                                  tensor.name, tensor.dtype));
    }
    if (!names.insert(tensor.name).second || tensor.name == "__metadata__") {
      throw DataError(
          fmt::format("{}: tensor name \"{}\" is repeated or reserved", path_.string(), tensor.name));
    }
  }
  fd_ = ::open(temporary_.c_str(), O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0644);
  if (fd_ < 0) fail("create");
  try {
    const std::string header = header_text(layout_, metadata);
    const uint64_t length = header.size();
    write(&length, sizeof length);
    write(header.data(), header.size());
  } catch (...) {
    ::close(fd_);
    ::unlink(temporary_.c_str());
    throw;
  }
}

SafetensorsWriter::~SafetensorsWriter() {
  if (fd_ < 0) return;
  ::close(fd_);
  ::unlink(temporary_.c_str());
}

void SafetensorsWriter::fail(const std::string& what) const {
  throw DataError(fmt::format("{}: {} failed: {}", path_.string(), what, std::strerror(errno)));
}

void SafetensorsWriter::write(const void* data, size_t size) {
  const char* next = static_cast<const char*>(data);
  while (size > 0) {
    const ssize_t written = ::write(fd_, next, size);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) fail("write");
    next += written;
    size -= static_cast<size_t>(written);
  }
}

void SafetensorsWriter::append(std::span<const std::byte> data) {
  QB_CHECK(next_ < layout_.size(), path_.string());
  const SafetensorsLayout& tensor = layout_[next_];
  if (data.size() != layout_bytes(tensor)) {
    throw DataError(fmt::format("{}: tensor \"{}\": shape [{}] of {} needs {} bytes, got {}", path_.string(),
                                tensor.name, fmt::join(tensor.shape, ", "), tensor.dtype,
                                layout_bytes(tensor), data.size()));
  }
  write(data.data(), data.size());
  ++next_;
}

void SafetensorsWriter::finish() {
  QB_CHECK(next_ == layout_.size(), path_.string());
  if (::fsync(fd_) != 0) fail("write");
  const int fd = std::exchange(fd_, -1);
  if (::close(fd) != 0 || ::rename(temporary_.c_str(), path_.c_str()) != 0) {
    const int saved = errno;
    ::unlink(temporary_.c_str());
    errno = saved;
    fail("write");
  }
}

void write_safetensors(const std::filesystem::path& path, std::span<const SafetensorsTensor> tensors,
                       const std::vector<std::pair<std::string, std::string>>& metadata) {
  std::vector<SafetensorsLayout> layout;
  layout.reserve(tensors.size());
  for (const SafetensorsTensor& tensor : tensors) layout.push_back({tensor.name, tensor.dtype, tensor.shape});
  SafetensorsWriter writer(path, std::move(layout), metadata);
  for (const SafetensorsTensor& tensor : tensors) writer.append(tensor.data);
  writer.finish();
}

}  // namespace qbench::models
