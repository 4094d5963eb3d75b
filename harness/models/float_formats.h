// Small float formats widened to float32, exactly. Written without branches so that loops over them
// vectorise.
#pragma once

#include <bit>
#include <cstdint>

namespace qbench::models {

/// IEEE binary16. Every value is kept, NaN payloads included.
inline float widen_f16(uint16_t half) {
  const uint32_t sign = (uint32_t{half} & 0x8000U) << 16;
  const uint32_t magnitude = uint32_t{half} & 0x7FFFU;
  // Normal numbers and infinities: shift into place and move the exponent bias from 15 to 127 (255 for
  // infinity and NaN).
  const uint32_t special = 0U - uint32_t{magnitude >= 0x7C00U};  // all ones or all zeros
  const uint32_t normal = (magnitude << 13) + ((127U - 15U) << 23) + (special & ((128U - 16U) << 23));
  // Subnormals are multiples of 2^-24; 0.5 + k * 2^-24 has k in its mantissa, so subtracting 0.5 gives the
  // value.
  const uint32_t subnormal = std::bit_cast<uint32_t>(std::bit_cast<float>(0x3F000000U | magnitude) - 0.5F);
  const uint32_t small = 0U - uint32_t{magnitude < 0x0400U};
  return std::bit_cast<float>(sign | (small & subnormal) | (~small & normal));
}

/// bfloat16: the upper half of a float32.
inline float widen_bf16(uint16_t brain) { return std::bit_cast<float>(uint32_t{brain} << 16); }

/// FP8 E4M3 "fn" (no infinities, NaN is 0x7F and 0xFF).
inline float widen_f8_e4m3(uint8_t code) {
  const uint32_t sign = (uint32_t{code} & 0x80U) << 24;
  const uint32_t magnitude = uint32_t{code} & 0x7FU;
  if (magnitude == 0x7FU) return std::bit_cast<float>(sign | 0x7FC00000U);
  const float value = magnitude < 8U ? static_cast<float>(magnitude) * 0x1p-9F
                                     : std::bit_cast<float>((magnitude << 20) + ((127U - 7U) << 23));
  return std::bit_cast<float>(sign | std::bit_cast<uint32_t>(value));
}

/// FP8 E5M2: the upper byte of a binary16.
inline float widen_f8_e5m2(uint8_t code) { return widen_f16(static_cast<uint16_t>(uint32_t{code} << 8)); }

}  // namespace qbench::models
