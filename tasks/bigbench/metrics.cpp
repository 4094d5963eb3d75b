#include "tasks/bigbench/metrics.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <set>

#include "harness/core/errors.h"
#include "harness/core/hash.h"

namespace qbench::tasks {
namespace {

size_t first_argmax(std::span<const double> values) {
  return static_cast<size_t>(std::distance(values.begin(), std::max_element(values.begin(), values.end())));
}

/// Target scores divided by their sum; all zero if the sum is zero.
std::vector<double> normalized_targets(const ChoiceSample& sample) {
  double total = 0;
  for (const double score : sample.target_scores) total += score;
  std::vector<double> targets;
  for (const double score : sample.target_scores) targets.push_back(total == 0 ? 0 : score / total);
  return targets;
}

/// Shares of the choices, whatever normalisation log_prob has; dividing also moves equal shares such as 1/3
/// onto the edge of their bucket.
std::vector<double> probabilities(const ChoiceSample& sample) {
  std::vector<double> p;
  double total = 0;
  for (const double value : sample.log_prob) total += p.emplace_back(std::exp(value));
  for (double& value : p) value /= total;
  return p;
}

}  // namespace

std::vector<double> normalize_log_probs(std::span<const double> absolute) {
  const double top = *std::max_element(absolute.begin(), absolute.end());
  double total = 0;
  for (const double value : absolute) total += std::exp(value - top);
  std::vector<double> normalized;
  for (const double value : absolute) normalized.push_back(value - (top + std::log(total)));
  return normalized;
}

size_t chosen_choice(const ChoiceSample& sample) {
  const std::vector<double>& values = sample.log_prob;
  const double top = *std::max_element(values.begin(), values.end());
  std::vector<size_t> tied;
  for (size_t i = 0; i < values.size(); ++i) {
    if (values[i] == top) tied.push_back(i);
  }
  if (tied.size() <= 1) return tied.empty() ? 0 : tied.front();
  const std::string digest =
      sha256_hex({reinterpret_cast<const char*>(values.data()), values.size() * sizeof(double)});
  size_t remainder = 0;
  for (const char c : digest)
    remainder = (remainder * 16 + static_cast<size_t>(c <= '9' ? c - '0' : c - 'a' + 10)) % tied.size();
  return tied[remainder];
}

double multiple_choice_grade(std::span<const ChoiceSample> samples) {
  double total = 0;
  for (const ChoiceSample& sample : samples) total += sample.target_scores[chosen_choice(sample)];
  return total / static_cast<double>(samples.size());
}

double brier_score(std::span<const ChoiceSample> samples) {
  double total = 0;
  size_t choices = 0;
  for (const ChoiceSample& sample : samples) {
    const std::vector<double> targets = normalized_targets(sample);
    const std::vector<double> p = probabilities(sample);
    for (size_t i = 0; i < targets.size(); ++i)
      total += targets[i] * (p[i] - 1) * (p[i] - 1) + (1 - targets[i]) * p[i] * p[i];
    choices += targets.size();
  }
  return total / static_cast<double>(choices);
}

double expected_calibration_error(std::span<const ChoiceSample> samples) {
  constexpr size_t kBuckets = 15;
  struct Bucket {
    double confidence = 0, correct = 0;
  };
  std::vector<Bucket> buckets(kBuckets);
  for (const ChoiceSample& sample : samples) {
    const std::vector<double> p = probabilities(sample);
    const size_t best = first_argmax(p);
    size_t j = 0;
    while (j + 1 < kBuckets && !(p[best] < static_cast<double>(j + 1) / kBuckets)) ++j;
    buckets[j].confidence += p[best];
    buckets[j].correct += first_argmax(normalized_targets(sample)) == best;
  }
  double error = 0;
  for (const Bucket& bucket : buckets) error += std::abs(bucket.confidence - bucket.correct);
  return error / static_cast<double>(samples.size());
}

std::optional<double> macro_f1(std::span<const ChoiceSample> samples) {
  std::map<std::string, std::array<double, 3>> counts;  // true positives, predicted, actual
  for (const ChoiceSample& sample : samples) {
    size_t correct = 0, gold = 0;
    for (size_t i = 0; i < sample.target_scores.size(); ++i) {
      if (sample.target_scores[i] == 0) continue;
      if (sample.target_scores[i] != 1 || ++correct > 1) return std::nullopt;
      gold = i;
    }
    if (correct != 1) return std::nullopt;
    const std::string& predicted = sample.choices[chosen_choice(sample)];
    counts[predicted][1] += 1;
    counts[sample.choices[gold]][2] += 1;
    if (predicted == sample.choices[gold]) counts[predicted][0] += 1;
  }
  double total = 0;
  for (const auto& [label, count] : counts) total += 2 * count[0] / (count[1] + count[2]);
  return total / static_cast<double>(counts.size());
}

double weighted_log_probabilities(std::span<const ChoiceSample> samples) {
  double total = 0;
  for (const ChoiceSample& sample : samples) {
    for (size_t i = 0; i < sample.choices.size(); ++i)
      total += sample.target_scores[i] * sample.absolute_log_prob[i];
  }
  return total / static_cast<double>(samples.size());
}

double weighted_probabilities(std::span<const ChoiceSample> samples) {
  double total = 0;
  for (const ChoiceSample& sample : samples) {
    for (size_t i = 0; i < sample.choices.size(); ++i)
      total += sample.target_scores[i] * std::exp(sample.absolute_log_prob[i]);
  }
  return total / static_cast<double>(samples.size());
}

double default_low_score(const std::string& metric) {
  if (metric.starts_with("log_likelihood") || metric == "weighted_log_probabilities") return -10;
  if (metric == "bleurt") return -0.1;
  if (metric == "weighted_probabilities") return -1;
  return 0;
}

double default_high_score(const std::string& metric) {
  if (metric == "bleu" || metric == "sequence_f1" || metric.starts_with("rouge") ||
      metric == "normalized_aggregate_score")
    return 100;
  if (metric.starts_with("log_likelihood") || metric == "weighted_log_probabilities") return 0;
  return metric == "bleurt" ? 1.1 : 1;
}

namespace {

/// 100 mean((preferred - low) / (high - low)); none when a task's preferred metric was not computed.
std::optional<double> normalized_aggregate(std::span<const ScoreData> members) {
  double total = 0;
  for (const ScoreData& member : members) {
    const auto preferred = member.scores.find(member.preferred);
    if (preferred == member.scores.end()) return std::nullopt;
    total += (preferred->second - member.low) / (member.high - member.low);
  }
  return 100 * total / static_cast<double>(members.size());
}

ScoreData combine(const std::string& task, std::span<const ScoreData> members) {
  ScoreData combined;
  combined.description = task;
  combined.shots = members.front().shots;
  std::map<std::string, std::pair<double, int64_t>> sums;
  bool all_grade = true;
  double low = 0;
  for (const ScoreData& member : members) {
    for (const auto& [metric, value] : member.scores) {
      if (metric == "normalized_aggregate_score") continue;
      sums[metric].first += value;
      ++sums[metric].second;
    }
    all_grade = all_grade && member.preferred == "multiple_choice_grade";
    low += member.low;
  }
  for (const auto& [metric, sum] : sums)
    combined.scores[metric] = sum.first / static_cast<double>(sum.second);
  if (const auto aggregate = normalized_aggregate(members))
    combined.scores["normalized_aggregate_score"] = *aggregate;
  combined.preferred = all_grade ? "multiple_choice_grade" : "normalized_aggregate_score";
  combined.low = all_grade ? low / static_cast<double>(members.size()) : 0;
  combined.high = all_grade ? 1 : 100;
  return combined;
}

}  // namespace

std::vector<ScoreData> aggregate_scores(const std::string& task, std::vector<ScoreData> scores) {
  std::map<int64_t, std::vector<ScoreData>> by_shots;
  for (const ScoreData& score : scores) by_shots[score.shots].push_back(score);
  for (const auto& [shots, members] : by_shots) {
    if (members.size() > 1) {
      scores.push_back(combine(task, members));
      continue;
    }
    for (ScoreData& score : scores) {
      if (score.shots != shots) continue;
      if (const auto aggregate = normalized_aggregate(members))
        score.scores["normalized_aggregate_score"] = *aggregate;
    }
  }
  return scores;
}

}  // namespace qbench::tasks
