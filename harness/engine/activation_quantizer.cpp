// Dynamic fake quantization of activations. Symmetric: SmoothQuant's rule (arXiv:2211.10438, official fake_quant code).
#include <ATen/ATen.h>

#include <cmath>

#include "harness/engine/model.h"

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

}  // namespace

at::Tensor quantize_activation(const at::Tensor& x, const ActivationQuantizer& quantizer) {
  if (!quantizer.enabled() || x.numel() == 0) return x;
  return quantizer.symmetric ? symmetric(x, quantizer) : asymmetric(x, quantizer);
}

}  // namespace qbench::engine
