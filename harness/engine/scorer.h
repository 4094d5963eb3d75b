// What tasks need from a model, without torch: log-likelihoods of token sequences, greedy continuations,
// divergence.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace qbench::engine {

/// Score tokens[scored_from..end), each given all tokens before it in this sequence. 1 <= scored_from <=
/// size. A request is a complete, independent sequence starting at position 0.
struct ScoreRequest {
  std::vector<int32_t> tokens;
  int64_t scored_from = 1;
};

struct ScoreResult {
  std::vector<float>
      logprobs;         ///< natural log probability of each scored token (double log-sum-exp, rounded once)
  double total = 0.0;   ///< their sum in double
  bool greedy = false;  ///< every scored token is the (first) argmax of its row
  bool finite = true;   ///< no NaN or infinity among the scored logits
};

struct GenerateRequest {
  std::vector<int32_t> prompt;
  int64_t max_new_tokens = 16;
  std::vector<int32_t> stop_ids;  ///< generation ends before emitting one of these
};

/// Per scored token: this model q against its baseline b (KL(b || q), nats).
struct DivergenceToken {
  float nll = 0, nll_base = 0;
  float kl = 0;
  float delta_p = 0;  ///< q(y) - b(y)
  bool same_top = false;
};

class Scorer {
 public:
  virtual ~Scorer() = default;
  virtual int64_t vocab_size() const = 0;
  virtual int64_t max_position() const = 0;
  /// Results in the order of the requests. Sequences that share a prefix are computed once; nothing is
  /// padded.
  virtual std::vector<ScoreResult> score(std::span<const ScoreRequest> requests) = 0;
  virtual std::vector<std::vector<int32_t>> generate(std::span<const GenerateRequest> requests) = 0;
  /// Needs a baseline; `has_baseline()` says whether there is one. For the baseline itself all values are
  /// exact zeros.
  virtual bool has_baseline() const = 0;
  virtual std::vector<std::vector<DivergenceToken>> diverge(std::span<const ScoreRequest> requests) = 0;
};

}  // namespace qbench::engine
