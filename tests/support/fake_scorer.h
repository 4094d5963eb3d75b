// Models made of a formula, for tests of tasks: log p(next | tokens before it).
#pragma once

#include <cmath>
#include <functional>
#include <limits>
#include <utility>

#include "harness/engine/scorer.h"

namespace qbench::testing_support {

class FormulaScorer : public engine::Scorer {
 public:
  using Formula = std::function<double(std::span<const int32_t> before, int32_t next)>;
  explicit FormulaScorer(Formula formula, int64_t vocab = 258, int64_t max_position = 2048)
      : formula_(std::move(formula)), vocab_(vocab), max_position_(max_position) {}

  /// All tokens equally likely.
  static FormulaScorer uniform(int64_t vocab = 258) {
    return FormulaScorer(
        [vocab](std::span<const int32_t>, int32_t) { return -std::log(static_cast<double>(vocab)); }, vocab);
  }

  int64_t vocab_size() const override { return vocab_; }
  int64_t max_position() const override { return max_position_; }

  std::vector<engine::ScoreResult> score(std::span<const engine::ScoreRequest> asked) override {
    std::vector<engine::ScoreResult> results;
    for (const engine::ScoreRequest& request : asked) {
      requests.push_back(request);
      engine::ScoreResult result;
      result.greedy = true;
      for (auto i = static_cast<size_t>(request.scored_from); i < request.tokens.size(); ++i) {
        const double logprob = formula_(std::span(request.tokens).first(i), request.tokens[i]);
        result.logprobs.push_back(static_cast<float>(logprob));
        result.total += static_cast<double>(result.logprobs.back());
        result.finite = result.finite && std::isfinite(logprob);
        result.greedy = result.greedy && logprob > std::log(0.5);
      }
      results.push_back(std::move(result));
    }
    return results;
  }
  std::vector<std::vector<int32_t>> generate(std::span<const engine::GenerateRequest> asked) override {
    std::vector<std::vector<int32_t>> out;
    for (const auto& request : asked) {
      std::vector<int32_t> before = request.prompt, fresh;
      while (std::ssize(fresh) < request.max_new_tokens) {
        int32_t best = 0;
        for (int32_t id = 1; id < vocab_; ++id) {
          if (formula_(before, id) > formula_(before, best)) best = id;
        }
        bool stop = false;
        for (const int32_t id : request.stop_ids) stop = stop || id == best;
        if (stop) break;
        before.push_back(best);
        fresh.push_back(best);
      }
      out.push_back(std::move(fresh));
    }
    return out;
  }
  bool has_baseline() const override { return baseline; }
  /// Against itself.
  std::vector<std::vector<engine::DivergenceToken>> diverge(
      std::span<const engine::ScoreRequest> asked) override {
    std::vector<std::vector<engine::DivergenceToken>> out;
    for (const auto& result : score(asked)) {
      auto& tokens = out.emplace_back();
      for (const float logprob : result.logprobs) tokens.push_back({-logprob, -logprob, 0, 0, true});
    }
    return out;
  }

  bool baseline = true;
  std::vector<engine::ScoreRequest> requests;  ///< everything score() was asked

 private:
  Formula formula_;
  int64_t vocab_, max_position_;
};

}  // namespace qbench::testing_support
