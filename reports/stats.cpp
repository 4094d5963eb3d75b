#include "reports/stats.h"

#include <algorithm>
#include <boost/math/distributions/beta.hpp>
#include <boost/math/distributions/chi_squared.hpp>
#include <boost/math/distributions/normal.hpp>
#include <boost/math/distributions/students_t.hpp>
#include <boost/math/special_functions/beta.hpp>
#include <cmath>
#include <limits>
#include <numeric>
#include <string>

#include "harness/core/errors.h"

namespace qbench::reports {
namespace {

/// Indices that sort `values` upwards; equal values keep their order.
std::vector<size_t> ascending(std::span<const double> values) {
  std::vector<size_t> order(values.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return values[a] < values[b]; });
  return order;
}

/// SplitMix64 (Steele, Lea, Flood 2014): a few lines that give the same stream everywhere.
class SplitMix64 {
 public:
  explicit SplitMix64(uint64_t seed) : state_(seed) {}
  uint64_t next() {
    uint64_t z = (state_ += 0x9E3779B97F4A7C15u);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
  }
  /// Uniform in [0, bound): the high half of a 64 x 64 bit product; its bias is below bound / 2^64.
  size_t below(size_t bound) {
    return static_cast<size_t>((static_cast<unsigned __int128>(next()) * bound) >> 64);
  }

 private:
  uint64_t state_;
};

/// Linear interpolation between the order statistics around fraction * (n - 1).
double quantile(const std::vector<double>& sorted, double fraction) {
  const double position = fraction * static_cast<double>(sorted.size() - 1);
  const auto below = static_cast<size_t>(position);
  const size_t above = std::min(below + 1, sorted.size() - 1);
  return sorted[below] + (position - static_cast<double>(below)) * (sorted[above] - sorted[below]);
}

double standard_deviation(const std::vector<double>& values) {
  const auto n = static_cast<double>(values.size());
  const double mean = std::accumulate(values.begin(), values.end(), 0.0) / n;
  double squares = 0;
  for (const double value : values) squares += (value - mean) * (value - mean);
  return n < 2 ? 0 : std::sqrt(squares / (n - 1));
}

double t_test(double estimate, double standard_error, size_t blocks) {
  if (estimate == 0 || blocks < 2) return 1;
  // Blocks that all differ by the same amount: the sign test is all that can be said.
  const double sign_test = std::ldexp(1.0, 1 - static_cast<int>(std::min<size_t>(blocks, 1000)));
  if (standard_error <= 1e-12 * std::abs(estimate)) return sign_test;
  const boost::math::students_t t(static_cast<double>(blocks - 1));
  return 2 * boost::math::cdf(boost::math::complement(t, std::abs(estimate) / standard_error));
}

std::vector<double> mid_ranks(std::span<const double> values) {
  const auto order = ascending(values);
  std::vector<double> ranks(values.size());
  for (size_t first = 0; first < order.size();) {
    size_t last = first;
    while (last + 1 < order.size() && values[order[last + 1]] == values[order[first]]) ++last;
    for (size_t i = first; i <= last; ++i) ranks[order[i]] = static_cast<double>(first + last) / 2;
    first = last + 1;
  }
  return ranks;
}

void check_paired(size_t a, size_t b) {
  QB_CHECK(a == b, "paired values of unequal number: " + std::to_string(a) + " and " + std::to_string(b));
}

}  // namespace

double PairedTable::delta() const {
  return n() == 0 ? 0 : static_cast<double>(n01 - n10) / static_cast<double>(n());
}

double PairedTable::delta_stderr() const {
  if (n() == 0) return 0;
  const auto total = static_cast<double>(n());
  const auto difference = static_cast<double>(n10 - n01);
  return std::sqrt(std::max(0.0, static_cast<double>(flips()) - difference * difference / total)) / total;
}

PairedTable paired_table(std::span<const double> baseline, std::span<const double> other) {
  check_paired(baseline.size(), other.size());
  PairedTable table;
  for (size_t i = 0; i < baseline.size(); ++i) {
    const bool was = baseline[i] >= 0.5, is = other[i] >= 0.5;
    ++(was ? (is ? table.n11 : table.n10) : (is ? table.n01 : table.n00));
  }
  return table;
}

double mcnemar_exact(int64_t n10, int64_t n01) {
  const int64_t flips = n10 + n01;
  if (n10 == n01) return 1;  // also without flips; the two tails overlap in the middle
  // P(X <= k) of a binomial at one half, as an incomplete beta function: exact to the last digits for any
  // count.
  const auto k = static_cast<double>(std::min(n10, n01));
  return std::min(1.0, 2 * boost::math::ibetac(k + 1, static_cast<double>(flips) - k, 0.5));
}

ChiSquare mcnemar_chi2(int64_t n10, int64_t n01, bool continuity_corrected) {
  QB_CHECK(n10 + n01 > 0, "the chi-squared form needs at least one flip");
  const double difference = std::abs(static_cast<double>(n10 - n01)) - (continuity_corrected ? 1 : 0);
  ChiSquare result;
  result.statistic = difference * difference / static_cast<double>(n10 + n01);
  result.p = boost::math::cdf(boost::math::complement(boost::math::chi_squared(1), result.statistic));
  return result;
}

std::vector<double> bonferroni(std::span<const double> p) {
  std::vector<double> adjusted(p.begin(), p.end());
  for (double& value : adjusted) value = std::min(1.0, value * static_cast<double>(p.size()));
  return adjusted;
}

