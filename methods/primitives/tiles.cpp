#include "methods/primitives/tiles.h"

#include "methods/primitives/feedback.h"

namespace qbench::methods {

void RowTile::gather(const float* w, int64_t first_row, int64_t rows_in_tile, int64_t all_columns,
                     const std::vector<int64_t>& order) {
  rows = rows_in_tile;
  columns = all_columns;
  stride = (rows + kFeedbackLane - 1) / kFeedbackLane * kFeedbackLane;
  data.assign(static_cast<size_t>(stride * columns), 0.0F);
  for (int64_t r = 0; r < rows; ++r) {
    const float* row = w + (first_row + r) * columns;
    float* out = data.data() + r;
    if (order.empty()) {
      for (int64_t c = 0; c < columns; ++c) out[c * stride] = row[c];
    } else {
      for (int64_t c = 0; c < columns; ++c) out[c * stride] = row[order[static_cast<size_t>(c)]];
    }
  }
}

void RowTile::scatter(float* w, int64_t first_row, const std::vector<int64_t>& order) const {
  for (int64_t r = 0; r < rows; ++r) {
    float* row = w + (first_row + r) * columns;
    const float* in = data.data() + r;
    for (int64_t c = 0; c < columns; ++c)
      row[order.empty() ? c : order[static_cast<size_t>(c)]] = in[c * stride];
  }
}

}  // namespace qbench::methods
