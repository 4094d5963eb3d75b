#include "tasks/core/windows.h"

#include <fmt/format.h>

#include "harness/core/errors.h"
#include "harness/core/hash.h"

namespace qbench::tasks {
namespace {

WindowPlan start_plan(const std::vector<int32_t>& ids, int64_t available, int64_t window, int64_t windows,
                      const std::string& place) {
  if (available < 1 || windows > available) {
    throw DataError(
        fmt::format("{}: the text has {} tokens = {} windows of {}; needed: {}. Lower window or windows, or "
                    "take a longer text.",
                    place, ids.size(), available, window, std::max<int64_t>(windows, 1)));
  }
  WindowPlan plan;
  plan.tokens_total = std::ssize(ids);
  plan.windows_available = available;
  plan.stream_sha256 = sha256_ids(ids);
  plan.requests.resize(static_cast<size_t>(windows == 0 ? available : windows));
  return plan;
}

}  // namespace

WindowPlan plan_windows(const std::vector<int32_t>& ids, int64_t window, int64_t windows,
                        const std::string& place) {
  WindowPlan plan = start_plan(ids, std::ssize(ids) / window, window, windows, place);
  for (size_t w = 0; w < plan.requests.size(); ++w) {
    const auto begin = ids.begin() + static_cast<int64_t>(w) * window;
    plan.requests[w] = {{begin, begin + window}, 1};
  }
  return plan;
}

WindowPlan plan_half_windows(const std::vector<int32_t>& ids, int64_t window, int64_t windows,
                             const tokenizers::Tokenizer& tokenizer, const std::string& place) {
  if (tokenizer.adds_eos()) {
    throw DataError(
        fmt::format("{}: llama.cpp's protocol is not defined for tokenizers that append EOS", place));
  }
  // llama.cpp refuses texts of less than two windows.
  const int64_t available = std::ssize(ids) < 2 * window ? 0 : std::ssize(ids) / window;
  WindowPlan plan = start_plan(ids, available, window, windows, place);
  for (size_t w = 0; w < plan.requests.size(); ++w) {
    const auto begin = ids.begin() + static_cast<int64_t>(w) * window;
    plan.requests[w] = {{begin, begin + window}, window / 2 + 1};
    if (tokenizer.adds_bos() && tokenizer.bos()) plan.requests[w].tokens.front() = *tokenizer.bos();
  }
  return plan;
}

WindowPlan plan_stride_windows(const std::vector<int32_t>& ids, int64_t window, int64_t stride,
                               int64_t windows, const std::string& place) {
  const int64_t rest = std::ssize(ids) - window;
  WindowPlan plan = start_plan(ids, rest < 0 ? 0 : (rest + stride - 1) / stride, window, windows, place);
  for (size_t w = 0; w < plan.requests.size(); ++w) {
    const auto begin = ids.begin() + static_cast<int64_t>(w) * stride;
    plan.requests[w] = {{begin, begin + window}, window - stride};
  }
  return plan;
}

std::vector<int32_t> encode_like_llamacpp(std::string text, const tokenizers::Tokenizer& tokenizer,
                                          bool add_special) {
  if (!text.empty() && text.back() == '\n') text.pop_back();
  return tokenizer.encode(text, {.add_special = add_special, .parse_special = false});
}

Json describe_windows(const WindowPlan& plan, const tokenizers::Tokenizer& tokenizer) {
  return {{"tokens", plan.tokens_total},
          {"windows_available", plan.windows_available},
          {"windows", plan.requests.size()},
          {"token_stream_sha256", plan.stream_sha256},
          {"tokenizer_sha256", tokenizer.hash()}};
}

}  // namespace qbench::tasks
