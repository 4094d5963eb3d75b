// The tokenizer inside a GGUF file (keys tokenizer.ggml.*) as a pipeline.
#pragma once

#include "harness/models/gguf.h"
#include "harness/tokenizers/pipeline.h"

namespace qbench::tokenizers {

/// "gpt2" models need a tokenizer.ggml.pre that is known (it names the split pattern); "llama" models are
/// SentencePiece BPE.
/// @throws DataError (missing key, unsupported kind with the supported ones, lists of different lengths,
/// ...).
PipelineParts parse_gguf_tokenizer(const models::GgufFile& file);

}  // namespace qbench::tokenizers
