#include "harness/models/gguf.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <limits>

#include "harness/core/errors.h"
#include "harness/models/gguf_blocks.h"

namespace qbench::models {
namespace {

constexpr uint32_t kMagic = 0x46554747;  // "GGUF"
constexpr int64_t kDefaultAlignment = 32;
constexpr uint32_t kMaxDimensions = 4;
constexpr uint64_t kMaxNameBytes = 65535;

enum ValueType : uint32_t {
  kU8,
  kI8,
  kU16,
  kI16,
  kU32,
  kI32,
  kF32,
  kBool,
  kString,
  kArray,
  kU64,
  kI64,
  kF64
};
constexpr std::array<std::string_view, 13> kValueTypeNames = {
    "u8", "i8", "u16", "i16", "u32", "i32", "f32", "bool", "string", "array", "u64", "i64", "f64"};
constexpr std::array<uint64_t, 13> kValueTypeBytes = {1, 1, 2, 2, 4, 4, 4,
                                                      1, 8, 0, 8, 8, 8};  // least bytes of one element

/// A position in the mapped file that cannot leave it.
class Cursor {
 public:
  explicit Cursor(const MappedFile& map) : map_(map), bytes_(map.bytes()) {}

  uint64_t position() const { return position_; }
  uint64_t remaining() const { return bytes_.size() - position_; }
  void set_subject(std::string subject) { subject_ = std::move(subject); }

  [[noreturn]] void fail(const std::string& what) const {
    throw DataError(fmt::format("{}: {}{}. The file is damaged or not a GGUF file; fetch it again.",
                                map_.path().string(), subject_.empty() ? "" : subject_ + ": ", what));
  }

  template <class T>
  T read() {
    if (remaining() < sizeof(T))
      fail(fmt::format("file ends at byte {} in the middle of the header", bytes_.size()));
    T value;
    std::memcpy(&value, bytes_.data() + position_, sizeof(T));
    position_ += sizeof(T);
    return value;
  }

  std::string string() {
    const auto length = read<uint64_t>();
    if (length > remaining())
      fail(fmt::format("string of {} bytes, but only {} bytes are left", length, remaining()));
    std::string text(reinterpret_cast<const char*>(bytes_.data()) + position_, static_cast<size_t>(length));
    position_ += length;
    return text;
  }

  /// Keys and tensor names: printable ASCII, so that messages and reports can show them.
  std::string name(std::string_view what) {
    std::string text = string();
    const bool printable = std::ranges::all_of(text, [](char c) { return c > ' ' && c <= '~'; });
    if (text.empty() || text.size() > kMaxNameBytes || !printable) {
      fail(fmt::format("{} is empty, too long or no printable ASCII", what));
    }
    return text;
  }

