// Gram matrices of linear inputs, and the factor of their inverse that the feedback engine walks along.
#pragma once

#include <ATen/core/Tensor.h>

#include <span>
#include <string>
#include <vector>

#include "harness/core/lanes.h"

namespace qbench::methods {

/// Streams the rows of a site's input and keeps X^T X in float32. Only tiles on and below the diagonal are
/// computed; the tiles are the units of parallel work, so the sums do not depend on the number of lanes.
class GramAccumulator {
 public:
  explicit GramAccumulator(int64_t channels);
  /// @param x  [tokens, channels] float32 pieces, added in this order.
  void add(std::span<const at::Tensor> x, const Lanes& lanes);
  /// [channels, channels], full and symmetric: scale * X^T X. With scale = 2 / sequences it is the H of
  /// GPTQ's code.
  at::Tensor finish(double scale);

 private:
  int64_t channels_;
  at::Tensor sum_;
};

/// How the columns of a Gram matrix are ordered before it is factored.
enum class ColumnOrder {
  kNatural,
  kActivation,  ///< descending diagonal (act_order)
  kGroupAware,  ///< descending diagonal inside each group; groups by their largest diagonal (GAR, GPTQModel)
};

struct InverseFactor {
  at::Tensor u;  ///< [C, C] float32 upper triangular, u^T u = (H + damping)^-1, in processing order
  std::vector<int64_t> order;  ///< processing order; empty = natural
  std::vector<int64_t> dead;   ///< columns with H_jj = 0 (replaced by 1), original numbering
  double damping = 0;          ///< the fraction of mean(diag H) that was added
  int attempts = 1;            ///< factorisations tried; the damping doubles each time
};

struct FactorOptions {
  double damp = 0.01;
  int64_t damp_steps = 6;
  ColumnOrder order = ColumnOrder::kNatural;
  int64_t group = 0;                 ///< for kGroupAware
  std::vector<int64_t> given_order;  ///< if not empty, used instead of `order`
};

/// @param h     [C, C] float32 symmetric; not changed. @param name  the layer, for messages.
/// @throws NumericError  not positive definite after all damping steps (layer, column, damping tried), or not
/// finite.
InverseFactor factor_inverse(const at::Tensor& h, const FactorOptions& options, const std::string& name,
                             const Lanes& lanes);

/// tr(D H D^T) = sum over rows of the squared output error, in double. @param d [rows, C], h [C, C].
double trace_error(const at::Tensor& d, const at::Tensor& h);

}  // namespace qbench::methods
