#include "harness/models/arch/config_reader.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <array>
#include <cmath>
#include <limits>

#include "harness/core/errors.h"
#include "harness/core/files.h"

namespace qbench::models {
namespace {

constexpr std::string_view kFloatKey = "__float__";

/// Replaces bare NaN and infinities outside strings by {"__float__": "..."}.
std::string replace_bare_words(const std::string& text) {
  static constexpr std::array<std::string_view, 3> words = {"-Infinity", "Infinity", "NaN"};
  std::string out;
  out.reserve(text.size());
  bool in_string = false;
  for (size_t i = 0; i < text.size();) {
    if (in_string && text[i] == '\\' && i + 1 < text.size()) {
      out.append(text, i, 2);
      i += 2;
      continue;
    }
    if (text[i] == '"') in_string = !in_string;
    size_t matched = 0;
    for (const std::string_view word : words) {
      if (!in_string && matched == 0 && text.compare(i, word.size(), word) == 0) {
        out += fmt::format("{{\"{}\": \"{}\"}}", kFloatKey, word);
        matched = word.size();
      }
    }
    if (matched == 0) out += text[i];
    i += matched == 0 ? 1 : matched;
  }
  return out;
}

std::optional<double> as_number(const OrderedJson& value) {
  if (value.is_number()) return value.get<double>();
  if (!value.is_object() || !value.contains(kFloatKey) || !value[std::string(kFloatKey)].is_string())
    return std::nullopt;
  const auto word = value[std::string(kFloatKey)].get<std::string>();
  if (word == "Infinity") return std::numeric_limits<double>::infinity();
  if (word == "-Infinity") return -std::numeric_limits<double>::infinity();
  return word == "NaN" ? std::optional(std::numeric_limits<double>::quiet_NaN()) : std::nullopt;
}

std::string shown(const OrderedJson& value) {
  std::string text = value.dump(-1, ' ', false, OrderedJson::error_handler_t::replace);
  return text.size() > 60 ? text.substr(0, 57) + "..." : text;
}

}  // namespace

OrderedJson parse_lenient_json(const std::string& text, const std::string& where) {
  try {
    return OrderedJson::parse(replace_bare_words(text));
  } catch (const OrderedJson::exception& error) {
    throw DataError(fmt::format("{}: no valid JSON ({}). Fetch the file again.", where, error.what()));
  }
}

ConfigReader::ConfigReader(const std::filesystem::path& path) : where_(path.string()) {
  owned_ = parse_lenient_json(read_text_file(path), where_);
  if (!owned_.is_object())
    throw DataError(fmt::format("{}: found {}; expected a JSON object", where_, shown(owned_)));
  object_ = &owned_;
}

ConfigReader::ConfigReader(ConfigReader& parent, const OrderedJson& object, std::string prefix)
    : object_(&object), where_(parent.where_), prefix_(std::move(prefix)), parent_(&parent) {}

const OrderedJson* ConfigReader::find(const char* key) const {
  const auto it = object_->find(key);
  return it == object_->end() || it->is_null() ? nullptr : &*it;
}

bool ConfigReader::has(std::string_view key) const { return find(std::string(key).c_str()) != nullptr; }

void ConfigReader::problem(std::string text) {
  if (parent_ != nullptr) return parent_->problem(prefix_ + text);
  problems_.push_back(std::move(text));
}

void ConfigReader::expected(const char* key, const OrderedJson& found, const std::string& what) {
  problem(fmt::format("{}: found {}; expected {}", key, shown(found), what));
}

int64_t ConfigReader::integer(const char* key, int64_t lo, int64_t hi, std::optional<int64_t> fallback) {
  const OrderedJson* value = find(key);
  if (value == nullptr) {
    if (!fallback) problem(fmt::format("{}: is missing; expected an integer in [{}, {}]", key, lo, hi));
    return fallback.value_or(lo);
  }
  const auto number = value->is_number() ? value->get<double>() : std::numeric_limits<double>::quiet_NaN();
  // The range is checked on the double first: an integer beyond 2^63 must not be converted.
  if (!(number >= static_cast<double>(lo) && number <= static_cast<double>(hi)) ||
      number != std::floor(number)) {
    expected(key, *value, fmt::format("an integer in [{}, {}]", lo, hi));
    return lo;
  }
  return value->is_number_float() ? static_cast<int64_t>(number) : value->get<int64_t>();
}

double ConfigReader::number(const char* key, double lo, double hi, std::optional<double> fallback) {
  const OrderedJson* value = find(key);
  if (value == nullptr) {
    if (!fallback) problem(fmt::format("{}: is missing; expected a number in [{}, {}]", key, lo, hi));
    return fallback.value_or(lo);
  }
  const auto number = as_number(*value);
  if (!number || !(*number >= lo && *number <= hi)) {
    expected(key, *value, fmt::format("a number in [{}, {}]", lo, hi));
    return lo;
  }
  return *number;
}

bool ConfigReader::boolean(const char* key, bool fallback) {
  const OrderedJson* value = find(key);
  if (value == nullptr) return fallback;
  if (value->is_boolean()) return value->get<bool>();
  expected(key, *value, "true or false");
  return fallback;
}

std::string ConfigReader::string(const char* key, const std::string& fallback) {
  const OrderedJson* value = find(key);
  if (value == nullptr) return fallback;
  if (value->is_string()) return value->get<std::string>();
  expected(key, *value, "a string");
  return fallback;
}

int64_t ConfigReader::token_id(const char* key, int64_t fallback) {
  const auto it = object_->find(key);
  if (it == object_->end()) return fallback;
  if (it->is_null() || (it->is_array() && it->empty())) return -1;
  const OrderedJson& id = it->is_array() ? it->front() : *it;
  if (id.is_number_integer() && id.get<double>() >= -1 && id.get<double>() < 2147483648.0)
    return id.get<int64_t>();
  expected(key, *it, "a token id, a list of them, or null");
  return -1;
}

const OrderedJson* ConfigReader::object(const char* key) {
  const OrderedJson* value = find(key);
  if (value == nullptr || value->is_object()) return value;
  expected(key, *value, "an object");
  return nullptr;
}

void ConfigReader::finish() const {
  if (!problems_.empty()) throw DataError(list_problems(where_, problems_));
}

std::string list_problems(const std::string& where, const std::vector<std::string>& problems) {
  constexpr size_t kShown = 20;
  if (problems.size() == 1) return fmt::format("{}: {}", where, problems.front());
  const size_t shown_count = std::min(problems.size(), kShown);
  std::string text = fmt::format("{}: {} problems:", where, problems.size());
  for (size_t i = 0; i < shown_count; ++i) text += "\n  " + problems[i];
  if (shown_count < problems.size()) text += fmt::format("\n  and {} more", problems.size() - shown_count);
  return text;
}

}  // namespace qbench::models
