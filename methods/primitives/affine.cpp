#include "methods/primitives/affine.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "methods/primitives/simd.h"

namespace qbench::methods {
namespace {

/// Nearest float16 of a finite positive number in its normal range, half to even.
float nearest_half(float x) {
  int exponent = 0;
  std::frexp(x, &exponent);
  const float step = std::ldexp(1.0F, std::max(exponent - 11, -24));
  return std::rint(x / step) * step;
}

constexpr float kAwqFloor = 1e-5F;

/// Limits of one slice and what follows from them.
struct SliceFit {
  static void range(float lo, float hi, const GridSpec& spec, float& out_lo, float& out_hi) {
    if (spec.family == GridFamily::kAwq) {
      if (spec.symmetric) {
        hi = std::max(hi, -lo);
        lo = -hi;
      }
    } else {
      lo = std::min(lo, 0.0F);
      hi = std::max(hi, 0.0F);
      if (spec.symmetric && !spec.trits) {
        hi = std::max(hi, -lo);
        if (lo < 0 || !spec.nonnegative_quirk) lo = -hi;
      }
      if (lo == 0 && hi == 0) {
        lo = -1;
        hi = 1;
      }
    }
    out_lo = lo;
    out_hi = hi;
  }

  static float scale(float lo, float hi, const GridSpec& spec) {
    if (spec.trits) return hi;
    const auto top = static_cast<float>(spec.top_code());
    if (spec.family == GridFamily::kGptq) return (hi - lo) / top;
    if (spec.symmetric)
      return std::max(hi, kAwqFloor) / static_cast<float>((int64_t{1} << (spec.bits - 1)) - 1);
    return std::max(hi - lo, kAwqFloor) / top;
  }

