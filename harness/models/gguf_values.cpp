// The typed getters of GgufFile.
#include <fmt/format.h>

#include "harness/core/errors.h"
#include "harness/models/gguf.h"

namespace qbench::models {
namespace {

[[noreturn]] void wrong_type(const GgufFile& file, std::string_view key, const GgufValue& found,
                             std::string_view expected) {
  throw DataError(fmt::format(
      "{}: {}: holds {}; expected {}. The file was written by an unusual converter; use another one.",
      file.path().string(), key, found.type, expected));
}

template <class T>
T required(const GgufFile& file, std::string_view key, std::optional<T> value, std::string_view expected) {
  if (value) return std::move(*value);
  std::vector<std::string> keys;
  for (const auto& [name, unused] : file.values()) keys.push_back(name);
  throw DataError(fmt::format("{}: there is no metadata key \"{}\" ({}).{}", file.path().string(), key,
                              expected, did_you_mean(key, keys)));
}

/// The value as T, an empty array of any type as an empty T, nullopt if the key is absent.
template <class T>
std::optional<T> scalar(const GgufFile& file, std::string_view key, std::string_view expected) {
  const GgufValue* found = file.find(key);
  if (found == nullptr) return std::nullopt;
  if (const T* value = std::get_if<T>(&found->value)) return *value;
  wrong_type(file, key, *found, expected);
}

bool is_empty_array(const GgufValue& value) {
  return std::visit(
      [](const auto& held) {
        if constexpr (requires { held.empty(); }) {
          return !std::is_same_v<std::decay_t<decltype(held)>, std::string> && held.empty();
        } else {
          return false;
        }
      },
      value.value);
}

template <class T>
std::optional<std::vector<T>> array(const GgufFile& file, std::string_view key, std::string_view expected) {
  const GgufValue* found = file.find(key);
  if (found == nullptr) return std::nullopt;
  if (const auto* value = std::get_if<std::vector<T>>(&found->value)) return *value;
  if (is_empty_array(*found)) return std::vector<T>();
  wrong_type(file, key, *found, expected);
}

}  // namespace

std::optional<std::string> GgufFile::maybe_string(std::string_view key) const {
  return scalar<std::string>(*this, key, "a string");
}
std::optional<int64_t> GgufFile::maybe_integer(std::string_view key) const {
  return scalar<int64_t>(*this, key, "an integer");
}
std::optional<bool> GgufFile::maybe_boolean(std::string_view key) const {
  return scalar<bool>(*this, key, "a bool");
}
std::optional<double> GgufFile::maybe_number(std::string_view key) const {
  const GgufValue* found = find(key);
  if (found != nullptr && std::holds_alternative<int64_t>(found->value)) {
    return static_cast<double>(std::get<int64_t>(found->value));
  }
  return scalar<double>(*this, key, "a number");
}
std::optional<std::vector<std::string>> GgufFile::maybe_strings(std::string_view key) const {
  return array<std::string>(*this, key, "an array of strings");
}
std::optional<std::vector<int64_t>> GgufFile::maybe_integers(std::string_view key) const {
  return array<int64_t>(*this, key, "an array of integers");
}
std::optional<std::vector<float>> GgufFile::maybe_floats(std::string_view key) const {
  const GgufValue* found = find(key);
  if (found != nullptr && std::holds_alternative<std::vector<int64_t>>(found->value)) {
    const auto& integers = std::get<std::vector<int64_t>>(found->value);
    return std::vector<float>(integers.begin(), integers.end());
  }
  const auto values = array<double>(*this, key, "an array of numbers");
  if (!values) return std::nullopt;
  return std::vector<float>(values->begin(), values->end());
}

std::string GgufFile::string(std::string_view key) const {
  return required(*this, key, maybe_string(key), "a string");
}
int64_t GgufFile::integer(std::string_view key) const {
  return required(*this, key, maybe_integer(key), "an integer");
}
double GgufFile::number(std::string_view key) const {
  return required(*this, key, maybe_number(key), "a number");
}
bool GgufFile::boolean(std::string_view key) const {
  return required(*this, key, maybe_boolean(key), "a bool");
}
std::vector<std::string> GgufFile::strings(std::string_view key) const {
  return required(*this, key, maybe_strings(key), "an array of strings");
}
std::vector<int64_t> GgufFile::integers(std::string_view key) const {
  return required(*this, key, maybe_integers(key), "an array of integers");
}
std::vector<float> GgufFile::floats(std::string_view key) const {
  return required(*this, key, maybe_floats(key), "an array of numbers");
}

}  // namespace qbench::models
