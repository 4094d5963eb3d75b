#include "harness/models/gguf_blocks.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>

#include "harness/core/errors.h"
#include "harness/models/float_formats.h"

namespace qbench::models {
namespace {

// Block layouts as ggml stores them: packed, little-endian, fp16 scales as raw bits.
#pragma pack(push, 1)
struct BlockQ4_0 {
  uint16_t d;
  uint8_t qs[16];
};
struct BlockQ4_1 {
  uint16_t d, m;
  uint8_t qs[16];
};
struct BlockQ5_0 {
  uint16_t d;
  uint32_t qh;
  uint8_t qs[16];
};
struct BlockQ5_1 {
  uint16_t d, m;
  uint32_t qh;
  uint8_t qs[16];
};
struct BlockQ8_0 {
  uint16_t d;
  int8_t qs[32];
};
struct BlockQ2K {
  uint8_t scales[16], qs[64];
  uint16_t d, dmin;
};
struct BlockQ3K {
  uint8_t hmask[32], qs[64], scales[12];
  uint16_t d;
};
struct BlockQ4K {
  uint16_t d, dmin;
  uint8_t scales[12], qs[128];
};
struct BlockQ5K {
  uint16_t d, dmin;
  uint8_t scales[12], qh[32], qs[128];
};
struct BlockQ6K {
  uint8_t ql[128], qh[64];
  int8_t scales[16];
  uint16_t d;
};
struct BlockF32 {
  float value;
};
struct BlockF16 {
  uint16_t value;
};
struct BlockBF16 {
  uint16_t value;
};
struct BlockIQ4NL {
  uint16_t d;
  uint8_t qs[16];
};
#pragma pack(pop)

constexpr std::array<int8_t, 16> kIq4NlCodes = {-127, -104, -83, -65, -49, -35, -22, -10,
                                                1,    13,   25,  38,  53,  69,  89,  113};

constexpr std::array kTypes = {
    GgufType{0, "F32", 1, 4, 0, true},           GgufType{1, "F16", 1, 2, 0, true},
    GgufType{2, "Q4_0", 32, 18, 32, true},       GgufType{3, "Q4_1", 32, 20, 32, true},
    GgufType{6, "Q5_0", 32, 22, 32, true},       GgufType{7, "Q5_1", 32, 24, 32, true},
    GgufType{8, "Q8_0", 32, 34, 32, true},       GgufType{9, "Q8_1", 32, 40, 32, false},
    GgufType{10, "Q2_K", 256, 84, 16, true},     GgufType{11, "Q3_K", 256, 110, 16, true},
    GgufType{12, "Q4_K", 256, 144, 32, true},    GgufType{13, "Q5_K", 256, 176, 32, true},
    GgufType{14, "Q6_K", 256, 210, 16, true},    GgufType{15, "Q8_K", 256, 292, 256, false},
    GgufType{16, "IQ2_XXS", 256, 66, 32, false}, GgufType{17, "IQ2_XS", 256, 74, 16, false},
    GgufType{18, "IQ3_XXS", 256, 98, 32, false}, GgufType{19, "IQ1_S", 256, 50, 32, false},
    GgufType{20, "IQ4_NL", 32, 18, 32, true},    GgufType{21, "IQ3_S", 256, 110, 32, false},
    GgufType{22, "IQ2_S", 256, 82, 16, false},   GgufType{23, "IQ4_XS", 256, 136, 32, false},
    GgufType{24, "I8", 1, 1, 0, false},          GgufType{25, "I16", 1, 2, 0, false},
    GgufType{26, "I32", 1, 4, 0, false},         GgufType{27, "I64", 1, 8, 0, false},
    GgufType{28, "F64", 1, 8, 0, false},         GgufType{29, "IQ1_M", 256, 56, 16, false},
    GgufType{30, "BF16", 1, 2, 0, true},         GgufType{34, "TQ1_0", 256, 54, 256, false},
    GgufType{35, "TQ2_0", 256, 66, 256, false},  GgufType{39, "MXFP4", 32, 17, 32, false},
};

/// 6-bit scales and minimums of Q4_K and Q5_K: eight of each in twelve bytes.
struct ScaleMin {
  std::array<float, 8> scale, min;
};
ScaleMin unpack_scale_min(const uint8_t (&packed)[12]) {
  ScaleMin out;
  for (int i = 0; i < 4; ++i) {
    const unsigned low = packed[i], mid = packed[4 + i], high = packed[8 + i];
    out.scale[i] = static_cast<float>(low & 0x3FU);
    out.min[i] = static_cast<float>(mid & 0x3FU);
    out.scale[4 + i] = static_cast<float>((high & 0x0FU) | ((low >> 2) & 0x30U));
    out.min[4 + i] = static_cast<float>((high >> 4) | ((mid >> 2) & 0x30U));
  }
  return out;
}

/// 6-bit scales of Q3_K: sixteen in twelve bytes, offset by 32.
std::array<float, 16> unpack_q3_scales(const uint8_t (&packed)[12]) {
  std::array<float, 16> out;
  for (int i = 0; i < 16; ++i) {
    const unsigned low = (packed[i % 8] >> (i / 8 * 4)) & 0x0FU;
    const unsigned high = (packed[8 + i % 4] >> (i / 4 * 2)) & 0x03U;
    out[i] = static_cast<float>(static_cast<int>(low | (high << 4)) - 32);
  }
  return out;
}

// decode(block, out): the weights of one block. step(block, i): the grid step of weight i's group, for
// quantization_cells.
void decode(const BlockF32& b, float* out) { *out = b.value; }
void decode(const BlockF16& b, float* out) { *out = widen_f16(b.value); }
void decode(const BlockBF16& b, float* out) { *out = widen_bf16(b.value); }

void decode(const BlockQ4_0& b, float* out) {
  const float d = widen_f16(b.d);
  for (int i = 0; i < 16; ++i) {
    out[i] = d * static_cast<float>(static_cast<int>(b.qs[i] & 0x0F) - 8);
    out[16 + i] = d * static_cast<float>(static_cast<int>(b.qs[i] >> 4) - 8);
  }
}
float step(const BlockQ4_0& b, int) { return widen_f16(b.d); }

void decode(const BlockQ4_1& b, float* out) {
  const float d = widen_f16(b.d), m = widen_f16(b.m);
  for (int i = 0; i < 16; ++i) {
    out[i] = d * static_cast<float>(b.qs[i] & 0x0F) + m;
    out[16 + i] = d * static_cast<float>(b.qs[i] >> 4) + m;
  }
}
float step(const BlockQ4_1& b, int) { return widen_f16(b.d); }

/// Bit i of `high` as the fifth bit of a code.
inline int fifth_bit(uint32_t high, int i) { return static_cast<int>((high >> i) & 1U) << 4; }

void decode(const BlockQ5_0& b, float* out) {
  const float d = widen_f16(b.d);
  const uint32_t qh = b.qh;
  for (int i = 0; i < 16; ++i) {
    out[i] = d * static_cast<float>(((b.qs[i] & 0x0F) | fifth_bit(qh, i)) - 16);
    out[16 + i] = d * static_cast<float>(((b.qs[i] >> 4) | fifth_bit(qh, 16 + i)) - 16);
  }
}
float step(const BlockQ5_0& b, int) { return widen_f16(b.d); }

void decode(const BlockQ5_1& b, float* out) {
  const float d = widen_f16(b.d), m = widen_f16(b.m);
  const uint32_t qh = b.qh;
  for (int i = 0; i < 16; ++i) {
    out[i] = d * static_cast<float>((b.qs[i] & 0x0F) | fifth_bit(qh, i)) + m;
    out[16 + i] = d * static_cast<float>((b.qs[i] >> 4) | fifth_bit(qh, 16 + i)) + m;
  }
}
float step(const BlockQ5_1& b, int) { return widen_f16(b.d); }

void decode(const BlockQ8_0& b, float* out) {
  const float d = widen_f16(b.d);
  for (int i = 0; i < 32; ++i) out[i] = static_cast<float>(b.qs[i]) * d;
}
float step(const BlockQ8_0& b, int) { return widen_f16(b.d); }

void decode(const BlockQ2K& b, float* out) {
  const float d = widen_f16(b.d), dmin = widen_f16(b.dmin);
  for (int group = 0; group < 16; ++group) {
    const float scale = d * static_cast<float>(b.scales[group] & 0x0F);
    const float min = dmin * static_cast<float>(b.scales[group] >> 4);
    const uint8_t* qs = b.qs + group / 8 * 32 + group % 2 * 16;
    const int shift = group % 8 / 2 * 2;
    for (int i = 0; i < 16; ++i) out[group * 16 + i] = scale * static_cast<float>((qs[i] >> shift) & 3) - min;
  }
}
float step(const BlockQ2K& b, int i) { return widen_f16(b.d) * static_cast<float>(b.scales[i / 16] & 0x0F); }

void decode(const BlockQ3K& b, float* out) {
  const float d = widen_f16(b.d);
  const auto scales = unpack_q3_scales(b.scales);
  for (int group = 0; group < 16; ++group) {
    const float scale = d * scales[static_cast<size_t>(group)];
    const uint8_t* qs = b.qs + group / 8 * 32 + group % 2 * 16;
    const uint8_t* hmask = b.hmask + group % 2 * 16;
    const int shift = group % 8 / 2 * 2, bit = group / 2;
    for (int i = 0; i < 16; ++i) {
      const int minus = (((hmask[i] >> bit) & 1) ^ 1) << 2;  // a set bit means "no offset"
      out[group * 16 + i] = scale * static_cast<float>(((qs[i] >> shift) & 3) - minus);
    }
  }
}
float step(const BlockQ3K& b, int i) {
  return widen_f16(b.d) * unpack_q3_scales(b.scales)[static_cast<size_t>(i / 16)];
}

void decode(const BlockQ4K& b, float* out) {
  const float d = widen_f16(b.d), dmin = widen_f16(b.dmin);
  const ScaleMin s = unpack_scale_min(b.scales);
  for (size_t group = 0; group < 8; ++group) {
    const float scale = d * s.scale[group], min = dmin * s.min[group];
    const uint8_t* qs = b.qs + group / 2 * 32;
    const int shift = static_cast<int>(group % 2) * 4;
    for (size_t i = 0; i < 32; ++i)
      out[group * 32 + i] = scale * static_cast<float>((qs[i] >> shift) & 0x0F) - min;
  }
}
float step(const BlockQ4K& b, int i) {
  return widen_f16(b.d) * unpack_scale_min(b.scales).scale[static_cast<size_t>(i / 32)];
}

void decode(const BlockQ5K& b, float* out) {
  const float d = widen_f16(b.d), dmin = widen_f16(b.dmin);
  const ScaleMin s = unpack_scale_min(b.scales);
  for (size_t group = 0; group < 8; ++group) {
    const float scale = d * s.scale[group], min = dmin * s.min[group];
    const uint8_t* qs = b.qs + group / 2 * 32;
    const int shift = static_cast<int>(group % 2) * 4, bit = static_cast<int>(group);
    for (size_t i = 0; i < 32; ++i) {
      const int code = ((qs[i] >> shift) & 0x0F) | (((b.qh[i] >> bit) & 1) << 4);
      out[group * 32 + i] = scale * static_cast<float>(code) - min;
    }
  }
}
float step(const BlockQ5K& b, int i) {
  return widen_f16(b.d) * unpack_scale_min(b.scales).scale[static_cast<size_t>(i / 32)];
}

void decode(const BlockQ6K& b, float* out) {
  const float d = widen_f16(b.d);
  for (int part = 0; part < 8;
       ++part) {  // 32 weights each: low nibbles from one half of ql, two bits from qh
    const uint8_t* ql = b.ql + part / 4 * 64 + part % 2 * 32;
    const uint8_t* qh = b.qh + part / 4 * 32;
    const int low_shift = part % 4 / 2 * 4, high_shift = part % 4 * 2;
    const float scales[2] = {d * static_cast<float>(b.scales[part * 2]),
                             d * static_cast<float>(b.scales[part * 2 + 1])};
    for (int half = 0; half < 2; ++half) {
      for (int i = half * 16; i < half * 16 + 16; ++i) {
        const int code = ((ql[i] >> low_shift) & 0x0F) | (((qh[i] >> high_shift) & 3) << 4);
        out[part * 32 + i] = scales[half] * static_cast<float>(code - 32);
      }
    }
  }
}
float step(const BlockQ6K& b, int i) { return widen_f16(b.d) * static_cast<float>(b.scales[i / 16]); }

void decode(const BlockIQ4NL& b, float* out) {
  const float d = widen_f16(b.d);
  for (int i = 0; i < 16; ++i) {
    out[i] = d * static_cast<float>(kIq4NlCodes[b.qs[i] & 0x0F]);
    out[16 + i] = d * static_cast<float>(kIq4NlCodes[b.qs[i] >> 4]);
  }
}

template <class Block>
Block load(const std::byte* source) {
  Block block;  // a local copy: file data need not be aligned
  std::memcpy(&block, source, sizeof(Block));
  return block;
}

/// `kWeights` per block is a constant, so that loops over plain floats vectorise across blocks.
template <class Block, size_t kWeights>
void decode_all(std::span<const std::byte> bytes, std::span<float> out) {
  const std::byte* source = bytes.data();
  float* target = out.data();
  const size_t count = bytes.size() / sizeof(Block);
  for (size_t i = 0; i < count; ++i) decode(load<Block>(source + i * sizeof(Block)), target + i * kWeights);
}

template <class Block>
void cells_all(std::span<const std::byte> bytes, std::span<float> below, std::span<float> above) {
  const size_t count = bytes.size() / sizeof(Block);
  const size_t weights = count == 0 ? 0 : below.size() / count;
  for (size_t i = 0; i < count; ++i) {
    const Block block = load<Block>(bytes.data() + i * sizeof(Block));
    for (size_t w = 0; w < weights; ++w) {
      below[i * weights + w] = above[i * weights + w] = 0.5F * std::abs(step(block, static_cast<int>(w)));
    }
  }
}

void cells_iq4_nl(std::span<const std::byte> bytes, std::span<float> below, std::span<float> above) {
  for (size_t w = 0; w < below.size(); ++w) {
    const auto block = load<BlockIQ4NL>(bytes.data() + w / 32 * sizeof(BlockIQ4NL));
    const size_t i = w % 32;
    const size_t code = i < 16 ? block.qs[i] & 0x0FU : block.qs[i - 16] >> 4U;
    // The outermost codes have one neighbour; their cells are taken as symmetric.
    const int down = code > 0 ? kIq4NlCodes[code] - kIq4NlCodes[code - 1] : kIq4NlCodes[1] - kIq4NlCodes[0];
    const int up = code < 15 ? kIq4NlCodes[code + 1] - kIq4NlCodes[code] : kIq4NlCodes[15] - kIq4NlCodes[14];
    const float d = widen_f16(block.d);
    below[w] = 0.5F * std::abs(d) * static_cast<float>(d < 0 ? up : down);
    above[w] = 0.5F * std::abs(d) * static_cast<float>(d < 0 ? down : up);
  }
}

void check_sizes(const GgufType& type, size_t bytes, size_t weights) {
  QB_CHECK(type.readable, std::string(type.name));
  const auto per_block = static_cast<size_t>(type.block_weights);
  QB_CHECK(weights % per_block == 0 && weights / per_block * type.block_bytes == bytes,
           std::string(type.name));
}

}  // namespace

const GgufType* gguf_type(uint32_t id) {
  const auto it = std::ranges::find(kTypes, id, &GgufType::id);
  return it == kTypes.end() ? nullptr : &*it;
}

std::string readable_gguf_types() {
  std::vector<std::string_view> names;
  for (const GgufType& type : kTypes) {
    if (type.readable) names.push_back(type.name);
  }
  return fmt::format("{}", fmt::join(names, ", "));
}

void dequantize(const GgufType& type, std::span<const std::byte> blocks, std::span<float> out) {
  check_sizes(type, blocks.size(), out.size());
  switch (type.id) {
    case 0:
      return decode_all<BlockF32, 1>(blocks, out);
    case 1:
      return decode_all<BlockF16, 1>(blocks, out);
    case 2:
      return decode_all<BlockQ4_0, 32>(blocks, out);
    case 3:
      return decode_all<BlockQ4_1, 32>(blocks, out);
    case 6:
      return decode_all<BlockQ5_0, 32>(blocks, out);
    case 7:
      return decode_all<BlockQ5_1, 32>(blocks, out);
    case 8:
      return decode_all<BlockQ8_0, 32>(blocks, out);
    case 10:
      return decode_all<BlockQ2K, 256>(blocks, out);
    case 11:
      return decode_all<BlockQ3K, 256>(blocks, out);
    case 12:
      return decode_all<BlockQ4K, 256>(blocks, out);
    case 13:
      return decode_all<BlockQ5K, 256>(blocks, out);
    case 14:
      return decode_all<BlockQ6K, 256>(blocks, out);
    case 20:
      return decode_all<BlockIQ4NL, 32>(blocks, out);
    case 30:
      return decode_all<BlockBF16, 1>(blocks, out);
    default:
      check_failed("readable type has a decoder", std::string(type.name));
  }
}

void quantization_cells(const GgufType& type, std::span<const std::byte> blocks, std::span<float> below,
                        std::span<float> above) {
  check_sizes(type, blocks.size(), below.size());
  QB_CHECK(below.size() == above.size(), std::string(type.name));
  switch (type.id) {
    case 2:
      return cells_all<BlockQ4_0>(blocks, below, above);
    case 3:
      return cells_all<BlockQ4_1>(blocks, below, above);
    case 6:
      return cells_all<BlockQ5_0>(blocks, below, above);
    case 7:
      return cells_all<BlockQ5_1>(blocks, below, above);
    case 8:
      return cells_all<BlockQ8_0>(blocks, below, above);
    case 10:
      return cells_all<BlockQ2K>(blocks, below, above);
    case 11:
      return cells_all<BlockQ3K>(blocks, below, above);
    case 12:
      return cells_all<BlockQ4K>(blocks, below, above);
    case 13:
      return cells_all<BlockQ5K>(blocks, below, above);
    case 14:
      return cells_all<BlockQ6K>(blocks, below, above);
    case 20:
      return cells_iq4_nl(blocks, below, above);
    default:  // plain floats have no cells
      std::ranges::fill(below, 0.0F);
      std::ranges::fill(above, 0.0F);
  }
}

}  // namespace qbench::models
