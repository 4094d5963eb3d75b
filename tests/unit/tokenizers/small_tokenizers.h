// Tokenizer files small enough to follow by hand.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "harness/core/fields.h"
#include "harness/tokenizers/pipeline.h"
#include "harness/tokenizers/tokenizer_json.h"

namespace qbench::tokenizers {

using Ids = std::vector<int32_t>;

/// Byte-level: the characters of "Ġhelo wrd12" and the merges l+l, he, hell, Ġw; <|end|> is special.
inline Json byte_level_file() {
  return Json::parse(R"({
    "added_tokens": [{"id": 0, "content": "<|end|>", "single_word": false, "lstrip": false, "rstrip": false,
                      "normalized": false, "special": true}],
    "normalizer": null,
    "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true},
    "post_processor": null,
    "decoder": {"type": "ByteLevel"},
    "model": {"type": "BPE", "vocab": {"<|end|>": 0, "h": 1, "e": 2, "l": 3, "o": 4, "Ġ": 5, "w": 6, "r": 7, "d": 8, "1": 9,
              "2": 10, "ll": 11, "he": 12, "hell": 13, "Ġw": 14}, "merges": ["l l", "h e", "he ll", "Ġ w"]}})");
}

/// SentencePiece-like: "▁" in front and for spaces, unk 0, <s> 1, <0xE2> <0x82> <0xAC> 2..4.
inline Json marker_file() {
  return Json::parse(R"({
    "added_tokens": [{"id": 0, "content": "<unk>", "special": true}, {"id": 1, "content": "<s>", "special": true}],
    "normalizer": {"type": "Sequence", "normalizers": [{"type": "Prepend", "prepend": "▁"},
                   {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}]},
    "pre_tokenizer": null,
    "post_processor": {"type": "TemplateProcessing",
                       "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
                       "pair": [], "special_tokens": {"<s>": {"id": "<s>", "ids": [1], "tokens": ["<s>"]}}},
    "decoder": {"type": "Sequence", "decoders": [{"type": "Replace", "pattern": {"String": "▁"}, "content": " "},
                {"type": "ByteFallback"}, {"type": "Fuse"}, {"type": "Strip", "content": " ", "start": 1, "stop": 0}]},
    "model": {"type": "BPE", "unk_token": "<unk>", "fuse_unk": true, "byte_fallback": true,
              "vocab": {"<unk>": 0, "<s>": 1, "<0xE2>": 2, "<0x82>": 3, "<0xAC>": 4, "▁": 5, "a": 6, "b": 7, "▁a": 8, "ab": 9, "▁ab": 10},
              "merges": [["a", "b"], ["▁", "a"], ["▁", "ab"]]}})");
}

inline std::unique_ptr<PipelineTokenizer> build(const Json& file, const TokenizerSettings& settings = {}) {
  return std::make_unique<PipelineTokenizer>(parse_tokenizer_json(file.dump(), "tokenizer.json", settings));
}

}  // namespace qbench::tokenizers
