// Uniform affine grids: every range and zero-point convention as a field. Raw pointers, no torch: the inner
// kernels.
//
// A slice is the weights that share one scale. L = 2^bits - 1. Codes are unsigned, 0..L:
//   integer zero point   code = clamp(round(w / s) + z, 0, L)      w_hat = s * (code - z)
//   real zero point      code = clamp(round((w - lo) / s), 0, L)   w_hat = s * code + lo
// round is half to even; every operation is one float32 operation, as in the official programs.
#pragma once

#include <cstdint>
#include <string_view>

namespace qbench::methods {

enum class GridFamily {
  kGptq,  ///< IST-DASLab/gptq quant.py: zero belongs to the range; symmetric: s = 2 absmax / L, z = 2^(b-1)
          ///< (rtn.md G1, G2)
  kAwq,   ///< AutoAWQ, SmoothQuant: raw min and max; symmetric: s = max(absmax, 1e-5) / (2^(b-1) - 1) (rtn.md
          ///< G3, G4)
};

/// Zero point of asymmetric grids.
enum class ZeroKind {
  kInteger,
  kReal,  ///< the slice's minimum itself; zero is not forced into the range (rtn.md G6)
  kAuto,  ///< integer, except for a slice that the real zero reproduces exactly and the integer one does not
};

struct GridSpec {
  int64_t bits = 4;
  bool symmetric = true;
  GridFamily family = GridFamily::kGptq;
  ZeroKind zero = ZeroKind::kInteger;
  bool mse = false;         ///< search a shrink of the range (rtn.md R2)
  double mse_norm = 2.4;    ///< sum |w_hat - w|^norm
  int64_t mse_steps = 100;  ///< candidates 1 - i / mse_steps
  double mse_shrink = 0.8;  ///< i < mse_shrink * mse_steps
  bool nonnegative_quirk =
      false;           ///< kGptq symmetric: a slice without negative weights keeps lo = 0 (official code)
  bool trits = false;  ///< three values {min(0, min w), 0, max(0, max w)} (official code, maxq < 0)

  int64_t top_code() const { return (int64_t{1} << bits) - 1; }
};

/// Where the parameters of a row of slices go; one entry per row. `offset` is NaN for an integer zero point
/// and the slice's minimum for a real one; it may be null when the spec's zero is kInteger.
struct GridParams {
  float* scale;
  float* zero;
  float* offset = nullptr;
};

/// Fits one slice per row. Element (row r, column c) of the tile is data[c * stride + r].
void fit_grid(const float* tile, int64_t cols, int64_t stride, int64_t rows, const GridSpec& spec,
              GridParams out);

/// Rounds one column of `rows` weights, each with its row's parameters. `codes` may be null; `w_hat` may be
/// `w`.
void round_column(const float* w, int64_t rows, const GridSpec& spec, const GridParams& grid, float* w_hat,
                  uint8_t* codes);

/// Can round_row_slice do it? (Integer zero point, no search.)
bool has_row_kernel(const GridSpec& spec);

/// Fits and rounds one slice that lies in a row: `count` neighbouring weights. The same bits as fit_grid and
/// round_column on the transposed tile, without the transposition. `w_hat` may be `w`.
void round_row_slice(const float* w, int64_t count, const GridSpec& spec, float* scale, float* zero,
                     float* w_hat);

}  // namespace qbench::methods
