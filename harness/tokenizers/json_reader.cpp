#include "harness/tokenizers/json_reader.h"

#include <fmt/format.h>

#include "harness/core/errors.h"

namespace qbench::tokenizers {
namespace {
constexpr int kMaxDepth = 64;
}

bool JsonNode::has(const char* key) const {
  if (!json_->is_object()) return false;
  const auto found = json_->find(key);
  return found != json_->end() && !found->is_null();
}

JsonNode JsonNode::at(const char* key) const {
  if (!json_->is_object()) fail("an object");
  const auto found = json_->find(key);
  if (found == json_->end()) throw DataError(fmt::format("{}: key \"{}\" is missing", where_, key));
  return {*found, fmt::format("{}.{}", where_, key), depth_ + 1};
}

std::vector<JsonNode> JsonNode::items() const {
  if (!json_->is_array()) fail("an array");
  if (depth_ > kMaxDepth) throw DataError(fmt::format("{}: nested deeper than {} levels", where_, kMaxDepth));
  std::vector<JsonNode> nodes;
  nodes.reserve(json_->size());
  for (size_t i = 0; i < json_->size(); ++i)
    nodes.emplace_back((*json_)[i], fmt::format("{}[{}]", where_, i), depth_ + 1);
  return nodes;
}

std::string JsonNode::text() const {
  if (!json_->is_string()) fail("a string");
  return json_->get<std::string>();
}

int64_t JsonNode::integer() const {
  if (!json_->is_number_integer()) fail("an integer");
  return json_->get<int64_t>();
}

bool JsonNode::boolean() const {
  if (!json_->is_boolean()) fail("true or false");
  return json_->get<bool>();
}

std::string JsonNode::text_or(const char* key, std::string_view fallback) const {
  return has(key) ? at(key).text() : std::string(fallback);
}

bool JsonNode::boolean_or(const char* key, bool fallback) const {
  return has(key) ? at(key).boolean() : fallback;
}

void JsonNode::fail(std::string_view expected) const {
  std::string found = json_->is_structured() ? fmt::format("an {}", json_->type_name())
                                             : json_->dump(-1, ' ', false, Json::error_handler_t::replace);
  if (found.size() > 60) found = found.substr(0, 60) + "...";
  throw DataError(fmt::format("{}: found {}; expected {}", where_, found, expected));
}

Json parse_json(std::string_view content, const std::string& path) {
  try {
    return Json::parse(content);
  } catch (const Json::exception& error) {
    throw DataError(fmt::format("{}: not a complete JSON file ({}); fetch it again", path, error.what()));
  }
}

void refuse_component(const JsonNode& node, std::string_view kind, const std::string& type,
                      const std::vector<std::string>& supported) {
  throw DataError(fmt::format("{}: {} \"{}\" is not supported.{} Supported: {}", node.where(), kind, type,
                              did_you_mean(type, supported), fmt::join(supported, ", ")));
}

}  // namespace qbench::tokenizers
