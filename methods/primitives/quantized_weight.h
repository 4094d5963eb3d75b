// A weight matrix on its grid, and the two ways to get there: round each weight alone, or column by column
// with feedback.
#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "harness/core/lanes.h"
#include "methods/primitives/affine.h"
#include "methods/primitives/bits.h"

namespace qbench::methods {

/// How a matrix [rows, columns] is cut into slices that share a scale.
struct Slices {
  int64_t group = 0;        ///< columns per slice, the last may be short; <= 0: the whole row
  bool per_tensor = false;  ///< one slice for the whole matrix

  int64_t columns_per_slice(int64_t columns) const { return group > 0 && !per_tensor ? group : columns; }
  int64_t count(int64_t columns) const {
    const int64_t width = columns_per_slice(columns);
    return columns == 0 ? 0 : (columns + width - 1) / width;
  }
};

struct QuantizedWeight {
  at::Tensor w_hat;  ///< [rows, columns] float32, dequantized
  at::Tensor
      codes;  ///< [rows, columns] uint8 in 0..2^bits-1, original column order; undefined if not asked for
  at::Tensor scale;  ///< [rows, slices] float32
  at::Tensor
      zero;  ///< [rows, slices] float32: w_hat = scale * (codes - zero) where `offset` is NaN or undefined
  at::Tensor offset;  ///< [rows, slices] float32 or undefined; not NaN: w_hat = scale * codes + offset
  at::Tensor g_idx;   ///< [columns] int32: slice of each column; undefined if not asked for
  at::Tensor
      perm;  ///< [columns] int32: order in which columns were processed; undefined if it was 0, 1, 2, ...
  double loss = 0;  ///< what the method minimised; 0 where it has none
  BitLedger bits;
};

/// @param w           [rows, columns] float32, contiguous. @param keep_codes also fills codes and g_idx.
QuantizedWeight round_to_nearest(const at::Tensor& w, const Slices& slices, const GridSpec& spec,
                                 const Lanes& lanes, bool keep_codes);

struct FeedbackOptions {
  int64_t block = 128;
  bool static_groups =
      false;  ///< fit the groups of the original column order before the first column is rounded
  bool keep_groups =
      false;  ///< slices are those of the original columns, fitted when the first of them is reached (GAR)
  bool fresh_stats = false;    ///< group statistics include the updates of the running block
  std::vector<int64_t> order;  ///< processing order, a permutation of the columns; empty = as they are
  std::vector<int64_t> dead;   ///< columns whose input is always zero; their weights become 0
};

/// One linear of a feedback run; several that share U run together so that all lanes have work.
struct FeedbackJob {
  at::Tensor w;  ///< [rows, columns] float32, contiguous; not changed
  QuantizedWeight* result = nullptr;
};

/// @param u  [columns, columns] float32 upper triangular with u^T u = H^-1, in processing order.
/// Sets result->loss to the sum of (w - q)^2 / (2 d^2) and everything else of the result. The fit of whole
/// rows (no groups) sees the weights before dead columns are zeroed, group fits after, as in the official
/// code.
void quantize_with_feedback(std::vector<FeedbackJob>& jobs, const at::Tensor& u, const Slices& slices,
                            const GridSpec& spec, const FeedbackOptions& options, const Lanes& lanes,
                            bool keep_codes);

}  // namespace qbench::methods
