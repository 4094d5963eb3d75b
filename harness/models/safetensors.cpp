#include "harness/models/safetensors.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <tuple>

#include "harness/core/errors.h"
#include "harness/models/float_formats.h"

namespace qbench::models {
namespace {

using Json = nlohmann::json;

constexpr uint64_t kMaxHeaderBytes = 100'000'000;  // the limit of the reference implementation

struct DtypeInfo {
  std::string_view name;
  uint64_t bits;
};
constexpr std::array kDtypes = {
    DtypeInfo{"BOOL", 8},        DtypeInfo{"F4", 4},          DtypeInfo{"F6_E2M3", 6},
    DtypeInfo{"F6_E3M2", 6},     DtypeInfo{"U8", 8},          DtypeInfo{"I8", 8},
    DtypeInfo{"F8_E5M2", 8},     DtypeInfo{"F8_E4M3", 8},     DtypeInfo{"F8_E8M0", 8},
    DtypeInfo{"F8_E4M3FNUZ", 8}, DtypeInfo{"F8_E5M2FNUZ", 8}, DtypeInfo{"I16", 16},
    DtypeInfo{"U16", 16},        DtypeInfo{"F16", 16},        DtypeInfo{"BF16", 16},
    DtypeInfo{"I32", 32},        DtypeInfo{"U32", 32},        DtypeInfo{"F32", 32},
    DtypeInfo{"C64", 64},        DtypeInfo{"F64", 64},        DtypeInfo{"I64", 64},
    DtypeInfo{"U64", 64},
};

const DtypeInfo* find_dtype(std::string_view name) {
  const auto it = std::ranges::find(kDtypes, name, &DtypeInfo::name);
  return it == kDtypes.end() ? nullptr : &*it;
}

std::string dtype_names() {
  std::vector<std::string_view> names;
  for (const DtypeInfo& dtype : kDtypes) names.push_back(dtype.name);
  return fmt::format("{}", fmt::join(names, ", "));
}

/// Bytes of a tensor, or nullopt if the product overflows or does not fill whole bytes.
std::optional<uint64_t> tensor_bytes(const std::vector<int64_t>& shape, uint64_t bits_per_element) {
  uint64_t bits = bits_per_element;
  for (const int64_t dimension : shape) {
    if (dimension < 0 || __builtin_mul_overflow(bits, static_cast<uint64_t>(dimension), &bits))
      return std::nullopt;
  }
  return bits % 8 == 0 ? std::optional(bits / 8) : std::nullopt;
}

/// Reads and checks one header; every complaint names the file and, where there is one, the tensor.
class HeaderParser {
 public:
  explicit HeaderParser(const MappedFile& map) : map_(map) {}

  size_t data_offset() const { return data_offset_; }
  std::vector<SafetensorsEntry> entries;
  std::vector<std::pair<std::string, std::string>> metadata;

  void parse() {
    const Json header = parse_json(header_text());
    for (const auto& [name, value] : header.items()) {
      if (name == "__metadata__") {
        read_metadata(value);
      } else {
        entries.push_back(read_entry(name, value));
      }
    }
    check_coverage();
  }

 private:
  [[noreturn]] void fail(const std::string& what) const {
    throw DataError(
        fmt::format("{}: {}. The file is damaged or no safetensors file; fetch or write it again.",
                    map_.path().string(), what));
  }
  [[noreturn]] void fail(const std::string& tensor, const std::string& what) const {
    fail(fmt::format("tensor \"{}\": {}", tensor, what));
  }

  std::string_view header_text() {
    const auto bytes = map_.bytes();
    if (bytes.size() < 8)
      fail(fmt::format("found {} bytes; expected at least the 8 bytes of the header length", bytes.size()));
    uint64_t length = 0;
    std::memcpy(&length, bytes.data(), 8);
    if (length > kMaxHeaderBytes) {
      fail(fmt::format("header length is {}; expected at most {}", length, kMaxHeaderBytes));
    }
    if (length > bytes.size() - 8) {
      fail(fmt::format("header length is {}, but only {} bytes follow it", length, bytes.size() - 8));
    }
    data_offset_ = 8 + static_cast<size_t>(length);
    const std::string_view text(reinterpret_cast<const char*>(bytes.data()) + 8, static_cast<size_t>(length));
    const size_t start = text.find_first_not_of(" \t\r\n");
    if (start == std::string_view::npos || text[start] != '{')
      fail("header does not start with '{'; expected a JSON object");
    // The JSON library takes a NUL byte for the end of the text.
    if (text.find('\0') != std::string_view::npos)
      fail("header holds a NUL byte; expected JSON padded with spaces");
    return text;
  }

