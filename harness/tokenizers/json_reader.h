// Reading of tokenizer files: a JSON node that knows its place, so that every message names it.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "harness/core/fields.h"

namespace qbench::tokenizers {

class JsonNode {
 public:
  /// `json` must outlive the node.
  JsonNode(const Json& json, std::string where, int depth = 0)
      : json_(&json), where_(std::move(where)), depth_(depth) {}

  const Json& json() const { return *json_; }
  const std::string& where() const { return where_; }
  bool is_null() const { return json_->is_null(); }

  /// Is there such a key with a value that is not null?
  bool has(const char* key) const;
  JsonNode at(const char* key) const;   ///< @throws DataError if the key is absent or this is no object
  std::vector<JsonNode> items() const;  ///< elements of an array; @throws DataError if it is none

  std::string text() const;
  int64_t integer() const;
  bool boolean() const;
  std::string text_or(const char* key, std::string_view fallback) const;
  bool boolean_or(const char* key, bool fallback) const;

  /// `found` says what is there. @throws DataError: "<place>: found <found>; expected <expected>".
  [[noreturn]] void fail(std::string_view expected) const;

 private:
  const Json* json_;
  std::string where_;
  int depth_;  ///< components that contain components are read recursively: a limit keeps hostile files off
               ///< the stack
};

/// Parses a file's text. @throws DataError with the byte offset of the fault.
Json parse_json(std::string_view content, const std::string& path);

/// @throws DataError: component `type` of kind `kind` ("normalizer") is not supported, with those that are.
[[noreturn]] void refuse_component(const JsonNode& node, std::string_view kind, const std::string& type,
                                   const std::vector<std::string>& supported);

}  // namespace qbench::tokenizers