  static float zero(float lo, float s, const GridSpec& spec) {
    if (spec.trits) return lo;
    if (spec.symmetric) return static_cast<float>(int64_t{1} << (spec.bits - 1));
    const float z = std::rint(-lo / s);
    if (spec.family == GridFamily::kGptq) return z;
    return std::clamp(z, 0.0F, static_cast<float>(spec.top_code()));
  }
};

inline __attribute__((always_inline)) float code_of(float w, float s, float z, float top) {
  const float q = std::rint(w / s) + z;
  return std::min(std::max(q, 0.0F), top);
}

inline __attribute__((always_inline)) float value_of(float code, float s, float z) { return s * (code - z); }

QB_SIMD void minmax_rows(const float* tile, int64_t cols, int64_t stride, int64_t rows, float* lo,
                         float* hi) {
  for (int64_t r = 0; r < rows; ++r) lo[r] = hi[r] = tile[r];
  for (int64_t c = 1; c < cols; ++c) {
    const float* column = tile + c * stride;
    for (int64_t r = 0; r < rows; ++r) {
      lo[r] = column[r] < lo[r] ? column[r] : lo[r];
      hi[r] = column[r] > hi[r] ? column[r] : hi[r];
    }
  }
}

float lp_error(const float* slice, int64_t cols, int64_t stride, float s, float z, const GridSpec& spec) {
  const auto top = static_cast<float>(spec.top_code());
  const auto norm = static_cast<float>(spec.mse_norm);
  float sum = 0;
  for (int64_t c = 0; c < cols; ++c) {
    const float w = slice[c * stride];
    sum += std::pow(std::fabs(value_of(code_of(w, s, z, top), s, z) - w), norm);
  }
  return sum;
}

/// Keeps the shrunk range with the strictly smallest error; the first candidate is the full range.
void search_range(const float* slice, int64_t cols, int64_t stride, float lo, float hi, const GridSpec& spec,
                  float& scale, float& zero) {
  float best = std::numeric_limits<float>::infinity();
  const auto candidates = static_cast<int64_t>(spec.mse_shrink * static_cast<double>(spec.mse_steps));
  for (int64_t i = 0; i < candidates; ++i) {
    const auto p = static_cast<float>(1.0 - static_cast<double>(i) / static_cast<double>(spec.mse_steps));
    const float s = SliceFit::scale(p * lo, p * hi, spec);
    const float z = SliceFit::zero(p * lo, s, spec);
    const float error = lp_error(slice, cols, stride, s, z, spec);
    if (error < best) {
      best = error;
      scale = s;
      zero = z;
    }
  }
}

bool integer_grid_reproduces(const float* slice, int64_t cols, int64_t stride, float s, float z, float top) {
  for (int64_t c = 0; c < cols; ++c) {
    const float w = slice[c * stride];
    if (value_of(code_of(w, s, z, top), s, z) != w) return false;
  }
  return true;
}

bool real_grid_reproduces(const float* slice, int64_t cols, int64_t stride, float s, float lo, float top) {
  for (int64_t c = 0; c < cols; ++c) {
    const float w = slice[c * stride];
    const float code = std::min(std::max(std::rint((w - lo) / s), 0.0F), top);
    if (s * code + lo != w) return false;
  }
  return true;
}

float real_scale(float lo, float hi, const GridSpec& spec) {
  return hi > lo ? (hi - lo) / static_cast<float>(spec.top_code()) : 1.0F;
}

/// kAuto: does the slice lie on a grid of this many levels with a real zero? Tries the float32 step and its
/// float16 neighbour, the precision in which files store it. Two-valued slices fit any range and prove
/// nothing.
bool find_own_grid(const float* slice, int64_t cols, int64_t stride, float lo, float hi, const GridSpec& spec,
                   float& scale) {
  bool third_value = false;
  for (int64_t c = 0; c < cols && !third_value; ++c)
    third_value = slice[c * stride] != lo && slice[c * stride] != hi;
  if (!third_value) return false;
  const auto top = static_cast<float>(spec.top_code());
  for (const float s : {real_scale(lo, hi, spec), nearest_half(real_scale(lo, hi, spec))}) {
    if (s > 0 && real_grid_reproduces(slice, cols, stride, s, lo, top)) {
      scale = s;
      return true;
    }
  }
  return false;
}

void apply_zero_kind(const float* slice, int64_t cols, int64_t stride, float lo, float hi,
                     const GridSpec& spec, int64_t row, GridParams out) {
  if (out.offset == nullptr) return;
  out.offset[row] = std::numeric_limits<float>::quiet_NaN();
  if (spec.symmetric || spec.trits || spec.zero == ZeroKind::kInteger) return;
  const auto top = static_cast<float>(spec.top_code());
  float s = real_scale(lo, hi, spec);
  if (spec.zero == ZeroKind::kAuto) {
    if (integer_grid_reproduces(slice, cols, stride, out.scale[row], out.zero[row], top)) return;
    if (!find_own_grid(slice, cols, stride, lo, hi, spec, s)) return;
  }
  out.scale[row] = s;
  out.zero[row] = -lo / s;
  out.offset[row] = lo;
}

void fit_rows(const float* tile, int64_t cols, int64_t stride, int64_t rows, const GridSpec& spec,
              GridParams out) {
  std::vector<float> lo(static_cast<size_t>(rows)), hi(static_cast<size_t>(rows));
  minmax_rows(tile, cols, stride, rows, lo.data(), hi.data());
  for (int64_t r = 0; r < rows; ++r) {
    float range_lo = 0, range_hi = 0;
    SliceFit::range(lo[r], hi[r], spec, range_lo, range_hi);
    out.scale[r] = SliceFit::scale(range_lo, range_hi, spec);
    out.zero[r] = SliceFit::zero(range_lo, out.scale[r], spec);
    if (spec.mse && !spec.trits) {
      search_range(tile + r, cols, stride, range_lo, range_hi, spec, out.scale[r], out.zero[r]);
    }
    apply_zero_kind(tile + r, cols, stride, lo[r], hi[r], spec, r, out);
  }
}

QB_SIMD void round_integer(const float* w, int64_t rows, float top, const float* scale, const float* zero,
                           float* w_hat, uint8_t* codes) {
  for (int64_t r = 0; r < rows; ++r) {
    const float code = code_of(w[r], scale[r], zero[r], top);
    w_hat[r] = value_of(code, scale[r], zero[r]);
    codes[r] = static_cast<uint8_t>(static_cast<int32_t>(code));
  }
}

/// Rows with integer and with real zero points side by side. `w` and `w_hat` may be the same column.
QB_SIMD void round_mixed(const float* w, int64_t rows, float top, const float* scale, const float* zero,
                         const float* offset, float* w_hat, uint8_t* codes) {
  for (int64_t r = 0; r < rows; ++r) {
    const bool real = offset[r] == offset[r];  // not NaN
    const float s = scale[r];
    const float integer_code = code_of(w[r], s, zero[r], top);
    const float real_code = std::min(std::max(std::rint((w[r] - offset[r]) / s), 0.0F), top);
    w_hat[r] = real ? s * real_code + offset[r] : value_of(integer_code, s, zero[r]);
    codes[r] = static_cast<uint8_t>(static_cast<int32_t>(real ? real_code : integer_code));
  }
}

/// Official: (x > max / 2) * max + (x < min / 2) * min. Codes 0, 1, 2 = min, 0, max.
void round_trits(const float* w, int64_t rows, const GridParams& grid, float* w_hat, uint8_t* codes) {
  for (int64_t r = 0; r < rows; ++r) {
    const bool high = w[r] > grid.scale[r] / 2, low = w[r] < grid.zero[r] / 2;
    w_hat[r] = (high ? grid.scale[r] : 0.0F) + (low ? grid.zero[r] : 0.0F);
    codes[r] = static_cast<uint8_t>(1 + static_cast<int>(high) - static_cast<int>(low));
  }
}

/// Smallest and largest of a row, sixteen partial results at a time; minimum and maximum do not depend on the
/// order.
QB_SIMD void minmax_row(const float* w, int64_t count, float* out_lo, float* out_hi) {
  constexpr int64_t kWide = 16;
  float lo[kWide], hi[kWide];
  for (int64_t k = 0; k < kWide; ++k) lo[k] = hi[k] = w[0];
  int64_t c = 0;
  for (; c + kWide <= count; c += kWide) {
    for (int64_t k = 0; k < kWide; ++k) {
      lo[k] = w[c + k] < lo[k] ? w[c + k] : lo[k];
      hi[k] = w[c + k] > hi[k] ? w[c + k] : hi[k];
    }
  }
  for (; c < count; ++c) {
    lo[0] = std::min(lo[0], w[c]);
    hi[0] = std::max(hi[0], w[c]);
  }
  *out_lo = *std::min_element(lo, lo + kWide);
  *out_hi = *std::max_element(hi, hi + kWide);
}

QB_SIMD void round_row(const float* w, int64_t count, float top, float s, float z, float* w_hat) {
  for (int64_t c = 0; c < count; ++c) w_hat[c] = value_of(code_of(w[c], s, z, top), s, z);
}

constexpr int64_t kMaxRows = 256;

}  // namespace

void fit_grid(const float* tile, int64_t cols, int64_t stride, int64_t rows, const GridSpec& spec,
              GridParams out) {
  fit_rows(tile, cols, stride, rows, spec, out);
}

bool has_row_kernel(const GridSpec& spec) {
  return !spec.mse && !spec.trits && (spec.symmetric || spec.zero == ZeroKind::kInteger);
}

void round_row_slice(const float* w, int64_t count, const GridSpec& spec, float* scale, float* zero,
                     float* w_hat) {
  float lo = 0, hi = 0;
  minmax_row(w, count, &lo, &hi);
  SliceFit::range(lo, hi, spec, lo, hi);
  *scale = SliceFit::scale(lo, hi, spec);
  *zero = SliceFit::zero(lo, *scale, spec);
  round_row(w, count, static_cast<float>(spec.top_code()), *scale, *zero, w_hat);
}

void round_column(const float* w, int64_t rows, const GridSpec& spec, const GridParams& grid, float* w_hat,
                  uint8_t* codes) {
  const auto top = static_cast<float>(spec.top_code());
  uint8_t scratch[kMaxRows];
  for (int64_t begin = 0; begin < rows; begin += kMaxRows) {
    const int64_t n = std::min(kMaxRows, rows - begin);
    const GridParams part{grid.scale + begin, grid.zero + begin,
                          grid.offset == nullptr ? nullptr : grid.offset + begin};
    uint8_t* part_codes = codes == nullptr ? scratch : codes + begin;
    if (spec.trits) {
      round_trits(w + begin, n, part, w_hat + begin, part_codes);
    } else if (part.offset != nullptr) {
      round_mixed(w + begin, n, top, part.scale, part.zero, part.offset, w_hat + begin, part_codes);
    } else {
      round_integer(w + begin, n, top, part.scale, part.zero, w_hat + begin, part_codes);
    }
  }
}

}  // namespace qbench::methods