  Json parse_json(std::string_view text) const {
    std::set<std::string> names;
    std::string repeated;
    const auto watch = [&](int depth, Json::parse_event_t event, Json& value) {
      if (event == Json::parse_event_t::key && depth == 1) {
        auto name = value.get<std::string>();
        if (!names.insert(name).second) repeated = std::move(name);
      }
      return true;
    };
    Json header;
    try {
      header = Json::parse(text, watch);
    } catch (const Json::exception& error) {
      fail(fmt::format("header is no valid JSON ({})", error.what()));
    }
    if (!repeated.empty()) fail(repeated, "the name occurs twice");
    return header;
  }

  void read_metadata(const Json& value) {
    if (!value.is_object()) fail("__metadata__ is no object; expected an object of strings");
    for (const auto& [key, text] : value.items()) {
      if (!text.is_string())
        fail(fmt::format("__metadata__ key \"{}\" holds {}; expected a string", key, text.dump()));
      metadata.emplace_back(key, text.get<std::string>());
    }
  }

  const Json& member(const std::string& name, const Json& value, const char* key) const {
    const auto it = value.find(key);
    if (it == value.end()) fail(name, fmt::format("has no \"{}\"", key));
    return *it;
  }

  uint64_t unsigned_number(const std::string& name, const Json& value, const char* key) const {
    if (!value.is_number_unsigned()) {
      fail(name, fmt::format("{} holds {}; expected a non-negative integer", key, value.dump()));
    }
    return value.get<uint64_t>();
  }

  SafetensorsEntry read_entry(const std::string& name, const Json& value) const {
    if (!value.is_object()) fail(name, "is no object; expected dtype, shape and data_offsets");
    SafetensorsEntry entry;
    entry.name = name;
    const Json& dtype = member(name, value, "dtype");
    const DtypeInfo* info = dtype.is_string() ? find_dtype(dtype.get_ref<const std::string&>()) : nullptr;
    if (info == nullptr)
      fail(name, fmt::format("dtype is {}; expected one of {}", dtype.dump(), dtype_names()));
    entry.dtype = info->name;
    const Json& shape = member(name, value, "shape");
    if (!shape.is_array()) fail(name, "shape is no array");
    for (const Json& dimension : shape) {
      const uint64_t size = unsigned_number(name, dimension, "shape");
      if (size > static_cast<uint64_t>(INT64_MAX))
        fail(name, fmt::format("shape [{}] overflows 64 bits", size));
      entry.shape.push_back(static_cast<int64_t>(size));
    }
    const Json& offsets = member(name, value, "data_offsets");
    if (!offsets.is_array() || offsets.size() != 2)
      fail(name, "data_offsets must be two integers [begin, end]");
    entry.begin = unsigned_number(name, offsets[0], "data_offsets");
    entry.end = unsigned_number(name, offsets[1], "data_offsets");
    check_range(entry, info->bits);
    return entry;
  }

  void check_range(const SafetensorsEntry& entry, uint64_t bits) const {
    const uint64_t available = map_.bytes().size() - data_offset_;
    if (entry.begin > entry.end || entry.end > available) {
      fail(entry.name, fmt::format("data_offsets [{}, {}] do not lie in order inside the {} bytes of data",
                                   entry.begin, entry.end, available));
    }
    const auto needed = tensor_bytes(entry.shape, bits);
    if (!needed) {
      fail(entry.name, fmt::format("size of shape [{}] x {} overflows or is no whole number of bytes",
                                   fmt::join(entry.shape, ", "), entry.dtype));
    }
    if (*needed != entry.end - entry.begin) {
      fail(entry.name,
           fmt::format("shape [{}] of {} needs {} bytes, data_offsets give {}", fmt::join(entry.shape, ", "),
                       entry.dtype, *needed, entry.end - entry.begin));
    }
  }

  /// The format asks that the tensors cover the data section without holes and overlaps.
  void check_coverage() {
    std::ranges::sort(entries, [](const auto& a, const auto& b) {
      return std::tie(a.begin, a.end, a.name) < std::tie(b.begin, b.end, b.name);
    });
    uint64_t covered = 0;
    for (const SafetensorsEntry& entry : entries) {
      if (entry.begin != covered) {
        fail(entry.name,
             fmt::format("data start at byte {}; expected {} ({})", entry.begin, covered,
                         entry.begin < covered ? "tensors overlap" : "bytes belong to no tensor"));
      }
      covered = entry.end;
    }
    const uint64_t available = map_.bytes().size() - data_offset_;
    if (covered != available) {
      fail(fmt::format("tensors cover {} bytes, but {} bytes of data follow the header", covered, available));
    }
  }

