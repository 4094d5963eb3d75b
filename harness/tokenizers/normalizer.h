// Normalizers of tokenizer.json: text -> text, before pre-tokenization.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "harness/tokenizers/json_reader.h"
#include "harness/tokenizers/regex.h"

namespace qbench::tokenizers {

class Normalizer {
 public:
  virtual ~Normalizer() = default;
  virtual std::string apply(std::string_view text) const = 0;
};

/// @throws DataError for an unknown type or bad fields.
std::unique_ptr<Normalizer> parse_normalizer(const JsonNode& node);

/// A pattern object: {"String": ...} or {"Regex": ...}, or a plain string.
Pattern parse_pattern(const JsonNode& node);

std::unique_ptr<Normalizer> nfc_normalizer();
/// SentencePiece's escaping as normalizers: `prefix` in front of a text that is not empty, then " " -> "▁".
std::unique_ptr<Normalizer> marker_normalizer(bool prefix);

}  // namespace qbench::tokenizers
