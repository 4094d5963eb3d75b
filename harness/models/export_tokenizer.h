// The tokenizer inside a GGUF file, written as the files of a Hugging Face folder.
#pragma once

#include <filesystem>
#include <string>

#include "harness/models/gguf.h"

namespace qbench::models {

/// Byte-level BPE becomes tokenizer.json, a sentencepiece vocabulary tokenizer.model; both come with
/// tokenizer_config.json.
/// @return one sentence: what was written, or why nothing could be (an unknown tokenizer kind is no error:
/// the weights are usable without it).
std::string export_gguf_tokenizer(const GgufFile& file, const std::filesystem::path& folder);

}  // namespace qbench::models
