#include "harness/core/fields.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>

#include "harness/core/errors.h"

namespace qbench {
namespace {

template <class T>
bool parse_exact(const std::string& text, T& value) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size();
}

[[noreturn]] void bad_value(const FieldSpec& spec, std::string_view owner, const std::string& text,
                            const std::string& expected) {
  throw ConfigError(fmt::format("{}: {}: found \"{}\"; expected {}. Drop the key for the default ({}).",
                                owner, spec.key, text, expected,
                                spec.default_value.empty() ? "none" : spec.default_value));
}

void check_range(const FieldSpec& spec, std::string_view owner, const std::string& text, double value) {
  if (!std::isfinite(value) || (spec.bounded && (value < spec.lo || value > spec.hi))) {
    bad_value(spec, owner, text, fmt::format("a value in {}", spec.range));
  }
}

}  // namespace

Json FieldSpec::json() const {
  Json out = {{"key", key}, {"type", type}, {"default", default_value}, {"help", help}};
  if (!range.empty()) out["range"] = range;
  if (bounded) out["bounds"] = {lo, hi};
  if (!choices.empty()) out["choices"] = choices;
  return out;
}

FieldSpec FieldSpec::from_json(const Json& json) {
  FieldSpec spec;
  spec.key = json.at("key");
  spec.type = json.at("type");
  spec.default_value = json.at("default");
  spec.help = json.at("help");
  spec.range = json.value("range", "");
  if (json.contains("choices")) spec.choices = json.at("choices").get<std::vector<std::string>>();
  if (json.contains("bounds")) {
    spec.bounded = true;
    spec.lo = json.at("bounds").at(0);
    spec.hi = json.at("bounds").at(1);
  }
  return spec;
}

std::string print_number(double value) { return fmt::format("{}", value); }

std::string check_field(const FieldSpec& spec, std::string_view owner, const std::string& text) {
  if (spec.type == "bool") {
    if (text == "true" || text == "false") return text;
    bad_value(spec, owner, text, "true or false");
  }
  if (spec.type == "int") {
    int64_t value = 0;
    if (!parse_exact(text, value))
      bad_value(spec, owner, text, "an integer" + (spec.range.empty() ? "" : " in " + spec.range));
    check_range(spec, owner, text, static_cast<double>(value));
    return std::to_string(value);
  }
  if (spec.type == "float") {
    double value = 0;
    if (!parse_exact(text, value))
      bad_value(spec, owner, text, "a number" + (spec.range.empty() ? "" : " in " + spec.range));
    check_range(spec, owner, text, value);
    return print_number(value);
  }
  if (!spec.choices.empty() &&
      std::find(spec.choices.begin(), spec.choices.end(), text) == spec.choices.end()) {
    bad_value(spec, owner, text,
              fmt::format("one of {}{}", fmt::join(spec.choices, ", "), did_you_mean(text, spec.choices)));
  }
  return text;
}

std::vector<std::pair<std::string, std::string>> check_call(const std::vector<FieldSpec>& specs,
                                                            const Call& call, std::string_view what) {
  std::vector<std::string> keys;
  for (const FieldSpec& spec : specs) keys.push_back(spec.key);
  for (const auto& [key, value] : call.args) {
    if (std::find(keys.begin(), keys.end(), key) == keys.end()) {
      throw ConfigError(fmt::format("{} {}: unknown parameter \"{}\".{} Known: {}.", what, call.name, key,
                                    did_you_mean(key, keys),
                                    keys.empty() ? "none" : fmt::format("{}", fmt::join(keys, ", "))));
    }
  }
  std::vector<std::pair<std::string, std::string>> values;
  for (const FieldSpec& spec : specs) {
    const std::string* given = call.find(spec.key);
    values.emplace_back(spec.key, given == nullptr
                                      ? spec.default_value
                                      : check_field(spec, fmt::format("{} {}", what, call.name), *given));
  }
  return values;
}

namespace detail {

bool parse_bool(const std::string& text) { return text == "true"; }

int64_t parse_int(const std::string& text) {
  int64_t value = 0;
  QB_CHECK(parse_exact(text, value), text);
  return value;
}

double parse_double(const std::string& text) {
  double value = 0;
  QB_CHECK(parse_exact(text, value), text);
  return value;
}

void SpecCollector::add(const char* key, const char* type, std::string value, const char* help) {
  FieldSpec spec;
  spec.key = key;
  spec.type = type;
  spec.default_value = std::move(value);
  spec.help = help;
  specs.push_back(std::move(spec));
}

void SpecCollector::bound(double lo, double hi) {
  FieldSpec& spec = specs.back();
  spec.bounded = true;
  spec.lo = lo;
  spec.hi = hi;
  spec.range = fmt::format("[{}, {}]", print_number(lo), print_number(hi));
}

}  // namespace detail
}  // namespace qbench
