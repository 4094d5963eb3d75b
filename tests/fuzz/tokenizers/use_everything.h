// What a fuzzer does with a tokenizer: load it and use it. A refusal is an expected outcome, at loading and
// at use.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "harness/core/errors.h"
#include "harness/tokenizers/tokenizer.h"

namespace qbench::tokenizers {

/// @return whether the tokenizer was accepted; an Error of the program is a refusal, anything else escapes.
inline bool load_and_use(const models::ModelSource& source) {
  try {
    const auto tokenizer = load_tokenizer(source);
    for (const char* text : {"", " ", "Hello world, it's 1234!", "naïve 漢字 😀\n\n  <s></s><unk>", "▁▁ a▁b",
                             "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"}) {
      const std::vector<int32_t> ids = tokenizer->encode(text);
      (void)tokenizer->encode(text, {.add_special = false, .parse_special = false});
      (void)tokenizer->decode(ids);
      (void)tokenizer->decode(ids, true);
    }
    for (int32_t id = -1; id < 40; ++id) {
      if (id >= 0 && id < tokenizer->vocab_size()) {
        try {
          (void)tokenizer->piece(id);
        } catch (const DataError&) {  // ids may have gaps
        }
      }
    }
    return true;
  } catch (const Error& error) {
    if (error.kind() == "internal") throw;
    return false;
  }
}

}  // namespace qbench::tokenizers
