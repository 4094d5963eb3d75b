#include "methods/core/catalogue.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "harness/core/errors.h"

namespace qbench::methods {
namespace {

PassKind pass_kind_from(const std::string& name) {
  for (const PassKind kind : {PassKind::kTransform, PassKind::kQuantize}) {
    if (pass_kind_name(kind) == name) return kind;
  }
  QB_CHECK(false, "unknown pass kind " + name);
  return PassKind::kQuantize;
}

}  // namespace

std::string_view pass_kind_name(PassKind kind) {
  return kind == PassKind::kTransform ? "transform" : "quantize";
}

Json MethodInfo::json() const {
  Json parameters = Json::array();
  for (const FieldSpec& field : fields) parameters.push_back(field.json());
  return {{"name", name},
          {"kind", pass_kind_name(kind)},
          {"summary", summary},
          {"paper", paper},
          {"needs_fp_statistics", needs_fp_statistics},
          {"needs_calibration", needs_calibration},
          {"uses_seed", uses_seed},
          {"needs_weight_bits", needs_weight_bits},
          {"numerics_version", numerics_version},
          {"parameters", parameters}};
}

MethodInfo MethodInfo::from_json(const Json& json) {
  MethodInfo info;
  info.name = json.at("name");
  info.kind = pass_kind_from(json.at("kind"));
  info.summary = json.at("summary");
  info.paper = json.at("paper");
  info.needs_fp_statistics = json.at("needs_fp_statistics");
  info.needs_calibration = json.at("needs_calibration");
  info.uses_seed = json.at("uses_seed");
  info.needs_weight_bits = json.at("needs_weight_bits");
  info.numerics_version = json.at("numerics_version");
  for (const Json& field : json.at("parameters")) info.fields.push_back(FieldSpec::from_json(field));
  return info;
}

const MethodInfo& find_method(const std::vector<MethodInfo>& catalogue, std::string_view name) {
  std::vector<std::string> names;
  for (const MethodInfo& info : catalogue) {
    if (info.name == name) return info;
    names.push_back(info.name);
  }
  names.emplace_back("fp");
  throw ConfigError(
      fmt::format("unknown method \"{}\".{} Known: {}. `qbench describe methods` says what they do.", name,
                  did_you_mean(name, names), fmt::join(names, ", ")));
}

std::vector<MethodInfo> catalogue_from_json(std::string_view text) {
  std::vector<MethodInfo> catalogue;
  try {
    for (const Json& item : Json::parse(text)) catalogue.push_back(MethodInfo::from_json(item));
  } catch (const Json::exception& error) {
    QB_CHECK(false, fmt::format("the embedded method catalogue is broken: {}", error.what()));
  }
  return catalogue;
}

}  // namespace qbench::methods
