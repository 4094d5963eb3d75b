#include "methods/primitives/gram.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "harness/core/errors.h"
#include "harness/core/fields.h"
#include "methods/primitives/gemm.h"

namespace qbench::methods {
namespace {

constexpr int64_t kGramTile = 192;
constexpr int64_t kInverseTile = 128;

std::vector<int64_t> argsort_descending(const float* keys, int64_t begin, int64_t end) {
  std::vector<int64_t> order(static_cast<size_t>(end - begin));
  std::iota(order.begin(), order.end(), begin);
  std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) { return keys[a] > keys[b]; });
  return order;
}

/// Whole groups ordered by their largest diagonal, columns inside each by theirs; a short last group stays
/// last, unsorted.
std::vector<int64_t> group_aware_order(const float* diagonal, int64_t columns, int64_t group) {
  const int64_t whole = columns / group;
  std::vector<std::vector<int64_t>> groups;
  std::vector<float> largest;
  for (int64_t g = 0; g < whole; ++g) {
    groups.push_back(argsort_descending(diagonal, g * group, (g + 1) * group));
    largest.push_back(diagonal[groups.back().front()]);
  }
  std::vector<int64_t> order;
  for (const int64_t g : argsort_descending(largest.data(), 0, whole)) {
    order.insert(order.end(), groups[static_cast<size_t>(g)].begin(), groups[static_cast<size_t>(g)].end());
  }
  for (int64_t c = whole * group; c < columns; ++c) order.push_back(c);
  return order;
}

std::vector<int64_t> processing_order(const at::Tensor& diagonal, const FactorOptions& options) {
  if (!options.given_order.empty()) return options.given_order;
  const float* keys = diagonal.const_data_ptr<float>();
  switch (options.order) {
    case ColumnOrder::kNatural:
      return {};
    case ColumnOrder::kActivation:
      return argsort_descending(keys, 0, diagonal.numel());
    case ColumnOrder::kGroupAware:
      return group_aware_order(keys, diagonal.numel(), std::max<int64_t>(options.group, 1));
  }
  return {};
}

/// U = L^-1 read backwards: with H = R R^T, R upper triangular (a Cholesky from the last column), U = R^-1
/// has U^T U = H^-1. `l` is the ordinary lower factor of H with rows and columns reversed.
at::Tensor inverse_upper(const at::Tensor& l, const Lanes& lanes) {
  const int64_t n = l.size(0);
  at::Tensor inverse = at::zeros_like(l);
  const int64_t tiles = (n + kInverseTile - 1) / kInverseTile;
  lanes.run(static_cast<size_t>(tiles), [&](size_t t, int) {
    const int64_t begin = static_cast<int64_t>(t) * kInverseTile, width = std::min(kInverseTile, n - begin);
    // Columns begin..begin+width of L^-1 are zero above row `begin`.
    at::Tensor rhs = at::zeros({n - begin, width}, l.options());
    rhs.diagonal().fill_(1.0);
    const at::Tensor part = l.slice(0, begin).slice(1, begin);
    inverse.slice(0, begin)
        .slice(1, begin, begin + width)
        .copy_(at::linalg_solve_triangular(part, rhs, /*upper=*/false));
  });
  return inverse.flip({0, 1}).contiguous();
}

}  // namespace

GramAccumulator::GramAccumulator(int64_t channels)
    : channels_(channels), sum_(at::zeros({channels, channels}, at::kFloat)) {}

void GramAccumulator::add(std::span<const at::Tensor> x, const Lanes& lanes) {
  std::vector<at::Tensor> transposed(x.size());
  lanes.run(x.size(), [&](size_t i, int) {
    QB_CHECK(x[i].dim() == 2 && x[i].size(1) == channels_,
             "GramAccumulator::add: [tokens, channels] expected");
    transposed[i] = x[i].t().contiguous();
  });
  const int64_t tiles = (channels_ + kGramTile - 1) / kGramTile;
  std::vector<std::pair<int64_t, int64_t>> pairs;
  for (int64_t i = 0; i < tiles; ++i) {
    for (int64_t j = 0; j <= i; ++j) pairs.emplace_back(i * kGramTile, j * kGramTile);
  }
  lanes.run(pairs.size(), [&](size_t p, int) {
    const auto [row, column] = pairs[p];
    const int64_t rows = std::min(kGramTile, channels_ - row),
                  columns = std::min(kGramTile, channels_ - column);
    at::Tensor target = sum_.narrow(0, row, rows).narrow(1, column, columns);
    for (const at::Tensor& xt : transposed) {
      target.add_(matmul_transposed(xt.narrow(0, row, rows), xt.narrow(0, column, columns)));
    }
  });
}

at::Tensor GramAccumulator::finish(double scale) {
  const at::Tensor lower = at::tril(sum_);
  return (lower + at::tril(sum_, -1).t()).mul_(scale);
}

InverseFactor factor_inverse(const at::Tensor& h, const FactorOptions& options, const std::string& name,
                             const Lanes& lanes) {
  QB_CHECK(h.dim() == 2 && h.size(0) == h.size(1) && h.scalar_type() == at::kFloat,
           "factor_inverse: square float32 matrix");
  const int64_t n = h.size(0);
  InverseFactor factor;
  at::Tensor work = h.clone();
  at::Tensor diagonal = work.diagonal();
  for (int64_t c = 0; c < n; ++c) {
    const float value = diagonal[c].item<float>();
    if (!std::isfinite(value)) {
      throw NumericError(name + ": the inputs are not finite (Gram matrix, channel " + std::to_string(c) +
                         "). An earlier block produced infinities; use more bits or another recipe.");
    }
    if (value == 0) factor.dead.push_back(c);
  }
  for (const int64_t c : factor.dead) work[c][c] = 1.0;
  factor.order = processing_order(work.diagonal().contiguous(), options);
  if (!factor.order.empty()) {
    const at::Tensor index = at::tensor(factor.order, at::kLong);
    work = work.index_select(0, index).index_select(1, index);
  }
  const double mean = work.diagonal().mean(at::kDouble).item<double>();
  std::string tried;
  double damp = options.damp;
  for (factor.attempts = 1; factor.attempts <= options.damp_steps;
       ++factor.attempts, damp = damp > 0 ? 2 * damp : 0.01) {
    at::Tensor damped = work.flip({0, 1});
    damped.diagonal().add_(damp * mean);
    const auto [l, info] = at::linalg_cholesky_ex(damped);
    factor.damping = damp;
    tried += (tried.empty() ? "" : ", ") + print_number(damp);
    if (info.item<int>() == 0) {
      factor.u = inverse_upper(l.contiguous(), lanes);
      if (at::isfinite(factor.u).all().item<bool>()) return factor;
      tried += " (inverse not finite)";
    } else {
      tried += " (column " + std::to_string(n - info.item<int>()) + " of " + std::to_string(n) + ")";
    }
  }
  throw NumericError(name + ": the Gram matrix is not positive definite after damping " + tried +
                     ". Use more calibration samples or raise gptq.damp.");
}

double trace_error(const at::Tensor& d, const at::Tensor& h) {
  const at::Tensor product = matmul_transposed(d, h);
  return (product.to(at::kDouble) * d.to(at::kDouble)).sum().item<double>();
}

}  // namespace qbench::methods
