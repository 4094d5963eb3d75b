// Windows of a token stream, for perplexity and divergence.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "tasks/core/task_support.h"

namespace qbench::tasks {

struct WindowPlan {
  std::vector<engine::ScoreRequest> requests;
  int64_t tokens_total = 0;  ///< of the text
  int64_t windows_available = 0;
  std::string stream_sha256;  ///< of all ids of the text
};

/// The papers' windows: x[wS .. (w+1)S), every token but the first of a window scored, the tail dropped.
/// @param windows  0 = all. @throws DataError when the text has fewer.
WindowPlan plan_windows(const std::vector<int32_t>& ids, int64_t window, int64_t windows,
                        const std::string& place);

/// llama.cpp's chunks: the first token of each overwritten by BOS where the tokenizer adds one, second half
/// scored.
/// @throws DataError  fewer than 2 windows of text, or fewer than `windows`
WindowPlan plan_half_windows(const std::vector<int32_t>& ids, int64_t window, int64_t windows,
                             const tokenizers::Tokenizer& tokenizer, const std::string& place);

/// llama.cpp's --ppl-stride: windows start every `stride` tokens, their last `stride` rows are scored. No
/// BOS.
WindowPlan plan_stride_windows(const std::vector<int32_t>& ids, int64_t window, int64_t stride,
                               int64_t windows, const std::string& place);

/// A raw text as llama.cpp reads it: one trailing newline dropped, special-token text not parsed.
std::vector<int32_t> encode_like_llamacpp(std::string text, const tokenizers::Tokenizer& tokenizer,
                                          bool add_special);

Json describe_windows(const WindowPlan& plan, const tokenizers::Tokenizer& tokenizer);

}  // namespace qbench::tasks
