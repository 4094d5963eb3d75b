// Row tiles: a few rows of a matrix, transposed so that a kernel's inner loop runs over rows.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace qbench::methods {

struct RowTile {
  int64_t rows = 0, stride = 0, columns = 0;
  std::vector<float> data;  ///< element (r, c) at c * stride + r

  /// @param w      row-major, `columns` per row. @param order  source column of each tile column, or empty.
  void gather(const float* w, int64_t first_row, int64_t rows_in_tile, int64_t all_columns,
              const std::vector<int64_t>& order);
  /// The inverse: writes the tile's rows into a row-major matrix.
  void scatter(float* w, int64_t first_row, const std::vector<int64_t>& order) const;
};

}  // namespace qbench::methods