  const MappedFile& map_;
  size_t data_offset_ = 0;
};

/// Copies possibly unaligned values of type T through `convert` into out.
template <class T, class Out, class Convert>
void convert_values(std::span<const std::byte> bytes, std::span<Out> out, Convert convert) {
  const std::byte* source = bytes.data();
  for (size_t i = 0; i < out.size(); ++i) {
    T value;
    std::memcpy(&value, source + i * sizeof(T), sizeof(T));
    out[i] = convert(value);
  }
}

template <class Out>
bool convert_integers(std::string_view dtype, std::span<const std::byte> bytes, std::span<Out> out) {
  const auto cast = [](auto value) { return static_cast<Out>(value); };
  if (dtype == "I64") return convert_values<int64_t>(bytes, out, cast), true;
  if (dtype == "U64") return convert_values<uint64_t>(bytes, out, cast), true;
  if (dtype == "I32") return convert_values<int32_t>(bytes, out, cast), true;
  if (dtype == "U32") return convert_values<uint32_t>(bytes, out, cast), true;
  if (dtype == "I16") return convert_values<int16_t>(bytes, out, cast), true;
  if (dtype == "U16") return convert_values<uint16_t>(bytes, out, cast), true;
  if (dtype == "I8") return convert_values<int8_t>(bytes, out, cast), true;
  if (dtype == "U8") return convert_values<uint8_t>(bytes, out, cast), true;
  if (dtype == "BOOL")
    return convert_values<uint8_t>(bytes, out, [](uint8_t v) { return static_cast<Out>(v != 0); }), true;
  return false;
}

bool convert_floats(std::string_view dtype, std::span<const std::byte> bytes, std::span<float> out) {
  if (dtype == "F32") {
    if (!bytes.empty()) std::memcpy(out.data(), bytes.data(), bytes.size());
    return true;
  }
  if (dtype == "BF16") return convert_values<uint16_t>(bytes, out, widen_bf16), true;
  if (dtype == "F16") return convert_values<uint16_t>(bytes, out, widen_f16), true;
  if (dtype == "F64")
    return convert_values<double>(bytes, out, [](double v) { return static_cast<float>(v); }), true;
  if (dtype == "F8_E4M3") return convert_values<uint8_t>(bytes, out, widen_f8_e4m3), true;
  if (dtype == "F8_E5M2") return convert_values<uint8_t>(bytes, out, widen_f8_e5m2), true;
  return false;
}

}  // namespace

int64_t SafetensorsEntry::numel() const {
  int64_t count = 1;
  for (const int64_t dimension : shape) count *= dimension;
  return count;
}

SafetensorsFile::SafetensorsFile(const std::filesystem::path& path) : map_(path) {
  HeaderParser parser(map_);
  parser.parse();
  data_offset_ = parser.data_offset();
  entries_ = std::move(parser.entries);
  metadata_ = std::move(parser.metadata);
  for (size_t i = 0; i < entries_.size(); ++i) index_.emplace(entries_[i].name, i);
}

const SafetensorsEntry* SafetensorsFile::find(std::string_view name) const {
  const auto it = index_.find(name);
  return it == index_.end() ? nullptr : &entries_[it->second];
}

const SafetensorsEntry& SafetensorsFile::required(std::string_view name) const {
  if (const SafetensorsEntry* entry = find(name)) return *entry;
  std::vector<std::string> names;
  for (const SafetensorsEntry& entry : entries_) names.push_back(entry.name);
  throw DataError(fmt::format("{}: there is no tensor \"{}\" among its {}.{}", path().string(), name,
                              names.size(), did_you_mean(name, names)));
}

std::span<const std::byte> SafetensorsFile::bytes(const SafetensorsEntry& entry) const {
  QB_CHECK(entry.begin <= entry.end && entry.end <= map_.bytes().size() - data_offset_, entry.name);
  return map_.bytes().subspan(data_offset_ + entry.begin, entry.end - entry.begin);
}

void SafetensorsFile::read_float(const SafetensorsEntry& entry, std::span<float> out) const {
  QB_CHECK(out.size() == static_cast<size_t>(entry.numel()), entry.name);
  const auto data = bytes(entry);
  if (!convert_floats(entry.dtype, data, out) && !convert_integers(entry.dtype, data, out)) {
    throw DataError(
        fmt::format("{}: tensor \"{}\": dtype {} cannot be read as float32; expected F32, BF16, F16, F64, "
                    "F8_E4M3, F8_E5M2 or an integer type. Convert the checkpoint.",
                    path().string(), entry.name, entry.dtype));
  }
}

std::vector<float> SafetensorsFile::floats(std::string_view name) const {
  const SafetensorsEntry& entry = required(name);
  std::vector<float> values(static_cast<size_t>(entry.numel()));
  read_float(entry, values);
  return values;
}

std::vector<int64_t> SafetensorsFile::integers(std::string_view name) const {
  const SafetensorsEntry& entry = required(name);
  std::vector<int64_t> values(static_cast<size_t>(entry.numel()));
  if (!convert_integers(entry.dtype, bytes(entry), std::span<int64_t>(values))) {
    throw DataError(fmt::format("{}: tensor \"{}\": dtype is {}; expected an integer type", path().string(),
                                name, entry.dtype));
  }
  return values;
}

void SafetensorsFile::release(const SafetensorsEntry& entry) const {
  map_.release(data_offset_ + entry.begin, entry.end - entry.begin);
}

}  // namespace qbench::models
