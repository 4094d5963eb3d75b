// What a tokenizer puts around the ids of a text.
#pragma once

#include <cstdint>
#include <vector>

#include "harness/tokenizers/json_reader.h"

namespace qbench::tokenizers {

struct SpecialFrame {
  std::vector<int32_t> before, after;
};

/// The frame of a single text. @throws DataError for an unknown type, bad fields, or a template without
/// exactly one text.
SpecialFrame parse_post_processor(const JsonNode& node);

}  // namespace qbench::tokenizers
