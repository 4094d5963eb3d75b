#include "tasks/core/statistics.h"

#include <algorithm>
#include <cmath>

#include "harness/core/errors.h"
#include "harness/core/python_random.h"

namespace qbench::tasks {

double mean(std::span<const double> values) {
  QB_CHECK(!values.empty(), "mean of nothing");
  double sum = 0;
  for (const double value : values) sum += value;
  return sum / static_cast<double>(values.size());
}

std::optional<double> mean_stderr(std::span<const double> values) {
  if (values.size() < 2) return std::nullopt;
  const double centre = mean(values);
  double squares = 0;
  for (const double value : values) squares += (value - centre) * (value - centre);
  const auto n = static_cast<double>(values.size());
  return std::sqrt(squares / (n - 1)) / std::sqrt(n);
}

std::vector<double> bootstrap_perplexity_chunk(std::span<const double> loglikelihoods, uint64_t chunk,
                                               int64_t replicates) {
  PythonRandom random(chunk);
  const auto n = static_cast<double>(loglikelihoods.size());
  std::vector<double> values;
  for (int64_t i = 0; i < replicates; ++i) {
    double sum = 0;
    for (size_t draw = 0; draw < loglikelihoods.size(); ++draw) {
      sum += loglikelihoods[static_cast<size_t>(random.random() * n)];
    }
    values.push_back(std::exp(-sum / n));
  }
  return values;
}

std::optional<double> bootstrap_perplexity_stderr(std::span<const double> loglikelihoods,
                                                  int64_t replicates) {
  if (loglikelihoods.size() < 2 || replicates < 2) return std::nullopt;
  constexpr int64_t kChunk = 1000;
  std::vector<double> values;
  for (int64_t chunk = 0; chunk < std::max<int64_t>(replicates / kChunk, 1); ++chunk) {
    const auto part = bootstrap_perplexity_chunk(loglikelihoods, static_cast<uint64_t>(chunk),
                                                 std::min(replicates, kChunk));
    values.insert(values.end(), part.begin(), part.end());
  }
  return *mean_stderr(values) * std::sqrt(static_cast<double>(values.size()));
}

double group_mean(std::span<const GroupMember> members, bool weight_by_size) {
  QB_CHECK(!members.empty(), "group of nothing");
  double sum = 0, weights = 0;
  for (const GroupMember& member : members) {
    const double weight = weight_by_size ? static_cast<double>(member.n) : 1.0;
    sum += weight * member.value;
    weights += weight;
  }
  return sum / weights;
}

std::optional<double> pooled_stderr(std::span<const GroupMember> members) {
  double sum = 0, total = 0;
  for (const GroupMember& member : members) {
    const auto n = static_cast<double>(member.n);
    sum += (n - 1) * n * member.stderr_ * member.stderr_;
    total += n;
  }
  const double freedom = total - static_cast<double>(members.size());
  if (freedom <= 0) return std::nullopt;
  return std::sqrt(sum / freedom / total);
}

}  // namespace qbench::tasks
