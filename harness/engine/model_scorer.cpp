#include "harness/engine/model_scorer.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>
#include <utility>

#include "harness/core/errors.h"
#include "harness/engine/generation.h"
#include "harness/engine/packed_run.h"
#include "harness/engine/unit_forward.h"

namespace qbench::engine {

/// Hidden rows [scored tokens of all requests, hidden] in the order of the requests, and the head they belong
/// to.
class BaselineStates {
 public:
  at::Tensor rows;
  std::vector<int64_t> offsets;  ///< first row of each request
  std::vector<uint64_t> fingerprints;
  at::Tensor head;
};

namespace {

using kernels::kStrip;
using kernels::LogitState;

double log_sum_exp(const LogitState& state, size_t lane) {
  return std::log(state.sum[lane]) + static_cast<double>(state.exponent[lane]) * std::numbers::ln2;
}

bool finite_logits(const LogitState& state, size_t lane) {
  return state.poison[lane] == 0.0F && std::abs(state.max[lane]) < kLargestLogit;
}

struct TokenScore {
  double logprob = 0.0;
  bool greedy = false, finite = true;
};

struct WordScore {
  float logit;
  double logprob;
};

WordScore score_word(const FloatView& head, const ScoredRows& rows, int64_t row, int64_t width, int32_t word,
                     double normaliser) {
  const float logit =
      kernels::table().dot(head.data() + word * width, rows.strip(row, width), row % kStrip, width);
  return {logit, static_cast<double>(logit) - normaliser};
}

uint64_t fingerprint(const ScoreRequest& request) {
  uint64_t hash = 1469598103934665603ULL ^ static_cast<uint64_t>(request.scored_from);
  for (const int32_t token : request.tokens) hash = (hash ^ static_cast<uint32_t>(token)) * 1099511628211ULL;
  return hash;
}

void check_requests(std::span<const ScoreRequest> requests, int64_t vocab) {
  for (size_t i = 0; i < requests.size(); ++i) {
    const auto size = std::ssize(requests[i].tokens);
    QB_CHECK(requests[i].scored_from >= 1 && requests[i].scored_from <= std::max<int64_t>(size, 1),
             "scored_from of request " + std::to_string(i));
    for (const int32_t token : requests[i].tokens) {
      if (token >= 0 && token < vocab) continue;
      throw DataError("request " + std::to_string(i) + ": token id " + std::to_string(token) +
                      " is outside the model's vocabulary of " + std::to_string(vocab) +
                      " entries. Use the tokenizer that belongs to the model.");
    }
  }
}

int64_t scored_count(const ScoreRequest& request) {
  return std::max<int64_t>(std::ssize(request.tokens) - request.scored_from, 0);
}

class ModelScorer final : public Scorer {
 public:
  ModelScorer(const Model& model, const Lanes& lanes, std::shared_ptr<const BaselineStates> baseline)
      : model_(model), lanes_(lanes), baseline_(std::move(baseline)) {}

  int64_t vocab_size() const override { return model_.head.size(0); }
  int64_t max_position() const override { return model_.architecture().max_position; }
  bool has_baseline() const override { return baseline_ != nullptr; }

  std::vector<ScoreResult> score(std::span<const ScoreRequest> requests) override {
    check_requests(requests, vocab_size());
    std::vector<std::vector<TokenScore>> tokens = score_tokens(requests, false);
    // One sequence whose numbers overflow can reach its neighbours in a strip (0 * infinity); alone it
    // cannot.
    std::vector<ScoreRequest> again;
    std::vector<size_t> places;
    for (size_t i = 0; i < requests.size(); ++i) {
      if (std::all_of(tokens[i].begin(), tokens[i].end(), [](const TokenScore& t) { return t.finite; }))
        continue;
      again.push_back(requests[i]);
      places.push_back(i);
    }
    if (!again.empty() && requests.size() > 1) {
      auto alone = score_tokens(again, true);
      for (size_t i = 0; i < places.size(); ++i) tokens[places[i]] = std::move(alone[i]);
    }
    std::vector<ScoreResult> results;
    results.reserve(requests.size());
    for (const auto& request : tokens) results.push_back(summarize(request));
    return results;
  }

