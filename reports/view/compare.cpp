#include "reports/view/compare.h"

#include <algorithm>
#include <cmath>
#include <unordered_map>

namespace qbench::reports {
namespace {

struct Pairs {
  std::vector<std::string> ids;
  std::vector<double> baseline, other;
  std::vector<int64_t> tokens;
  int64_t unpaired = 0;
};

/// The values of items that both sides have, in the baseline's order.
Pairs pair_items(const results::ItemColumns& a, const std::vector<double>& a_values,
                 const results::ItemColumns& b, const std::vector<double>& b_values) {
  Pairs pairs;
  if (a.ids == b.ids) {  // the usual case
    pairs = {a.ids, a_values, b_values, a.tokens, 0};
    return pairs;
  }
  std::unordered_map<std::string, size_t> places;
  for (size_t i = 0; i < b.ids.size(); ++i) places.emplace(b.ids[i], i);
  for (size_t i = 0; i < a.ids.size(); ++i) {
    const auto place = places.find(a.ids[i]);
    if (place == places.end()) continue;
    pairs.ids.push_back(a.ids[i]);
    pairs.baseline.push_back(a_values[i]);
    pairs.other.push_back(b_values[place->second]);
    pairs.tokens.push_back(a.tokens[i]);
  }
  const auto both = static_cast<int64_t>(pairs.ids.size());
  pairs.unpaired = static_cast<int64_t>(a.ids.size() + b.ids.size()) - 2 * both;
  return pairs;
}

bool is_binary(const std::vector<double>& values) {
  return std::all_of(values.begin(), values.end(), [](double v) { return v == 0 || v == 1; });
}

bool all_finite(const std::vector<double>& values) {
  return std::all_of(values.begin(), values.end(), [](double v) { return std::isfinite(v); });
}

/// Metrics that are a function of the summed NLL.
bool is_likelihood(const std::string& metric) {
  return metric == "nll" || metric.find("ppl") != std::string::npos ||
         metric.find("perplexity") != std::string::npos || metric.find("bits_per") != std::string::npos;
}

void mcnemar(Pairs pairs, Comparison& result) {
  const PairedTable table = paired_table(pairs.baseline, pairs.other);
  result.test = "exact McNemar";
  result.p = mcnemar_exact(table.n10, table.n01);
  result.delta_stderr = table.delta_stderr();
  const double half = normal_quantile(0.975) * table.delta_stderr();
  result.interval = Interval{result.delta - half, result.delta + half};
  result.n10 = table.n10;
  result.n01 = table.n01;
  for (size_t i = 0; i < pairs.ids.size(); ++i) {
    if (pairs.baseline[i] != pairs.other[i])
      result.flips.push_back({std::move(pairs.ids[i]), pairs.baseline[i], pairs.other[i]});
  }
}

Bootstrap bootstrap(const Pairs& pairs, const CompareOptions& options) {
  BootstrapOptions o;
  o.replicates = options.replicates;
  o.seed = options.seed;
  // Neighbouring windows are of one document: blocks of about the cube root of their number keep that
  // dependence.
  o.block =
      std::max<int64_t>(1, static_cast<int64_t>(std::cbrt(static_cast<double>(pairs.ids.size())) + 1e-9));
  return paired_block_bootstrap(pairs.baseline, pairs.other, pairs.tokens, o);
}

/// The bootstrap is of the mean NLL per token; delta is of the perplexity: both ends go through the same
/// exponential.
void bootstrap_likelihood(const Pairs& pairs, const results::ScoreRow& baseline,
                          const CompareOptions& options, Comparison& result) {
  const Bootstrap b = bootstrap(pairs, options);
  result.test = "block bootstrap";
  result.p = b.p;
  if (baseline.metric == "nll") {
    const double shift = result.delta - b.estimate;
    result.interval = Interval{b.interval.low + shift, b.interval.high + shift};
  }
  const bool tokenwise = baseline.metric == "ppl" || baseline.metric == "perplexity";
  const double ratio = (baseline.value + result.delta) / baseline.value;
  if (!tokenwise || !std::isfinite(ratio) || ratio <= 0)
    return;  // per word or byte: the interval has another unit
  // The observed log ratio may differ from the estimate when windows weigh equally; the interval is shifted
  // to it.
  const double shift = std::log(ratio) - b.estimate;
  const auto as_delta = [&](double log_ratio) { return baseline.value * std::expm1(log_ratio + shift); };
  result.interval = Interval{as_delta(b.interval.low), as_delta(b.interval.high)};
}

void bootstrap_mean(Pairs pairs, const CompareOptions& options, Comparison& result) {
  std::fill(pairs.tokens.begin(), pairs.tokens.end(), 1);
  const Bootstrap b = bootstrap(pairs, options);
  result.test = "block bootstrap";
  result.p = b.p;
  result.interval = b.interval;
}

void compare_items(const results::ScoreRow& baseline, const results::ItemColumns& a,
                   const results::ItemColumns& b, const CompareOptions& options, Comparison& result) {
  const auto in_a = a.metrics.find(baseline.metric);
  const auto in_b = b.metrics.find(baseline.metric);
  const bool likelihood = is_likelihood(baseline.metric) && !a.nll.empty() && !b.nll.empty();
  if (!likelihood && (in_a == a.metrics.end() || in_b == b.metrics.end())) return;
  Pairs pairs = likelihood ? pair_items(a, a.nll, b, b.nll) : pair_items(a, in_a->second, b, in_b->second);
  result.paired = static_cast<int64_t>(pairs.ids.size());
  result.unpaired = pairs.unpaired;
  result.identical_items = pairs.unpaired == 0 && pairs.baseline == pairs.other;
  if (pairs.ids.empty() || !all_finite(pairs.baseline) || !all_finite(pairs.other)) return;
  if (likelihood) {
    const bool tokens_known =
        std::all_of(pairs.tokens.begin(), pairs.tokens.end(), [](int64_t t) { return t > 0; });
    if (tokens_known) bootstrap_likelihood(pairs, baseline, options, result);
  } else if (is_binary(pairs.baseline) && is_binary(pairs.other)) {
    mcnemar(std::move(pairs), result);
  } else {
    bootstrap_mean(std::move(pairs), options, result);
  }
}

}  // namespace

Comparison compare_scores(const results::ScoreRow& baseline, const results::ItemColumns* baseline_items,
                          const results::ScoreRow& score, const results::ItemColumns* items,
                          const CompareOptions& options) {
  Comparison result;
  result.delta = score.value - baseline.value;
  if (baseline_items != nullptr && items != nullptr)
    compare_items(baseline, *baseline_items, *items, options, result);
  return result;
}

void adjust_family(const std::vector<Comparison*>& family) {
  std::vector<double> p;
  for (const Comparison* comparison : family) {
    if (comparison->p) p.push_back(*comparison->p);
  }
  const std::vector<double> adjusted = holm(p);
  size_t next = 0;
  for (Comparison* comparison : family) {
    if (comparison->p) comparison->p_adjusted = adjusted[next++];
  }
}

}  // namespace qbench::reports