 private:
  const MappedFile& map_;
  std::span<const std::byte> bytes_;
  uint64_t position_ = 0;
  std::string subject_;
};

int64_t read_integer(Cursor& cursor, uint32_t type) {
  switch (type) {
    case kU8:
      return cursor.read<uint8_t>();
    case kI8:
      return cursor.read<int8_t>();
    case kU16:
      return cursor.read<uint16_t>();
    case kI16:
      return cursor.read<int16_t>();
    case kU32:
      return cursor.read<uint32_t>();
    case kI32:
      return cursor.read<int32_t>();
    case kI64:
      return cursor.read<int64_t>();
    default: {
      const auto value = cursor.read<uint64_t>();
      if (value > static_cast<uint64_t>(INT64_MAX))
        cursor.fail(fmt::format("value {} exceeds 63 bits", value));
      return static_cast<int64_t>(value);
    }
  }
}

double read_number(Cursor& cursor, uint32_t type) {
  return type == kF32 ? static_cast<double>(cursor.read<float>()) : cursor.read<double>();
}

bool read_bool(Cursor& cursor) {
  const auto value = cursor.read<uint8_t>();
  if (value > 1) cursor.fail(fmt::format("bool holds {}; expected 0 or 1", value));
  return value == 1;
}

uint32_t read_type(Cursor& cursor) {
  const auto type = cursor.read<uint32_t>();
  if (type >= kValueTypeNames.size())
    cursor.fail(fmt::format("value type {} is unknown; expected 0 to 12", type));
  return type;
}

template <class T, class Read>
std::vector<T> read_elements(uint64_t count, Read read) {
  std::vector<T> out;
  out.reserve(static_cast<size_t>(count));
  for (uint64_t i = 0; i < count; ++i) out.push_back(read());
  return out;
}

GgufValue read_array(Cursor& cursor) {
  const uint32_t type = read_type(cursor);
  if (type == kArray) cursor.fail("is an array of arrays, which model files do not use");
  const auto count = cursor.read<uint64_t>();
  // Checked before anything is reserved: a hostile count must not allocate.
  if (count > cursor.remaining() / kValueTypeBytes[type]) {
    cursor.fail(fmt::format("array of {} {} elements does not fit the {} bytes left", count,
                            kValueTypeNames[type], cursor.remaining()));
  }
  GgufValue out;
  out.type = fmt::format("array<{}>", kValueTypeNames[type]);
  switch (type) {
    case kString:
      out.value = read_elements<std::string>(count, [&] { return cursor.string(); });
      break;
    case kBool:
      out.value = read_elements<bool>(count, [&] { return read_bool(cursor); });
      break;
    case kF32:
    case kF64:
      out.value = read_elements<double>(count, [&] { return read_number(cursor, type); });
      break;
    default:
      out.value = read_elements<int64_t>(count, [&] { return read_integer(cursor, type); });
  }
  return out;
}

GgufValue read_value(Cursor& cursor) {
  const uint32_t type = read_type(cursor);
  if (type == kArray) return read_array(cursor);
  GgufValue out;
  out.type = kValueTypeNames[type];
  switch (type) {
    case kString:
      out.value = cursor.string();
      break;
    case kBool:
      out.value = read_bool(cursor);
      break;
    case kF32:
    case kF64:
      out.value = read_number(cursor, type);
      break;
    default:
      out.value = read_integer(cursor, type);
  }
  return out;
}

GgufTensor read_tensor(Cursor& cursor) {
  cursor.set_subject("");
  GgufTensor tensor;
  tensor.name = cursor.name("tensor name");
  cursor.set_subject(fmt::format("tensor \"{}\"", tensor.name));
  const auto dimensions = cursor.read<uint32_t>();
  if (dimensions == 0 || dimensions > kMaxDimensions)
    cursor.fail(fmt::format("has {} dimensions; expected 1 to 4", dimensions));
  uint64_t weights = 1;
  for (uint32_t i = 0; i < dimensions; ++i) {
    const auto size = cursor.read<uint64_t>();
    // A factor 8 below 2^63 leaves room for the bytes of the widest element.
    if (size == 0 || __builtin_mul_overflow(weights, size, &weights) ||
        weights > static_cast<uint64_t>(INT64_MAX) / 8) {
      cursor.fail(
          fmt::format("dimension {} is {}; expected at least 1 and fewer than 2^60 weights", i, size));
    }
    tensor.shape.insert(tensor.shape.begin(), static_cast<int64_t>(size));
  }
  tensor.type = cursor.read<uint32_t>();
  const GgufType* type = gguf_type(tensor.type);
  if (type == nullptr) cursor.fail(fmt::format("tensor type number {} is unknown", tensor.type));
  if (tensor.shape.back() % type->block_weights != 0) {
    cursor.fail(fmt::format("rows of {} weights are no multiple of {}'s block of {}", tensor.shape.back(),
                            type->name, type->block_weights));
  }
  tensor.bytes = weights / static_cast<uint64_t>(type->block_weights) * type->block_bytes;
  tensor.offset = cursor.read<uint64_t>();  // relative to the data section; made absolute once that is known
  return tensor;
}

uint64_t read_alignment(const Cursor& cursor, const std::map<std::string, GgufValue, std::less<>>& values) {
  const auto it = values.find("general.alignment");
  if (it == values.end()) return kDefaultAlignment;
  const auto* alignment = std::get_if<int64_t>(&it->second.value);
  if (alignment == nullptr || *alignment < 1 || *alignment > (1 << 20) ||
      (*alignment & (*alignment - 1)) != 0) {
    cursor.fail("general.alignment must be a power of two");
  }
  return static_cast<uint64_t>(*alignment);
}

/// Makes offsets absolute and checks that every tensor lies inside the file and on no other tensor.
void place_tensors(Cursor& cursor, std::vector<GgufTensor>& tensors, uint64_t alignment,
                   uint64_t file_bytes) {
  const uint64_t start = (cursor.position() + alignment - 1) / alignment * alignment;
  std::vector<const GgufTensor*> order;
  for (GgufTensor& tensor : tensors) {
    cursor.set_subject(fmt::format("tensor \"{}\"", tensor.name));
    if (tensor.offset % alignment != 0)
      cursor.fail(fmt::format("offset {} is no multiple of the alignment {}", tensor.offset, alignment));
    const uint64_t available = file_bytes > start ? file_bytes - start : 0;
    if (tensor.offset > available || tensor.bytes > available - tensor.offset) {
      cursor.fail(fmt::format("{} bytes at offset {} do not fit the {} bytes of data", tensor.bytes,
                              tensor.offset, available));
    }
    tensor.offset += start;
    order.push_back(&tensor);
  }
  std::ranges::sort(order, {}, &GgufTensor::offset);
  for (size_t i = 1; i < order.size(); ++i) {
    if (order[i - 1]->offset + order[i - 1]->bytes > order[i]->offset) {
      cursor.set_subject(fmt::format("tensor \"{}\"", order[i]->name));
      cursor.fail(fmt::format("overlaps tensor \"{}\"", order[i - 1]->name));
    }
  }
}

uint32_t read_version(Cursor& cursor) {
  if (cursor.read<uint32_t>() != kMagic) cursor.fail("does not start with \"GGUF\"");
  const auto version = cursor.read<uint32_t>();
  if (version != 2 && version != 3) {
    cursor.fail(version > 0xFFFF ? "is a big-endian GGUF file; only little-endian files can be read"
                                 : fmt::format("GGUF version is {}; expected 2 or 3", version));
  }
  return version;
}

}  // namespace

int64_t GgufTensor::numel() const {
  int64_t count = 1;
  for (const int64_t dimension : shape) count *= dimension;
  return count;
}

GgufFile::GgufFile(const std::filesystem::path& path) : map_(path) {
  Cursor cursor(map_);
  version_ = read_version(cursor);
  const auto tensor_count = cursor.read<uint64_t>();
  const auto value_count = cursor.read<uint64_t>();
  // Each entry takes at least this many bytes, so larger counts are lies.
  if (tensor_count > cursor.remaining() / 24)
    cursor.fail(fmt::format("{} tensors cannot fit the file", tensor_count));
  if (value_count > cursor.remaining() / 13)
    cursor.fail(fmt::format("{} metadata entries cannot fit the file", value_count));
  for (uint64_t i = 0; i < value_count; ++i) {
    cursor.set_subject("");
    std::string key = cursor.name("metadata key");
    cursor.set_subject(key);
    if (values_.contains(key)) cursor.fail("the key occurs twice");
    values_.emplace(std::move(key), read_value(cursor));
  }
  tensors_.reserve(static_cast<size_t>(tensor_count));
  for (uint64_t i = 0; i < tensor_count; ++i) {
    tensors_.push_back(read_tensor(cursor));
    if (!tensor_index_.emplace(tensors_.back().name, tensors_.size() - 1).second)
      cursor.fail("the name occurs twice");
  }
  cursor.set_subject("");
  place_tensors(cursor, tensors_, read_alignment(cursor, values_), map_.bytes().size());
}

const GgufValue* GgufFile::find(std::string_view key) const {
  const auto it = values_.find(key);
  return it == values_.end() ? nullptr : &it->second;
}

const GgufTensor* GgufFile::find_tensor(std::string_view name) const {
  const auto it = tensor_index_.find(name);
  return it == tensor_index_.end() ? nullptr : &tensors_[it->second];
}

std::span<const std::byte> GgufFile::bytes(const GgufTensor& tensor) const {
  QB_CHECK(tensor.offset <= map_.bytes().size() && tensor.bytes <= map_.bytes().size() - tensor.offset,
           tensor.name);
  return map_.bytes().subspan(tensor.offset, tensor.bytes);
}

void GgufFile::release(const GgufTensor& tensor) const { map_.release(tensor.offset, tensor.bytes); }

}  // namespace qbench::models
