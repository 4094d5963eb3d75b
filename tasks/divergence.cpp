#include "tasks/divergence.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "harness/core/errors.h"
#include "tasks/core/windows.h"

namespace qbench::tasks {
namespace {

/// Sums of one quantity and its square in double.
struct Moments {
  double sum = 0, squares = 0;
  int64_t n = 0;

  void add(double value) {
    sum += value;
    squares += value * value;
    ++n;
  }
  double mean() const { return sum / static_cast<double>(n); }
  double mean_of_squares() const { return squares / static_cast<double>(n); }
  /// Variance of the mean; llama.cpp prints no error for ten tokens or fewer.
  double variance() const {
    return n <= 10 ? 0.0 : std::max(0.0, (mean_of_squares() - mean() * mean()) / static_cast<double>(n - 1));
  }
  Estimate estimate() const { return {mean(), std::sqrt(variance())}; }
};

struct DivergenceParams {
  std::string text = "en_wiki";
  std::string split, file;
  std::string protocol = "win";
  int64_t window = 512;
  int64_t windows = 8;
  std::string join = "default";
  std::string bos = "default";

  template <class Visitor>
  void visit(Visitor& v) {
    v("text", text, "a text data set or a file");
    v("split", split, "split of the data set; empty: its test split");
    v("file", file, "where the data set's file lies, instead of looking it up");
    v("protocol", protocol, OneOf{{"win", "llamacpp"}},
      "win: all tokens of each window but the first; llamacpp: its second half");
    v("window", window, Range{2, 1048576}, "tokens per window");
    v("windows", windows, Range{0, 100000000}, "only the first n windows; 0: all");
    v("join", join, OneOf{{"default", "none", "rows", "sentences", "spaces"}}, "how lines become one string");
    v("bos", bos, OneOf{{"default", "none"}}, "default: as the tokenizer does by itself; none: never");
  }
};

bool finite(const engine::DivergenceToken& token) {
  return std::isfinite(token.nll) && std::isfinite(token.kl);
}

class DivergenceTask final : public Task {
 public:
  explicit DivergenceTask(const Call& call)
      : call_(check_task_call(field_specs<DivergenceParams>(), call)),
        params_(bind_fields<DivergenceParams>(call, "task")) {
    const bool joined = params_.protocol == "win" || params_.join != "default";
    text_ = data::find_text(params_.text, params_.split, joined ? params_.join : "none", params_.file);
  }

  std::string identity() const override {
    return task_identity(call_, {"file", "text"}, text_.sha256 + " join=" + text_.join);
  }
  std::string canonical() const override { return call_.canonical.print(); }
  std::string protocol() const override {
    return fmt::format("kl/fp32 {} S={} windows={} join={} text={} bos={}", params_.protocol, params_.window,
                       params_.windows, text_.join, text_.title(), params_.bos);
  }
  TaskCost cost() const override {
    const int64_t available = std::max<int64_t>(estimate_tokens(text_.bytes) / params_.window, 1);
    const int64_t tokens = (params_.windows > 0 ? params_.windows : available) * params_.window;
    return {tokens, params_.protocol == "win" ? tokens : tokens / 2, params_.window};
  }
  std::vector<engine::ScoreRequest> baseline_requests(const tokenizers::Tokenizer& tokenizer) const override {
    return plan(tokenizer).requests;
  }

  TaskResult run(const tokenizers::Tokenizer& tokenizer, engine::Scorer& scorer) const override {
    task_max_length(params_.window, scorer, canonical());
    if (!scorer.has_baseline()) {
      throw ConfigError(fmt::format(
          "task {}: there is no baseline to compare with; add the recipe fp to the suite", canonical()));
    }
    const WindowPlan windows = plan(tokenizer);
    TaskResult result;
    result.task = canonical();
    result.protocol = protocol();
    result.provenance = {{"data", describe_text(text_)}, {"tokens", describe_windows(windows, tokenizer)}};
    reduce(scorer.diverge(windows.requests), result);
    return result;
  }

 private:
  WindowPlan plan(const tokenizers::Tokenizer& tokenizer) const {
    const std::string place = "task " + canonical();
    const std::string text = data::read_text(text_);
    const bool special = params_.bos == "default";
    if (params_.protocol == "llamacpp") {
      return plan_half_windows(encode_like_llamacpp(text, tokenizer, special), params_.window,
                               params_.windows, tokenizer, place);
    }
    return plan_windows(tokenizer.encode(text, {.add_special = special, .parse_special = true}),
                        params_.window, params_.windows, place);
  }

  static ItemRecord window_record(size_t index, const std::vector<engine::DivergenceToken>& tokens) {
    ItemRecord item;
    item.item = fmt::format("{}", index);
    item.tokens = std::ssize(tokens);
    if (!std::all_of(tokens.begin(), tokens.end(), finite)) {
      item.metrics["diverged"] = 1;
      return item;
    }
    double nll = 0, nll_base = 0, kl = 0, same = 0;
    for (const auto& token : tokens) {
      nll += token.nll;
      nll_base += token.nll_base;
      kl += token.kl;
      same += token.same_top;
    }
    const auto n = static_cast<double>(tokens.size());
    item.nll = nll;
    item.metrics = {{"nll_base", nll_base}, {"kl_mean", kl / n}, {"same_top", same / n}};
    return item;
  }

