// Decoders of tokenizer.json: token texts -> text.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "harness/tokenizers/json_reader.h"

namespace qbench::tokenizers {

class Decoder {
 public:
  virtual ~Decoder() = default;
  /// Rewrites the token texts; the decoded text is what they are joined to in the end.
  virtual void apply(std::vector<std::string>& tokens) const = 0;
};

/// @throws DataError for an unknown type or bad fields.
std::unique_ptr<Decoder> parse_decoder(const JsonNode& node);

std::unique_ptr<Decoder> byte_level_decoder();
/// Undoes marker_normalizer: "▁" -> " ", <0xNN> runs -> text, one leading space away if `prefix`.
std::unique_ptr<Decoder> marker_decoder(bool prefix);

}  // namespace qbench::tokenizers