  std::vector<std::vector<int32_t>> generate(std::span<const GenerateRequest> requests) override {
    return generate_greedy(model_, requests, lanes_);
  }

  std::vector<std::vector<DivergenceToken>> diverge(std::span<const ScoreRequest> requests) override {
    QB_CHECK(has_baseline(), "diverge() needs a baseline");
    check_requests(requests, vocab_size());
    check_baseline(requests);
    auto results = diverge_tokens(requests, false);
    const bool all_numbers = std::all_of(results.begin(), results.end(), [](const auto& tokens) {
      return std::none_of(tokens.begin(), tokens.end(),
                          [](const DivergenceToken& t) { return std::isnan(t.kl); });
    });
    return all_numbers || requests.size() == 1 ? results : diverge_tokens(requests, true);  // as in score()
  }

 private:
  std::vector<std::vector<TokenScore>> score_tokens(std::span<const ScoreRequest> requests, bool isolate) {
    std::vector<std::vector<TokenScore>> tokens(requests.size());
    for (size_t i = 0; i < requests.size(); ++i)
      tokens[i].resize(static_cast<size_t>(scored_count(requests[i])));
    run_packed(model_, requests, lanes_, isolate,
               [&](const ScoredRows& rows, Arena& arena) { score_rows(rows, arena, requests, tokens); });
    return tokens;
  }

  std::vector<std::vector<DivergenceToken>> diverge_tokens(std::span<const ScoreRequest> requests,
                                                           bool isolate) {
    std::vector<std::vector<DivergenceToken>> results(requests.size());
    for (size_t i = 0; i < requests.size(); ++i)
      results[i].resize(static_cast<size_t>(scored_count(requests[i])));
    run_packed(model_, requests, lanes_, isolate,
               [&](const ScoredRows& rows, Arena& arena) { diverge_rows(rows, arena, requests, results); });
    return results;
  }

  // Head over the scored rows of one unit. `tokens` entries of different units are different objects.
  void score_rows(const ScoredRows& rows, Arena& arena, std::span<const ScoreRequest> requests,
                  std::vector<std::vector<TokenScore>>& tokens) {
    const int64_t width = model_.head.size(1);
    const FloatView head(model_.head);
    const std::span<LogitState> states = logit_states(arena, rows.strips);
    kernels::table().head({head.data(), vocab_size(), width, rows.hidden, rows.strips, states.data()});
    for (const ScoredToken& t : rows.tokens) {
      const LogitState& state = states[static_cast<size_t>(t.row / kStrip)];
      const auto lane = static_cast<size_t>(t.row % kStrip);
      const int32_t word =
          requests[t.request].tokens[static_cast<size_t>(requests[t.request].scored_from + t.index)];
      const WordScore score = score_word(head, rows, t.row, width, word, log_sum_exp(state, lane));
      const bool finite = finite_logits(state, lane);
      tokens[t.request][static_cast<size_t>(t.index)] = {
          finite ? score.logprob : std::numeric_limits<double>::quiet_NaN(),
          finite && state.argmax[lane] == word, finite};
    }
  }

