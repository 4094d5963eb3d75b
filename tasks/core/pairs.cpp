#include "tasks/core/pairs.h"

#include <fmt/format.h>

#include <algorithm>

#include "harness/core/errors.h"
#include "tasks/core/python_text.h"

namespace qbench::tasks {

PairEncoder::PairEncoder(const tokenizers::Tokenizer& tokenizer, bool tokenizer_bos)
    : tokenizer_(tokenizer), tokenizer_bos_(tokenizer_bos) {
  if (tokenizer.bos() || tokenizer.eos()) prefix_text_ = tokenizer.piece(prefix());
}

int32_t PairEncoder::prefix() const {
  if (tokenizer_.bos()) return *tokenizer_.bos();
  if (tokenizer_.eos()) return *tokenizer_.eos();
  throw DataError("the tokenizer has neither BOS nor EOS; a text without context needs one of them in front");
}

std::vector<int32_t> PairEncoder::encode_text(std::string_view text) const {
  // A text that spells the prefix token itself does not get a second one.
  const bool spelled = !prefix_text_.empty() && text.starts_with(prefix_text_);
  return tokenizer_.encode(text, {.add_special = tokenizer_bos_ && !spelled, .parse_special = true});
}

Pair PairEncoder::encode(std::string_view context, std::string_view continuation,
                         const std::string& place) const {
  Pair pair;
  if (context.empty()) {
    pair.continuation = tokenizer_.encode(continuation, {.add_special = false, .parse_special = true});
    pair.context = {prefix()};
    const bool spelled = !pair.continuation.empty() && pair.continuation.front() == prefix();
    if (spelled) pair.continuation.erase(pair.continuation.begin());
  } else {
    const size_t spaces = trailing_space_bytes(context);
    const std::string moved =
        std::string(context.substr(context.size() - spaces)) + std::string(continuation);
    context.remove_suffix(spaces);
    const std::vector<int32_t> whole = encode_text(std::string(context) + moved);
    pair.context = encode_text(context);
    const auto split = static_cast<std::ptrdiff_t>(std::min(pair.context.size(), whole.size()));
    pair.boundary_merge = !std::equal(whole.begin(), whole.begin() + split, pair.context.begin());
    pair.continuation.assign(whole.begin() + split, whole.end());
  }
  if (pair.context.empty()) {
    throw DataError(fmt::format(
        "{}: the context \"{}\" is white space only and gives no token; give it text or leave it empty",
        place, context));
  }
  if (pair.continuation.empty()) {
    throw DataError(fmt::format("{}: the continuation \"{}\" gives no token of its own after its context",
                                place, continuation));
  }
  return pair;
}

engine::ScoreRequest pair_request(const Pair& pair, int64_t max_length, int64_t& truncated,
                                  const std::string& place) {
  if (std::ssize(pair.continuation) > max_length) {
    throw DataError(fmt::format("{}: the continuation has {} tokens, more than the model takes ({})", place,
                                pair.continuation.size(), max_length));
  }
  engine::ScoreRequest request;
  request.tokens = pair.context;
  request.tokens.insert(request.tokens.end(), pair.continuation.begin(), pair.continuation.end());
  const int64_t excess = std::ssize(request.tokens) - (max_length + 1);
  if (excess > 0) {
    request.tokens.erase(request.tokens.begin(), request.tokens.begin() + excess);
    ++truncated;
  }
  request.scored_from = std::ssize(request.tokens) - std::ssize(pair.continuation);
  return request;
}

std::vector<engine::ScoreRequest> rolling_requests(const std::vector<int32_t>& ids, int32_t prefix,
                                                   int64_t max_length) {
  std::vector<engine::ScoreRequest> requests;
  const int64_t n = std::ssize(ids);
  for (int64_t done = 0; done < n;) {
    const int64_t scored = std::min(n - done, max_length);
    const int64_t end = done + scored;
    engine::ScoreRequest request;
    if (done == 0) {
      request.tokens.push_back(prefix);
      request.tokens.insert(request.tokens.end(), ids.begin(), ids.begin() + end);
    } else {
      request.tokens.assign(ids.begin() + (end - max_length - 1), ids.begin() + end);
    }
    request.scored_from = std::ssize(request.tokens) - scored;
    requests.push_back(std::move(request));
    done = end;
  }
  return requests;
}

}  // namespace qbench::tasks
