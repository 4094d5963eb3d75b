// How samples are cut from a text. All draws are Python's random.Random(seed), as in the PTQ papers' own
// scripts.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "harness/tokenizers/tokenizer.h"

namespace qbench::calibration {

using Samples = std::vector<std::vector<int32_t>>;

struct SampleShape {
  int64_t samples = 0;
  int64_t length = 0;
  int64_t seed = 0;
  std::string place;  ///< for messages
};

/// The first `samples` windows of the token stream. @throws DataError if it is too short.
Samples consecutive_windows(const std::vector<int32_t>& ids, const SampleShape& shape);
/// Starts randint(0, N - length - 1), with replacement (GPTQ datautils, WikiText-2 and PTB). @throws
/// DataError.
Samples random_windows(const std::vector<int32_t>& ids, const SampleShape& shape);
/// A document drawn until it has `length` tokens, then a start in it (GPTQ datautils, C4). @throws DataError.
Samples random_document_windows(const std::vector<std::string>& documents,
                                const tokenizers::Tokenizer& tokenizer, const SampleShape& shape);
/// Distinct documents in drawn order, each cut to at most `length` tokens; shorter than 2 tokens are passed
/// over.
Samples whole_documents(const std::vector<std::string>& documents, const tokenizers::Tokenizer& tokenizer,
                        const SampleShape& shape);
/// Uniform over the vocabulary without special tokens.
Samples random_token_ids(const tokenizers::Tokenizer& tokenizer, const SampleShape& shape);
/// Uniform printable ASCII (space to tilde), tokenised without special tokens and cut to `length`.
Samples random_ascii(const tokenizers::Tokenizer& tokenizer, const SampleShape& shape);

}  // namespace qbench::calibration
