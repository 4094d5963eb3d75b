#include "methods/primitives/quantized_weight.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>

#include "harness/core/errors.h"
#include "methods/primitives/feedback.h"
#include "methods/primitives/tiles.h"

namespace qbench::methods {
namespace {

void check_matrix(const at::Tensor& w) {
  QB_CHECK(w.dim() == 2 && w.scalar_type() == at::kFloat && w.is_contiguous(),
           "a weight must be a contiguous float32 matrix");
}

bool may_have_offset(const GridSpec& spec) { return !spec.symmetric && spec.zero != ZeroKind::kInteger; }

/// Allocates everything but the loss.
void allocate(QuantizedWeight& out, const at::Tensor& w, int64_t slices, const GridSpec& spec,
              bool keep_codes) {
  const int64_t rows = w.size(0), columns = w.size(1);
  out.w_hat = at::empty_like(w);
  out.scale = at::empty({rows, slices}, w.options());
  out.zero = at::empty({rows, slices}, w.options());
  if (may_have_offset(spec)) out.offset = at::empty({rows, slices}, w.options());
  if (keep_codes) {
    out.codes = at::empty({rows, columns}, w.options().dtype(at::kByte));
    out.g_idx = at::empty({columns}, w.options().dtype(at::kInt));
  }
}

void finish_ledger(QuantizedWeight& out, const Slices& slices, const GridSpec& spec, int64_t indexed_groups) {
  LedgerInput input;
  input.rows = out.w_hat.size(0);
  input.columns = out.w_hat.size(1);
  input.bits = spec.bits;
  input.slices = slices.per_tensor ? 1 : out.scale.numel();
  input.symmetric = spec.symmetric;
  input.indexed_groups = indexed_groups;
  if (out.offset.defined()) {
    const float* offset = out.offset.const_data_ptr<float>();
    input.real_zero =
        std::any_of(offset, offset + out.offset.numel(), [](float v) { return !std::isnan(v); });
    if (!input.real_zero) out.offset = at::Tensor();
  }
  out.bits = count_bits(input);
}

/// Parameters of one slice for the rows of a tile, contiguous, and where they go in the [rows, slices]
/// results.
struct SliceParams {
  std::vector<float> scale, zero, offset;

  SliceParams(int64_t rows, bool with_offset)
      : scale(static_cast<size_t>(rows)),
        zero(static_cast<size_t>(rows)),
        offset(with_offset ? static_cast<size_t>(rows) : 0) {}

  GridParams view() { return {scale.data(), zero.data(), offset.empty() ? nullptr : offset.data()}; }

  void store(QuantizedWeight& out, int64_t first_row, int64_t slice) const {
    const int64_t slices = out.scale.size(1);
    for (size_t r = 0; r < scale.size(); ++r) {
      const int64_t at = (first_row + static_cast<int64_t>(r)) * slices + slice;
      out.scale.data_ptr<float>()[at] = scale[r];
      out.zero.data_ptr<float>()[at] = zero[r];
      if (!offset.empty()) out.offset.data_ptr<float>()[at] = offset[r];
    }
  }

