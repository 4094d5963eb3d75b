// BERT's normalizer: clean up, spaces around Chinese characters, accents away, lower case; each can be
// switched off.
#pragma once

#include <memory>

#include "harness/tokenizers/normalizer.h"

namespace qbench::tokenizers {

std::unique_ptr<Normalizer> parse_bert_normalizer(const JsonNode& node);

}  // namespace qbench::tokenizers
