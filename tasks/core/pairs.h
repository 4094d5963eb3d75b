// Context and continuation as token ids, the way lm-evaluation-harness 0.4 does it (eval_protocol,
// sections 3.2 and 3.3), and its disjoint rolling windows (section 2.7).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "harness/engine/scorer.h"
#include "harness/tokenizers/tokenizer.h"

namespace qbench::tasks {

struct Pair {
  std::vector<int32_t> context;       ///< never empty
  std::vector<int32_t> continuation;  ///< never empty
  bool boundary_merge =
      false;  ///< a token of the whole text spans the boundary: what is fed is not the text's encoding
};

class PairEncoder {
 public:
  /// @param tokenizer_bos  true: specials as the tokenizer adds them (era E4); false: none (eras E2, E3)
  PairEncoder(const tokenizers::Tokenizer& tokenizer, bool tokenizer_bos);

  /// @param place  names the document in messages
  /// @throws DataError  context or continuation has no token of its own (lm-eval: an assertion)
  Pair encode(std::string_view context, std::string_view continuation, const std::string& place) const;
  /// Ids of a whole text: for rolling windows.
  std::vector<int32_t> encode_text(std::string_view text) const;
  /// BOS, else EOS: what stands before a text without context. @throws DataError if the tokenizer has
  /// neither.
  int32_t prefix() const;

 private:
  const tokenizers::Tokenizer& tokenizer_;
  bool tokenizer_bos_;
  std::string prefix_text_;
};

/// The request for a pair: the last `max_length` + 1 tokens, so the left of the context goes first.
/// @param truncated  incremented if tokens were dropped
/// @throws DataError  the continuation alone is longer than the model's input
engine::ScoreRequest pair_request(const Pair& pair, int64_t max_length, int64_t& truncated,
                                  const std::string& place);

/// Disjoint windows that score every token once; all but the first start after one token of history, the last
/// has full left context. No window for no tokens.
std::vector<engine::ScoreRequest> rolling_requests(const std::vector<int32_t>& ids, int32_t prefix,
                                                   int64_t max_length);

}  // namespace qbench::tasks
