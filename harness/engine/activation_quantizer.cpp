// Dynamic fake quantization of activations. Symmetric: SmoothQuant's rule (arXiv:2211.10438, official
// fake_quant code).
#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "harness/engine/model.h"
#include "harness/engine/unit_forward.h"

namespace qbench::engine {
namespace {

at::Tensor symmetric(const at::Tensor& x, const ActivationQuantizer& q) {
  const double top = std::ldexp(1.0, static_cast<int>(q.bits) - 1) - 1.0;
  const at::Tensor absmax = q.per_token ? x.abs().amax({-1}, true) : x.abs().max();
  const at::Tensor scale = absmax.clamp_min(1e-5).div(top);
  return x.div(scale).round_().mul_(scale);
}

at::Tensor asymmetric(const at::Tensor& x, const ActivationQuantizer& q) {
  const double top = std::ldexp(1.0, static_cast<int>(q.bits)) - 1.0;
  const at::Tensor low = (q.per_token ? x.amin({-1}, true) : x.min()).clamp_max(0.0);
  const at::Tensor high = (q.per_token ? x.amax({-1}, true) : x.max()).clamp_min(0.0);
  const at::Tensor scale = high.sub(low).clamp_min(1e-5).div(top);
  const at::Tensor zero = low.neg().div(scale).round_();
  return x.div(scale).round_().add_(zero).clamp_(0.0, top).sub_(zero).mul_(scale);
}

// One range for all tokens of a segment.
void share_range(const Segment& segment, float* low, float* high) {
  const auto [first, last] = std::pair(segment.start, segment.start + segment.length);
  const float lo = *std::min_element(low + first, low + last),
              hi = *std::max_element(high + first, high + last);
  std::fill(low + first, low + last, lo);
  std::fill(high + first, high + last, hi);
}

// Turns ranges into scales (in place of `low`) and zero points (in place of `high`). Returns the code range.
std::pair<float, float> scales_of_ranges(const ActivationQuantizer& q, int64_t tokens, float* low,
                                         float* high) {
  const auto top =
      static_cast<float>(std::ldexp(1.0, static_cast<int>(q.bits) - (q.symmetric ? 1 : 0)) - 1.0);
  for (int64_t t = 0; t < tokens; ++t) {
    const float lo = std::min(low[t], 0.0F), hi = std::max(high[t], 0.0F);
    const float width = q.symmetric ? std::max(-lo, hi) : hi - lo;
    const float scale = std::max(width, 1e-5F) / top;
    low[t] = scale;
    high[t] = q.symmetric ? 0.0F : std::nearbyint(-lo / scale);
  }
  return q.symmetric ? std::pair(-top - 1.0F, top + 1.0F) : std::pair(0.0F, top);
}

}  // namespace

void quantize_strips(std::span<const Segment> segments, float* x, int64_t rows, int64_t strips,
                     const ActivationQuantizer& quantizer, float* ranges) {
  const int64_t tokens = strips * kernels::kStrip;
  float *low = ranges, *high = ranges + tokens;
  kernels::table().range(x, rows, strips, low, high);
  if (!quantizer.per_token) {
    for (const Segment& segment : segments) share_range(segment, low, high);
  }
  const auto [lo, hi] = scales_of_ranges(quantizer, tokens, low, high);
  kernels::table().quantize(x, rows, strips, low, high, lo, hi, x);
}

at::Tensor quantize_activation(const at::Tensor& x, const ActivationQuantizer& quantizer) {
  if (!quantizer.enabled() || x.numel() == 0) return x;
  return quantizer.symmetric ? symmetric(x, quantizer) : asymmetric(x, quantizer);
}

}  // namespace qbench::engine