std::vector<double> holm(std::span<const double> p) {
  std::vector<double> adjusted(p.size());
  double highest = 0;
  size_t tests_left = p.size();
  for (const size_t i : ascending(p)) {
    highest = std::max(highest, std::min(1.0, p[i] * static_cast<double>(tests_left--)));
    adjusted[i] = highest;
  }
  return adjusted;
}

std::vector<double> benjamini_hochberg(std::span<const double> p) {
  std::vector<double> adjusted(p.size());
  const auto order = ascending(p);
  double lowest = 1;
  for (size_t rank = order.size(); rank > 0; --rank) {
    const size_t i = order[rank - 1];
    // Divide by rank/n as statsmodels does, so that equal inputs give equal last digits.
    lowest = std::min(lowest, p[i] / (static_cast<double>(rank) / static_cast<double>(p.size())));
    adjusted[i] = lowest;
  }
  return adjusted;
}

double normal_quantile(double probability) {
  return boost::math::quantile(boost::math::normal(), probability);
}

Interval wilson(int64_t k, int64_t n, double alpha) {
  QB_CHECK(n >= 1 && k >= 0 && k <= n, "a proportion of k among n");
  const auto total = static_cast<double>(n);
  const double z2 = std::pow(normal_quantile(1 - alpha / 2), 2);
  const double share = static_cast<double>(k) / total;
  const double scale = 1 + z2 / total;
  const double center = (share + z2 / (2 * total)) / scale;
  const double half = std::sqrt(z2 * (share * (1 - share) / total + z2 / (4 * total * total))) / scale;
  return {k == 0 ? 0.0 : std::max(0.0, center - half), k == n ? 1.0 : std::min(1.0, center + half)};
}

Interval clopper_pearson(int64_t k, int64_t n, double alpha) {
  QB_CHECK(n >= 1 && k >= 0 && k <= n, "a proportion of k among n");
  const auto hits = static_cast<double>(k);
  const auto misses = static_cast<double>(n - k);
  Interval interval{0, 1};
  if (k > 0) interval.low = boost::math::ibeta_inv(hits, misses + 1, alpha / 2);
  if (k < n) interval.high = boost::math::ibetac_inv(hits + 1, misses, alpha / 2);
  return interval;
}

Bootstrap paired_block_bootstrap(std::span<const double> baseline_nll, std::span<const double> other_nll,
                                 std::span<const int64_t> tokens, const BootstrapOptions& options) {
  check_paired(baseline_nll.size(), other_nll.size());
  check_paired(baseline_nll.size(), tokens.size());
  const size_t windows = tokens.size();
  QB_CHECK(windows > 0 && options.replicates > 0 && options.block > 0,
           "windows, replicates and block must be positive");
  std::vector<double> difference(windows), count(windows);
  for (size_t w = 0; w < windows; ++w) {
    difference[w] = other_nll[w] - baseline_nll[w];
    count[w] = static_cast<double>(tokens[w]);
  }
  const auto sum = [](const std::vector<double>& values) {
    return std::accumulate(values.begin(), values.end(), 0.0);
  };
  Bootstrap result;
  result.estimate = sum(difference) / sum(count);

  SplitMix64 random(options.seed);
  const auto block = std::min(static_cast<size_t>(options.block), windows);
  std::vector<double> replicates(static_cast<size_t>(options.replicates));
  for (double& replicate : replicates) {
    double nll = 0, drawn_tokens = 0;
    for (size_t drawn = 0; drawn < windows;) {
      size_t w = random.below(windows);
      for (size_t i = 0; i < block && drawn < windows; ++i, ++drawn) {
        nll += difference[w];
        drawn_tokens += count[w];
        if (++w == windows) w = 0;
      }
    }
    replicate = nll / drawn_tokens;
  }
  std::sort(replicates.begin(), replicates.end());
  result.interval = {quantile(replicates, options.alpha / 2), quantile(replicates, 1 - options.alpha / 2)};
  result.standard_error = standard_deviation(replicates);
  result.p = t_test(result.estimate, result.standard_error, (windows + block - 1) / block);
  return result;
}

double kendall_tau(std::span<const double> x, std::span<const double> y) {
  check_paired(x.size(), y.size());
  const auto sign = [](double d) { return (d > 0) - (d < 0); };
  int64_t score = 0, untied_x = 0, untied_y = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    for (size_t j = i + 1; j < x.size(); ++j) {
      const int sx = sign(x[j] - x[i]), sy = sign(y[j] - y[i]);
      score += sx * sy;
      untied_x += sx != 0;
      untied_y += sy != 0;
    }
  }
  if (untied_x == 0 || untied_y == 0) return std::numeric_limits<double>::quiet_NaN();
  return static_cast<double>(score) /
         std::sqrt(static_cast<double>(untied_x) * static_cast<double>(untied_y));
}

double spearman(std::span<const double> x, std::span<const double> y) {
  check_paired(x.size(), y.size());
  const auto rx = mid_ranks(x), ry = mid_ranks(y);
  const double mean = static_cast<double>(x.size() - 1) / 2;
  double xy = 0, xx = 0, yy = 0;
  for (size_t i = 0; i < rx.size(); ++i) {
    xy += (rx[i] - mean) * (ry[i] - mean);
    xx += (rx[i] - mean) * (rx[i] - mean);
    yy += (ry[i] - mean) * (ry[i] - mean);
  }
  return xx == 0 || yy == 0 ? std::numeric_limits<double>::quiet_NaN() : xy / std::sqrt(xx * yy);
}

}  // namespace qbench::reports
