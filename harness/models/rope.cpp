// Rotary frequencies. The arithmetic follows the reference operation by operation, in float32 where it uses
// float32 tensors: at position 8000 one unit in the last place of a frequency is already visible in the
// logits. Sources: linear (position interpolation, arXiv:2306.15595), dynamic NTK, yarn (arXiv:2309.00071),
// llama3 (Llama 3.1 release).
#include <algorithm>
#include <cmath>
#include <numbers>

#include "harness/core/errors.h"
#include "harness/models/architecture.h"

namespace qbench::models {
namespace {

/// base^(2i / dim) for i in [0, dim / 2).
std::vector<float> wavelengths(double base, int64_t dim) {
  std::vector<float> out(static_cast<size_t>(dim / 2));
  for (size_t i = 0; i < out.size(); ++i) {
    const float exponent = static_cast<float>(2 * i) / static_cast<float>(dim);
    out[i] = static_cast<float>(
        std::pow(static_cast<double>(static_cast<float>(base)), static_cast<double>(exponent)));
  }
  return out;
}

std::vector<float> plain(double base, int64_t dim) {
  std::vector<float> out = wavelengths(base, dim);
  for (float& value : out) value = 1.0F / value;
  return out;
}

/// The base grows with the sequence once it is longer than the trained context.
double dynamic_base(const Architecture& a, int64_t length) {
  if (length <= a.max_position) return a.rope.theta;
  // The reference holds the stretched base in float32, but raises it to a double exponent.
  const float stretch =
      static_cast<float>(a.rope.factor) * static_cast<float>(length) / static_cast<float>(a.max_position) -
      static_cast<float>(a.rope.factor - 1.0);
  const double exponent = static_cast<double>(a.head_dim) / static_cast<double>(a.head_dim - 2);
  return static_cast<float>(a.rope.theta) *
         static_cast<float>(std::pow(static_cast<double>(stretch), exponent));
}

std::vector<float> llama3(const Architecture& a) {
  const Rope& rope = a.rope;
  const auto context = static_cast<double>(rope.original_max_position);
  const auto low_wavelength = static_cast<float>(context / rope.low_freq_factor);
  const auto high_wavelength = static_cast<float>(context / rope.high_freq_factor);
  const auto factor = static_cast<float>(rope.factor);
  std::vector<float> out = plain(rope.theta, a.head_dim);
  for (float& inverse : out) {
    const float wavelength = static_cast<float>(2.0 * std::numbers::pi) / inverse;
    if (wavelength < high_wavelength)
      continue;  // strict comparisons on both sides: the ends belong to the blend
    if (wavelength > low_wavelength) {
      inverse = inverse / factor;
      continue;
    }
    const float smooth =
        (static_cast<float>(context) / wavelength - static_cast<float>(rope.low_freq_factor)) /
        static_cast<float>(rope.high_freq_factor - rope.low_freq_factor);
    inverse = (1.0F - smooth) * inverse / factor + smooth * inverse;
  }
  return out;
}

double yarn_mscale(double scale, double mscale) {
  return scale <= 1.0 ? 1.0 : 0.1 * mscale * std::log(scale) + 1.0;
}

float yarn_attention_factor(const Rope& rope) {
  if (rope.attention_factor != 0.0) return static_cast<float>(rope.attention_factor);
  if (rope.mscale != 0.0 && rope.mscale_all_dim != 0.0) {
    return static_cast<float>(yarn_mscale(rope.factor, rope.mscale) /
                              yarn_mscale(rope.factor, rope.mscale_all_dim));
  }
  return static_cast<float>(yarn_mscale(rope.factor, 1.0));
}

/// The dimension whose frequency turns `rotations` times over the original context.
double yarn_correction_dim(const Architecture& a, double rotations) {
  const auto dim = static_cast<double>(a.head_dim);
  const auto context = static_cast<double>(a.rope.original_max_position);
  return dim * std::log(context / (rotations * 2.0 * std::numbers::pi)) / (2.0 * std::log(a.rope.theta));
}

std::vector<float> yarn(const Architecture& a) {
  double low = yarn_correction_dim(a, a.rope.beta_fast), high = yarn_correction_dim(a, a.rope.beta_slow);
  if (a.rope.truncate) {
    low = std::floor(low);
    high = std::ceil(high);
  }
  low = std::max(low, 0.0);
  high = std::min(high, static_cast<double>(a.head_dim - 1));
  if (low == high) high += 0.001;  // keeps the ramp finite
  std::vector<float> out = wavelengths(a.rope.theta, a.head_dim);
  for (size_t i = 0; i < out.size(); ++i) {
    const float ramp = std::clamp(
        (static_cast<float>(i) - static_cast<float>(low)) / static_cast<float>(high - low), 0.0F, 1.0F);
    const float keep = 1.0F - ramp;
    const float interpolated = 1.0F / (static_cast<float>(a.rope.factor) * out[i]);
    const float kept = 1.0F / out[i];
    out[i] = interpolated * (1.0F - keep) + kept * keep;
  }
  return out;
}

std::vector<float> inverse_frequencies(const Architecture& a, int64_t length) {
  switch (a.rope.kind) {
    case RopeKind::kDefault:
      return plain(a.rope.theta, a.head_dim);
    case RopeKind::kLinear: {
      std::vector<float> out = plain(a.rope.theta, a.head_dim);
      for (float& value : out) value /= static_cast<float>(a.rope.factor);
      return out;
    }
    case RopeKind::kDynamic:
      return plain(dynamic_base(a, length), a.head_dim);
    case RopeKind::kLlama3:
      return llama3(a);
    case RopeKind::kYarn:
      return yarn(a);
  }
  check_failed("rope kind is known", a.family);
}

}  // namespace

RopeFrequencies rope_frequencies(const Architecture& architecture, int64_t length) {
  RopeFrequencies out;
  out.inverse = inverse_frequencies(architecture, length);
  if (architecture.rope.kind == RopeKind::kYarn)
    out.attention_factor = yarn_attention_factor(architecture.rope);
  const auto& divisors = architecture.rope.divisors;
  QB_CHECK(divisors.empty() || divisors.size() == out.inverse.size(), architecture.family);
  for (size_t i = 0; i < divisors.size(); ++i) out.inverse[i] /= divisors[i];
  return out;
}

}  // namespace qbench::models
