// Parameters as one list. A params struct has
//   template <class Visitor> void visit(Visitor& v) {
//     v("damp", damp, Range{0.0, 1.0}, "fraction of mean(diag H) added to diag H");
//     v("act_order", act_order, "visit columns by descending diag H");
//     v("order", order, OneOf{{"first", "last"}}, "which end to start from");      // std::string
//   }
// and everything else (parsing, range checks, `qbench describe`, docs, canonical strings) walks that list.
// Field types: bool, int64_t, double, std::string.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "harness/core/call.h"

namespace qbench {

using Json = nlohmann::json;
using OrderedJson = nlohmann::ordered_json;

template <class T>
struct Range {
  T lo;
  T hi;
};
template <class A, class B>
Range(A, B) -> Range<A>;

struct OneOf {
  std::vector<std::string> names;
};

/// What is known about one parameter; the source of `describe` and of range messages.
struct FieldSpec {
  std::string key;
  std::string type;  ///< "bool", "int", "float", "string"
  std::string default_value;
  std::string range;                 ///< "[1, 4096]" or ""
  std::vector<std::string> choices;  ///< for OneOf
  std::string help;
  double lo = 0, hi = 0;
  bool bounded = false;

  Json json() const;
  static FieldSpec from_json(const Json& json);
};

/// Number printed so that it reads back to the same double, shortest form ("0.5", "1e-05").
std::string print_number(double value);

/// Checks `text` against the spec and returns its canonical form. @throws ConfigError ("gptq: damp: found
/// "x"; expected ...").
std::string check_field(const FieldSpec& spec, std::string_view owner, const std::string& text);

/// Checks every argument of `call` against `specs`, fills in the defaults and returns key=value in spec
/// order.
/// @throws ConfigError on an unknown key (with the nearest known one) or a bad value.
std::vector<std::pair<std::string, std::string>> check_call(const std::vector<FieldSpec>& specs,
                                                            const Call& call, std::string_view what);

namespace detail {

bool parse_bool(const std::string& text);
int64_t parse_int(const std::string& text);
double parse_double(const std::string& text);

class SpecCollector {
 public:
  void operator()(const char* key, bool& value, const char* help) {
    add(key, "bool", value ? "true" : "false", help);
  }
  void operator()(const char* key, std::string& value, const char* help) { add(key, "string", value, help); }
  template <class T>
  void operator()(const char* key, int64_t& value, Range<T> range, const char* help) {
    add(key, "int", std::to_string(value), help);
    bound(static_cast<double>(range.lo), static_cast<double>(range.hi));
  }
  template <class T>
  void operator()(const char* key, double& value, Range<T> range, const char* help) {
    add(key, "float", print_number(value), help);
    bound(static_cast<double>(range.lo), static_cast<double>(range.hi));
  }
  void operator()(const char* key, std::string& value, const OneOf& choices, const char* help) {
    add(key, "string", value, help);
    specs.back().choices = choices.names;
  }
  std::vector<FieldSpec> specs;

 private:
  void add(const char* key, const char* type, std::string value, const char* help);
  void bound(double lo, double hi);
};

class ValueAssigner {
 public:
  explicit ValueAssigner(const std::vector<std::pair<std::string, std::string>>& values) : values_(values) {}
  template <class T, class... Rest>
  void operator()(const char* key, T& field, const Rest&...) {
    for (const auto& [name, text] : values_) {
      if (name == key) assign(field, text);
    }
  }

 private:
  static void assign(bool& field, const std::string& text) { field = parse_bool(text); }
  static void assign(int64_t& field, const std::string& text) { field = parse_int(text); }
  static void assign(double& field, const std::string& text) { field = parse_double(text); }
  static void assign(std::string& field, const std::string& text) { field = text; }
  const std::vector<std::pair<std::string, std::string>>& values_;
};

}  // namespace detail

template <class Params>
std::vector<FieldSpec> field_specs() {
  Params params;
  detail::SpecCollector collector;
  params.visit(collector);
  return std::move(collector.specs);
}

/// Params with the call's arguments applied over the defaults. @throws ConfigError.
template <class Params>
Params bind_fields(const Call& call, std::string_view what) {
  const auto values = check_call(field_specs<Params>(), call, what);
  Params params;
  detail::ValueAssigner assigner(values);
  params.visit(assigner);
  return params;
}

}  // namespace qbench
