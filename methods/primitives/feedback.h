// The feedback engine: quantize the columns of a weight matrix one after the other and spread each column's
// error over the columns still to come through U, the upper Cholesky factor of the inverse Gram matrix (GPTQ,
// arXiv:2210.17323, algorithm 1). Works on a tile of rows; rows are independent, so tiles may run on any
// lane. Raw pointers, no torch.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace qbench::methods {

/// Rounds columns in processing order. One object serves one tile of rows and may keep state between columns.
class ColumnQuantizer {
 public:
  virtual ~ColumnQuantizer() = default;
  /// Before `column` is rounded. `tile` holds the weights as the last lazy update left them (element (r, c)
  /// at tile[c * stride + r]): columns of the running block do not contain that block's own updates
  /// ("stale").
  virtual void begin_column(int64_t column, const float* tile, int64_t stride) = 0;
  /// w[rows] -> q[rows], the dequantized values.
  virtual void round(int64_t column, const float* w, float* q) = 0;
};

struct FeedbackPlan {
  int64_t columns = 0;
  const float* u = nullptr;           ///< [columns, columns] row-major, upper triangular, in processing order
  std::vector<int64_t> block_starts;  ///< ascending, the first is 0: lazy blocks
};

/// Lazy blocks of `block` columns; with `fresh_group` > 0 a block also begins at each multiple of it, so that
/// a group's statistics contain every update made so far.
std::vector<int64_t> lazy_blocks(int64_t columns, int64_t block, int64_t fresh_group);

/// @param tile   [columns][stride], element (r, c) at c * stride + r; in: weights, out: dequantized weights.
/// @param rows   rows in use; stride is a multiple of kFeedbackLane and unused rows are zero.
/// @param losses [columns] double; (w - q)^2 / (2 d^2) summed over the tile's rows is added to it.
void run_feedback(float* tile, int64_t rows, int64_t stride, const FeedbackPlan& plan,
                  ColumnQuantizer& quantizer, double* losses);

inline constexpr int64_t kFeedbackLane = 16;  ///< rows per vector
inline constexpr int64_t kFeedbackRows = 64;  ///< rows per tile that fill the registers

}  // namespace qbench::methods
