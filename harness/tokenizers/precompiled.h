// SentencePiece's compiled normalization table ("precompiled_charsmap") as the Hugging Face library applies
// it: by grapheme cluster, a short cluster being replaced as a whole as soon as a prefix of it is in the
// table.
#pragma once

#include <memory>
#include <string_view>

#include "harness/tokenizers/normalizer.h"

namespace qbench::tokenizers {

/// @param base64  the table: byte length of a double-array trie (u32 LE), the trie's units (u32 LE),
/// NUL-terminated texts.
/// @throws DataError if it is none.
std::unique_ptr<Normalizer> precompiled_normalizer(const JsonNode& base64);

}  // namespace qbench::tokenizers