  void load(const QuantizedWeight& in, int64_t first_row, int64_t slice) {
    const int64_t slices = in.scale.size(1);
    for (size_t r = 0; r < scale.size(); ++r) {
      const int64_t at = (first_row + static_cast<int64_t>(r)) * slices + slice;
      scale[r] = in.scale.const_data_ptr<float>()[at];
      zero[r] = in.zero.const_data_ptr<float>()[at];
      if (!offset.empty()) offset[r] = in.offset.const_data_ptr<float>()[at];
    }
  }
};

/// One slice for the whole matrix: the matrix as a single row.
void fit_whole(const at::Tensor& w, const GridSpec& spec, QuantizedWeight& out) {
  float scale = 0, zero = 0, offset = 0;
  fit_grid(w.const_data_ptr<float>(), w.numel(), 1, 1, spec,
           {&scale, &zero, may_have_offset(spec) ? &offset : nullptr});
  out.scale.fill_(scale);
  out.zero.fill_(zero);
  if (out.offset.defined()) out.offset.fill_(offset);
}

void store_codes(const std::vector<uint8_t>& codes, int64_t rows, int64_t column, QuantizedWeight& out,
                 int64_t first_row) {
  uint8_t* target = out.codes.data_ptr<uint8_t>();
  for (int64_t r = 0; r < rows; ++r)
    target[(first_row + r) * out.codes.size(1) + column] = codes[static_cast<size_t>(r)];
}

void round_tile(const at::Tensor& w, int64_t first_row, int64_t rows, const Slices& slices,
                const GridSpec& spec, QuantizedWeight& out, bool keep_codes) {
  RowTile tile;
  tile.gather(w.const_data_ptr<float>(), first_row, rows, w.size(1), {});
  SliceParams params(rows, out.offset.defined());
  std::vector<uint8_t> codes(static_cast<size_t>(rows));
  const int64_t width = slices.columns_per_slice(tile.columns);
  for (int64_t begin = 0, slice = 0; begin < tile.columns; begin += width, ++slice) {
    const int64_t end = std::min(begin + width, tile.columns);
    if (slices.per_tensor) {
      params.load(out, first_row, slice);
    } else {
      fit_grid(tile.data.data() + begin * tile.stride, end - begin, tile.stride, rows, spec, params.view());
      params.store(out, first_row, slice);
    }
    for (int64_t c = begin; c < end; ++c) {
      float* column = tile.data.data() + c * tile.stride;
      round_column(column, rows, spec, params.view(), column, codes.data());
      if (keep_codes) store_codes(codes, rows, c, out, first_row);
    }
  }
  tile.scatter(out.w_hat.data_ptr<float>(), first_row, {});
}

/// The same without transposing, where the row kernel can do it.
void round_rows(const at::Tensor& w, int64_t first_row, int64_t rows, int64_t width, const GridSpec& spec,
                QuantizedWeight& out) {
  const int64_t columns = w.size(1), slices = out.scale.size(1);
  for (int64_t r = first_row; r < first_row + rows; ++r) {
    const float* in = w.const_data_ptr<float>() + r * columns;
    float* target = out.w_hat.data_ptr<float>() + r * columns;
    for (int64_t begin = 0, slice = 0; begin < columns; begin += width, ++slice) {
      round_row_slice(in + begin, std::min(width, columns - begin), spec,
                      out.scale.data_ptr<float>() + r * slices + slice,
                      out.zero.data_ptr<float>() + r * slices + slice, target + begin);
    }
  }
}

/// The affine grid as a column quantizer, for one tile of rows of one linear.
class AffineColumns final : public ColumnQuantizer {
 public:
  AffineColumns(QuantizedWeight& out, int64_t first_row, int64_t rows, const Slices& slices,
                const GridSpec& spec, const FeedbackOptions& options, bool prefitted, bool keep_codes)
      : out_(out),
        first_row_(first_row),
        rows_(rows),
        width_(slices.columns_per_slice(out.w_hat.size(1))),
        spec_(spec),
        options_(options),
        prefitted_(prefitted),
        keep_codes_(keep_codes),
        params_(rows, out.offset.defined()),
        codes_(static_cast<size_t>(rows)) {}

  void begin_column(int64_t column, const float* tile, int64_t stride) override {
    const int64_t original = original_column(column);
    const int64_t slice = (options_.static_groups || options_.keep_groups ? original : column) / width_;
    if (slice == slice_) return;
    slice_ = slice;
    if (prefitted_) {
      params_.load(out_, first_row_, slice);
      return;
    }
    const int64_t end = std::min(column + width_,
                                 out_.w_hat.size(1));  // a slice's columns are neighbours in processing order
    fit_grid(tile + column * stride, end - column, stride, rows_, spec_, params_.view());
    params_.store(out_, first_row_, slice);
  }

  void round(int64_t column, const float* w, float* q) override {
    round_column(w, rows_, spec_, params_.view(), q, codes_.data());
    if (keep_codes_) store_codes(codes_, rows_, original_column(column), out_, first_row_);
  }

 private:
  int64_t original_column(int64_t column) const {
    return options_.order.empty() ? column : options_.order[static_cast<size_t>(column)];
  }

