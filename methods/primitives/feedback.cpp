#include "methods/primitives/feedback.h"

#include <algorithm>
#include <cstring>

#include "methods/primitives/simd.h"

namespace qbench::methods {
namespace {

typedef float Vector __attribute__((vector_size(64), aligned(4), may_alias));

inline __attribute__((always_inline)) Vector load(const float* p) {
  return *reinterpret_cast<const Vector*>(p);
}
inline __attribute__((always_inline)) void store(float* p, Vector v) { *reinterpret_cast<Vector*>(p) = v; }

/// out[16] = w[16] - sum over k in order of errors[k][16] * factors[k].
QB_SIMD void subtract_errors(const float* w, const float* errors, int64_t stride, const float* factors,
                             int64_t count, int64_t rows, float* out) {
  int64_t r = 0;
  for (; r + 4 * kFeedbackLane <= rows; r += 4 * kFeedbackLane) {
    Vector a = load(w + r), b = load(w + r + 16), c = load(w + r + 32), d = load(w + r + 48);
    for (int64_t k = 0; k < count; ++k) {
      const float* e = errors + k * stride + r;
      const float f = factors[k];
      a -= load(e) * f;
      b -= load(e + 16) * f;
      c -= load(e + 32) * f;
      d -= load(e + 48) * f;
    }
    store(out + r, a);
    store(out + r + 16, b);
    store(out + r + 32, c);
    store(out + r + 48, d);
  }
  for (; r < rows; r += kFeedbackLane) {
    Vector a = load(w + r);
    for (int64_t k = 0; k < count; ++k) a -= load(errors + k * stride + r) * factors[k];
    store(out + r, a);
  }
}

/// columns j..j+3 of the tile -= sum over k of errors[k] * u[k][j..j+3], 32 rows at a time (8 accumulators).
QB_SIMD void lazy_update(float* tile, int64_t stride, const float* errors, const float* u, int64_t u_stride,
                         int64_t count, int64_t begin, int64_t end) {
  for (int64_t r = 0; r < stride; r += 2 * kFeedbackLane) {
    const bool two = r + kFeedbackLane < stride;
    int64_t j = begin;
    for (; two && j + 4 <= end; j += 4) {
      Vector s00{}, s01{}, s10{}, s11{}, s20{}, s21{}, s30{}, s31{};
      for (int64_t k = 0; k < count; ++k) {
        const Vector e0 = load(errors + k * stride + r), e1 = load(errors + k * stride + r + 16);
        const float* f = u + k * u_stride + j;
        s00 += e0 * f[0];
        s01 += e1 * f[0];
        s10 += e0 * f[1];
        s11 += e1 * f[1];
        s20 += e0 * f[2];
        s21 += e1 * f[2];
        s30 += e0 * f[3];
        s31 += e1 * f[3];
      }
      float* t = tile + j * stride + r;
      store(t, load(t) - s00);
      store(t + 16, load(t + 16) - s01);
      store(t + stride, load(t + stride) - s10);
      store(t + stride + 16, load(t + stride + 16) - s11);
      store(t + 2 * stride, load(t + 2 * stride) - s20);
      store(t + 2 * stride + 16, load(t + 2 * stride + 16) - s21);
      store(t + 3 * stride, load(t + 3 * stride) - s30);
      store(t + 3 * stride + 16, load(t + 3 * stride + 16) - s31);
    }
    for (; j < end; ++j) {
      for (int64_t half = r; half < std::min(stride, r + 2 * kFeedbackLane); half += kFeedbackLane) {
        Vector sum{};
        for (int64_t k = 0; k < count; ++k) sum += load(errors + k * stride + half) * u[k * u_stride + j];
        float* t = tile + j * stride + half;
        store(t, load(t) - sum);
      }
    }
  }
}

double column_loss(const float* w, const float* q, float d, int64_t rows) {
  double sum = 0;
  for (int64_t r = 0; r < rows; ++r) {
    const double e = static_cast<double>(w[r] - q[r]);
    sum += e * e;
  }
  return sum / (2.0 * static_cast<double>(d) * static_cast<double>(d));
}

}  // namespace

std::vector<int64_t> lazy_blocks(int64_t columns, int64_t block, int64_t fresh_group) {
  std::vector<int64_t> starts;
  int64_t last = -block;
  for (int64_t c = 0; c < columns; ++c) {
    if (c - last < block && (fresh_group <= 0 || c % fresh_group != 0)) continue;
    starts.push_back(c);
    last = c;
  }
  return starts;
}

void run_feedback(float* tile, int64_t rows, int64_t stride, const FeedbackPlan& plan,
                  ColumnQuantizer& quantizer, double* losses) {
  const int64_t n = plan.columns;
  int64_t longest = 0;
  for (size_t b = 0; b < plan.block_starts.size(); ++b) {
    const int64_t end = b + 1 < plan.block_starts.size() ? plan.block_starts[b + 1] : n;
    longest = std::max(longest, end - plan.block_starts[b]);
  }
  const auto block_floats = static_cast<size_t>(longest * stride);
  std::vector<float> errors(block_floats), rounded(block_floats), w(static_cast<size_t>(stride));
  std::vector<float> factors(static_cast<size_t>(longest));
  for (size_t b = 0; b < plan.block_starts.size(); ++b) {
    const int64_t begin = plan.block_starts[b];
    const int64_t end = b + 1 < plan.block_starts.size() ? plan.block_starts[b + 1] : n;
    for (int64_t c = begin; c < end; ++c) {
      const int64_t before = c - begin;
      for (int64_t k = 0; k < before; ++k) factors[static_cast<size_t>(k)] = plan.u[(begin + k) * n + c];
      subtract_errors(tile + c * stride, errors.data(), stride, factors.data(), before, stride, w.data());
      quantizer.begin_column(c, tile, stride);
      float* q = rounded.data() + before * stride;
      quantizer.round(c, w.data(), q);
      const float d = plan.u[c * n + c];
      float* error = errors.data() + before * stride;
      for (int64_t r = 0; r < rows; ++r) error[r] = (w[static_cast<size_t>(r)] - q[r]) / d;
      losses[c] += column_loss(w.data(), q, d, rows);
    }
    lazy_update(tile, stride, errors.data(), plan.u + begin * n, n, end - begin, end, n);
    std::memcpy(tile + begin * stride, rounded.data(),
                static_cast<size_t>((end - begin) * stride) * sizeof(float));
  }
}

}  // namespace qbench::methods