  void diverge_rows(const ScoredRows& rows, Arena& arena, std::span<const ScoreRequest> requests,
                    std::vector<std::vector<DivergenceToken>>& results) {
    const int64_t width = model_.head.size(1);
    const FloatView head(model_.head), base_head(baseline_->head);
    const float* base_hidden = gather_baseline(rows, arena, width);
    const std::span<LogitState> states = logit_states(arena, rows.strips),
                                base = logit_states(arena, rows.strips);
    auto* weighted = reinterpret_cast<double*>(arena.floats(2 * rows.strips * kStrip));
    kernels::table().head_pair(
        {{head.data(), vocab_size(), width, rows.hidden, rows.strips, states.data()},
         {base_head.data(), vocab_size(), width, base_hidden, rows.strips, base.data()},
         weighted});
    const ScoredRows base_rows{base_hidden, rows.strips, {}};
    for (const ScoredToken& t : rows.tokens) {
      const auto strip = static_cast<size_t>(t.row / kStrip), lane = static_cast<size_t>(t.row % kStrip);
      const int32_t word =
          requests[t.request].tokens[static_cast<size_t>(requests[t.request].scored_from + t.index)];
      const double normaliser = log_sum_exp(states[strip], lane),
                   base_normaliser = log_sum_exp(base[strip], lane);
      const WordScore q = score_word(head, rows, t.row, width, word, normaliser);
      const WordScore b = score_word(base_head, base_rows, t.row, width, word, base_normaliser);
      // KL(b || q) = sum b (logit_b - logit_q) - (lse_b - lse_q)
      const double kl = weighted[t.row] / base[strip].sum[lane] - (base_normaliser - normaliser);
      DivergenceToken& out = results[t.request][static_cast<size_t>(t.index)];
      out.nll = static_cast<float>(-q.logprob);
      out.nll_base = static_cast<float>(-b.logprob);
      out.kl = static_cast<float>(kl);
      out.delta_p = static_cast<float>(std::exp(q.logprob) - std::exp(b.logprob));
      out.same_top = states[strip].argmax[lane] == base[strip].argmax[lane];
      if (!finite_logits(states[strip], lane))
        out.nll = out.kl = out.delta_p = std::numeric_limits<float>::quiet_NaN();
    }
  }

  // Baseline rows beside this unit's rows, in strips.
  const float* gather_baseline(const ScoredRows& rows, Arena& arena, int64_t width) const {
    float* out = arena.floats(rows.strips * kStrip * width);
    std::fill_n(out, rows.strips * kStrip * width, 0.0F);
    const float* all = baseline_->rows.const_data_ptr<float>();
    for (const ScoredToken& t : rows.tokens) {
      const float* row = all + (baseline_->offsets[t.request] + t.index) * width;
      float* column = out + (t.row / kStrip) * kStrip * width + t.row % kStrip;
      for (int64_t f = 0; f < width; ++f) column[f * kStrip] = row[f];
    }
    return out;
  }

  void check_baseline(std::span<const ScoreRequest> requests) const {
    QB_CHECK(requests.size() == baseline_->fingerprints.size(),
             "baseline was computed for another number of requests");
    for (size_t i = 0; i < requests.size(); ++i) {
      QB_CHECK(fingerprint(requests[i]) == baseline_->fingerprints[i],
               "baseline was computed for other requests");
    }
  }

  static ScoreResult summarize(const std::vector<TokenScore>& tokens) {
    ScoreResult result;
    result.greedy = true;
    for (const TokenScore& token : tokens) {
      result.logprobs.push_back(static_cast<float>(token.logprob));
      result.total += token.logprob;
      result.greedy = result.greedy && token.greedy;
      result.finite = result.finite && token.finite;
    }
    return result;
  }

  const Model& model_;
  Lanes lanes_;
  std::shared_ptr<const BaselineStates> baseline_;
};

}  // namespace

std::shared_ptr<const BaselineStates> baseline_states(const Model& model,
                                                      std::span<const ScoreRequest> requests,
                                                      const Lanes& lanes) {
  check_requests(requests, model.head.size(0));
  auto states = std::make_shared<BaselineStates>();
  states->head = model.head;
  int64_t total = 0;
  for (const ScoreRequest& request : requests) {
    states->offsets.push_back(total);
    states->fingerprints.push_back(fingerprint(request));
    total += scored_count(request);
  }
  const int64_t width = model.head.size(1);
  states->rows = at::empty({total, width}, at::kFloat);
  float* out = states->rows.data_ptr<float>();
  run_packed(model, requests, lanes, false, [&](const ScoredRows& rows, Arena&) {
    for (const ScoredToken& t : rows.tokens) {
      const float* column = rows.column(t.row, width);
      float* row = out + (states->offsets[t.request] + t.index) * width;
      for (int64_t f = 0; f < width; ++f) row[f] = column[f * kStrip];
    }
  });
  return states;
}

std::unique_ptr<Scorer> make_scorer(const Model& model, const Lanes& lanes,
                                    std::shared_ptr<const BaselineStates> baseline) {
  return std::make_unique<ModelScorer>(model, lanes, std::move(baseline));
}

}  // namespace qbench::engine