  static void reduce(const std::vector<std::vector<engine::DivergenceToken>>& windows, TaskResult& result) {
    std::vector<engine::DivergenceToken> all;
    int64_t diverged = 0;
    for (size_t w = 0; w < windows.size(); ++w) {
      result.items.push_back(window_record(w, windows[w]));
      diverged += result.items.back().metrics.contains("diverged");
      all.insert(all.end(), windows[w].begin(), windows[w].end());
    }
    result.provenance["diverged"] = diverged;
    result.provenance["scored_tokens"] = all.size();
    const int64_t n = std::ssize(all);
    if (diverged > 0) {
      constexpr double kInfinity = std::numeric_limits<double>::infinity();
      result.scores = {{"kl_mean", kInfinity, std::nullopt, n, false},
                       {"ppl", kInfinity, std::nullopt, n, false}};
      return;
    }
    const DivergenceStatistics s = divergence_statistics(all);
    result.scores = {{"kl_mean", s.kl.value, s.kl.error, n, false},
                     {"kl_median", s.kl_median, std::nullopt, n, false},
                     {"kl_p99", s.kl_p99, std::nullopt, n, false},
                     {"top1_agreement", s.same_top.value, s.same_top.error, n, true},
                     {"ppl", s.ppl.value, s.ppl.error, n, false},
                     {"ppl_base", s.ppl_base.value, s.ppl_base.error, n, false},
                     {"ppl_ratio", s.ratio.value, s.ratio.error, n, false},
                     {"delta_p_rms", s.rms_delta_p.value, s.rms_delta_p.error, n, false}};
  }

  CheckedCall call_;
  DivergenceParams params_;
  data::TextRef text_;
};

std::unique_ptr<Task> make(const Call& call) { return std::make_unique<DivergenceTask>(call); }

double median(std::span<const float> sorted) {
  const size_t half = sorted.size() / 2;
  if (sorted.size() % 2 == 1) return sorted[half];
  return 0.5 * (static_cast<double>(sorted[half - 1]) + static_cast<double>(sorted[half]));
}

void fill_kl_quantiles(std::span<const engine::DivergenceToken> tokens, DivergenceStatistics& s) {
  std::vector<float> kl;
  for (const auto& token : tokens) kl.push_back(token.kl);
  std::sort(kl.begin(), kl.end());
  s.kl_min = kl.front();
  s.kl_max = kl.back();
  s.kl_p999 = float_quantile(kl, 0.999);
  s.kl_p99 = float_quantile(kl, 0.99);
  s.kl_median = median(kl);
  s.kl_p10 = float_quantile(kl, 0.10);
  s.kl_p05 = float_quantile(kl, 0.05);
  s.kl_p01 = float_quantile(kl, 0.01);
}

}  // namespace

double float_quantile(std::span<const float> sorted, double fraction) {
  const float position = static_cast<float>(fraction) * static_cast<float>(sorted.size() - 1);
  const auto below = static_cast<size_t>(position);
  if (below + 1 >= sorted.size()) return sorted.back();
  const float part = position - static_cast<float>(below);
  return (1 - part) * sorted[below] + part * sorted[below + 1];
}

DivergenceStatistics divergence_statistics(std::span<const engine::DivergenceToken> tokens) {
  QB_CHECK(!tokens.empty(), "no scored token");
  Moments nll, nll_base, kl, delta_p, delta_p2;
  double product = 0;
  int64_t same = 0;
  for (const auto& token : tokens) {
    nll.add(token.nll);
    nll_base.add(token.nll_base);
    product += static_cast<double>(token.nll) * static_cast<double>(token.nll_base);
    kl.add(token.kl);
    delta_p.add(token.delta_p);
    delta_p2.add(static_cast<double>(token.delta_p) * static_cast<double>(token.delta_p));
    same += token.same_top;
  }
  DivergenceStatistics s;
  s.tokens = std::ssize(tokens);
  const auto n = static_cast<double>(s.tokens);
  const Estimate q = nll.estimate(), b = nll_base.estimate();
  const double covariance = s.tokens <= 10 ? 0.0 : (product / n - q.value * b.value) / (n - 1);
  const auto paired = [](double x, double y, double cov) {
    return std::sqrt(std::max(0.0, x * x + y * y - 2 * cov));
  };
  s.ppl = {std::exp(q.value), std::exp(q.value) * q.error};
  s.ppl_base = {std::exp(b.value), std::exp(b.value) * b.error};
  s.ln_ratio = {q.value - b.value, paired(q.error, b.error, covariance)};
  s.ratio = {std::exp(s.ln_ratio.value), std::exp(s.ln_ratio.value) * s.ln_ratio.error};
  s.difference = {s.ppl.value - s.ppl_base.value,
                  paired(s.ppl.error, s.ppl_base.error, s.ppl.value * s.ppl_base.value * covariance)};
  s.correlation = q.error > 0 && b.error > 0 ? covariance / (q.error * b.error) : 1.0;
  s.kl = kl.estimate();
  fill_kl_quantiles(tokens, s);
  s.delta_p = delta_p.estimate();
  const double rms = std::sqrt(delta_p2.mean());
  s.rms_delta_p = {rms, rms > 0 ? delta_p2.estimate().error / (2 * rms) : 0.0};
  const double share = static_cast<double>(same) / n;
  s.same_top = {share, s.tokens > 1 ? std::sqrt(share * (1 - share) / (n - 1)) : 0.0};
  return s;
}

TaskInfo divergence_task() {
  return {"divergence", "distance to the baseline model on a text: KL, top-1 agreement, perplexity ratio",
          "llama.cpp's statistics (c392e5094) on float32 logits (id kl/fp32)",
          field_specs<DivergenceParams>(), make};
}

}  // namespace qbench::tasks