  QuantizedWeight& out_;
  int64_t first_row_, rows_, width_;
  const GridSpec& spec_;
  const FeedbackOptions& options_;
  bool prefitted_, keep_codes_;
  SliceParams params_;
  std::vector<uint8_t> codes_;
  int64_t slice_ = -1;
};

/// Fits every slice of the tile's rows in the original column order.
void prefit_rows(const float* w, int64_t columns, int64_t first_row, int64_t rows, const Slices& slices,
                 const GridSpec& spec, QuantizedWeight& out) {
  RowTile tile;
  tile.gather(w, first_row, rows, columns, {});
  SliceParams params(rows, out.offset.defined());
  const int64_t width = slices.columns_per_slice(columns);
  for (int64_t begin = 0, slice = 0; begin < columns; begin += width, ++slice) {
    fit_grid(tile.data.data() + begin * tile.stride, std::min(width, columns - begin), tile.stride, rows,
             spec, params.view());
    params.store(out, first_row, slice);
  }
}

struct TileTask {
  size_t job;
  int64_t first_row, rows;
  std::vector<double> losses;
};

std::vector<TileTask> row_tiles(const std::vector<FeedbackJob>& jobs, int64_t columns) {
  std::vector<TileTask> tasks;
  for (size_t j = 0; j < jobs.size(); ++j) {
    for (int64_t row = 0; row < jobs[j].w.size(0); row += kFeedbackRows) {
      tasks.push_back({j, row, std::min(kFeedbackRows, jobs[j].w.size(0) - row),
                       std::vector<double>(static_cast<size_t>(columns))});
    }
  }
  return tasks;
}

void fill_column_slices(QuantizedWeight& out, int64_t width, const FeedbackOptions& options) {
  int32_t* g_idx = out.g_idx.data_ptr<int32_t>();
  for (int64_t c = 0; c < out.g_idx.numel(); ++c) {
    const int64_t original = options.order.empty() ? c : options.order[static_cast<size_t>(c)];
    g_idx[original] =
        static_cast<int32_t>((options.static_groups || options.keep_groups ? original : c) / width);
  }
}

}  // namespace

QuantizedWeight round_to_nearest(const at::Tensor& w, const Slices& slices, const GridSpec& spec,
                                 const Lanes& lanes, bool keep_codes) {
  check_matrix(w);
  QuantizedWeight out;
  allocate(out, w, slices.count(w.size(1)), spec, keep_codes);
  if (slices.per_tensor) fit_whole(w, spec, out);
  const bool row_kernel = !keep_codes && !slices.per_tensor && has_row_kernel(spec);
  const int64_t tiles = (w.size(0) + kFeedbackRows - 1) / kFeedbackRows;
  lanes.run(static_cast<size_t>(tiles), [&](size_t t, int) {
    const int64_t first = static_cast<int64_t>(t) * kFeedbackRows,
                  rows = std::min(kFeedbackRows, w.size(0) - first);
    if (row_kernel) {
      round_rows(w, first, rows, slices.columns_per_slice(w.size(1)), spec, out);
    } else {
      round_tile(w, first, rows, slices, spec, out, keep_codes);
    }
  });
  if (keep_codes) fill_column_slices(out, slices.columns_per_slice(w.size(1)), {});
  finish_ledger(out, slices, spec, 0);
  return out;
}

void quantize_with_feedback(std::vector<FeedbackJob>& jobs, const at::Tensor& u, const Slices& slices,
                            const GridSpec& spec, const FeedbackOptions& options, const Lanes& lanes,
                            bool keep_codes) {
  check_matrix(u);
  const int64_t columns = u.size(0);
  const int64_t width = slices.columns_per_slice(columns);
  const bool whole_rows = slices.per_tensor || slices.group <= 0;
  const bool prefitted = whole_rows || options.static_groups;
  std::vector<at::Tensor> weights;
  for (FeedbackJob& job : jobs) {
    check_matrix(job.w);
    QB_CHECK(job.w.size(1) == columns, "the Gram matrix belongs to another input width");
    allocate(*job.result, job.w, slices.count(columns), spec, keep_codes);
    if (slices.per_tensor) fit_whole(job.w, spec, *job.result);
    at::Tensor w = job.w;
    if (!options.dead.empty()) {
      w = w.clone();
      for (const int64_t c : options.dead) w.select(1, c).zero_();
    }
    weights.push_back(w);
  }
  FeedbackPlan plan{columns, u.const_data_ptr<float>(),
                    lazy_blocks(columns, options.block, options.fresh_stats ? width : 0)};
  std::vector<TileTask> tasks = row_tiles(jobs, columns);
  lanes.run(tasks.size(), [&](size_t t, int) {
    TileTask& task = tasks[t];
    QuantizedWeight& out = *jobs[task.job].result;
    const at::Tensor& fit_on = whole_rows ? jobs[task.job].w : weights[task.job];
    if (prefitted && !slices.per_tensor) {
      prefit_rows(fit_on.const_data_ptr<float>(), columns, task.first_row, task.rows, slices, spec, out);
    }
    RowTile tile;
    tile.gather(weights[task.job].const_data_ptr<float>(), task.first_row, task.rows, columns, options.order);
    AffineColumns quantizer(out, task.first_row, task.rows, slices, spec, options, prefitted, keep_codes);
    run_feedback(tile.data.data(), task.rows, tile.stride, plan, quantizer, task.losses.data());
    tile.scatter(out.w_hat.data_ptr<float>(), task.first_row, options.order);
  });
  const bool indexed =
      !options.order.empty() && !options.static_groups && !options.keep_groups && !whole_rows;
  for (size_t j = 0; j < jobs.size(); ++j) {
    QuantizedWeight& out = *jobs[j].result;
    out.loss = 0;
    for (const TileTask& task : tasks) {
      if (task.job != j) continue;
      for (const double loss : task.losses) out.loss += loss;
    }
    if (keep_codes) fill_column_slices(out, width, options);
    if (!options.order.empty()) out.perm = at::tensor(options.order, at::kLong).to(at::kInt);
    finish_ledger(out, slices, spec, indexed ? slices.count(columns) : 0);
  }
}

}  // namespace qbench::methods
