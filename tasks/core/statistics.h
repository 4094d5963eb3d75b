// Means and standard errors as the evaluation programs define them (eval_protocol, sections 3.6 and 3.8).
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace qbench::tasks {

double mean(std::span<const double> values);
/// s / sqrt(n), s with n - 1 in its denominator; none for n < 2.
std::optional<double> mean_stderr(std::span<const double> values);

/// lm-eval's bootstrap of exp(-mean): chunks of 1000 replicates, chunk i drawn from random.Random(i) with
/// `choices`; the sample standard deviation of all replicates. None for n < 2 or fewer than 2 replicates.
/// @param replicates  rounded down to a multiple of 1000 (at least 1000 are drawn), lm-eval's default is
/// 100000
std::optional<double> bootstrap_perplexity_stderr(std::span<const double> loglikelihoods, int64_t replicates);
/// One chunk of it.
std::vector<double> bootstrap_perplexity_chunk(std::span<const double> loglikelihoods, uint64_t chunk,
                                               int64_t replicates);

struct GroupMember {
  double value = 0;
  double stderr_ = 0;
  int64_t n = 0;
};
double group_mean(std::span<const GroupMember> members, bool weight_by_size);
/// sqrt( [sum (n_i - 1) n_i se_i^2 / (N - T)] / N ), always by size; none for N <= T.
std::optional<double> pooled_stderr(std::span<const GroupMember> members);

}  // namespace qbench::tasks
