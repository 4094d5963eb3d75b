// Statistics of comparisons: pure functions of numbers. Definitions and the programs they agree with stand at
// each one.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace qbench::reports {

struct Interval {
  double low = 0, high = 0;
};

/// Answers of two models to the same questions; n10 = right with the baseline, wrong with the other.
struct PairedTable {
  int64_t n11 = 0, n10 = 0, n01 = 0, n00 = 0;
  int64_t n() const { return n11 + n10 + n01 + n00; }
  int64_t flips() const { return n10 + n01; }
  double delta() const;         ///< (n01 - n10) / n: accuracy of the other minus accuracy of the baseline
  double delta_stderr() const;  ///< sqrt(n10 + n01 - (n10 - n01)^2 / n) / n
};

/// Counts by whether each value is at least one half. Sizes must be equal.
PairedTable paired_table(std::span<const double> baseline, std::span<const double> other);

/// Two-sided exact binomial test of n10 among n10 + n01 at one half; 1 without flips.
double mcnemar_exact(int64_t n10, int64_t n01);

struct ChiSquare {
  double statistic = 0, p = 1;
};
/// (|n10 - n01| - 1)^2 / (n10 + n01), without the -1 if not corrected; one degree of freedom. Needs a flip.
ChiSquare mcnemar_chi2(int64_t n10, int64_t n01, bool continuity_corrected);

// p values adjusted for a family of tests, in the order given (compare them with alpha directly).
std::vector<double> bonferroni(std::span<const double> p);
std::vector<double> holm(std::span<const double> p);
std::vector<double> benjamini_hochberg(std::span<const double> p);

// Intervals for a proportion of k among n, n >= 1, coverage 1 - alpha.
Interval wilson(int64_t k, int64_t n, double alpha);
Interval clopper_pearson(int64_t k, int64_t n, double alpha);

/// Standard normal quantile.
double normal_quantile(double probability);

struct Bootstrap {
  double estimate = 0;  ///< on the data themselves
  double standard_error = 0;
  Interval interval;  ///< percentile interval
  /// Two-sided, of estimate / standard_error under Student's t with ceil(windows / block) - 1 degrees of
  /// freedom: unlike a count of replicates it can be as small as a correction for many tests needs. 1 for a
  /// single block.
  double p = 1;
};

struct BootstrapOptions {
  int64_t replicates = 2000;
  int64_t block = 1;  ///< neighbouring windows drawn together
  double alpha = 0.05;
  uint64_t seed = 0;
};

/// Difference of mean NLL per token, other - baseline, over the same windows: ln of the ratio of
/// perplexities. Windows are drawn with replacement in circular blocks, the same draw for both sides. `nll`
/// are sums, `tokens` their counts.
Bootstrap paired_block_bootstrap(std::span<const double> baseline_nll, std::span<const double> other_nll,
                                 std::span<const int64_t> tokens, const BootstrapOptions& options);

/// tau-b, in [-1, 1]; NaN if one side is constant or there are fewer than two pairs.
double kendall_tau(std::span<const double> x, std::span<const double> y);
/// Correlation of mid-ranks; NaN as above.
double spearman(std::span<const double> x, std::span<const double> y);

}  // namespace qbench::reports
