// tokenizer.model through the SentencePiece library, with the habits of the Hugging Face classes around it.
#pragma once

#include <filesystem>
#include <memory>

#include "harness/tokenizers/tokenizer.h"
#include "harness/tokenizers/tokenizer_json.h"

namespace qbench::tokenizers {

/// encode(parse_special = true) is what transformers does: "<unk>", "<s>", "</s>" and added tokens in the
/// text become their ids, and the dummy prefix ("▁" in front) stays away from a text or part that starts with
/// a space already. encode(parse_special = false) is SentencePiece alone. decode() is SentencePiece's:
/// control pieces leave no text, unknown ones its " ⁇ "; where the settings name a transformers class, a run
/// of byte pieces that is not UTF-8 as a whole becomes one U+FFFD per byte, as there.
/// @throws DataError if the file is no SentencePiece model or the settings contradict it.
std::unique_ptr<Tokenizer> load_sentencepiece(const std::filesystem::path& model,
                                              const TokenizerSettings& settings, const std::string& hash);

}  // namespace qbench::tokenizers
