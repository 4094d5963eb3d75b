// tokenizer.json, and the files beside it, as a pipeline.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "harness/tokenizers/json_reader.h"
#include "harness/tokenizers/pipeline.h"

namespace qbench::tokenizers {

/// What tokenizer_config.json and special_tokens_map.json say beyond the tokenizer itself.
struct TokenizerSettings {
  std::string tokenizer_class;  ///< "" if not said
  std::optional<std::string> bos, eos, unk;
  std::optional<bool> add_bos, add_eos;
  std::vector<AddedToken> added;  ///< added_tokens_decoder
};

/// Both files are optional. @throws DataError on bad content.
TokenizerSettings read_settings(const std::filesystem::path& folder);

/// Flags of an added token; `id` is its id. @throws DataError.
AddedToken parse_added_token(const JsonNode& node, int64_t id);

/// Truncation and padding sections are ignored: texts are scored whole.
/// @param path  of the file, for messages. @throws DataError (unsupported component, inconsistent vocabulary,
/// ...).
PipelineParts parse_tokenizer_json(const std::string& content, const std::string& path,
                                   const TokenizerSettings& settings);

}  // namespace qbench::tokenizers
