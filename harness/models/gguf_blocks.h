// The tensor types of GGUF files: their block layouts, and dequantization to float32, bit for bit as the
// reference does it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace qbench::models {

struct GgufType {
  uint32_t id;            ///< number in the file
  std::string_view name;  ///< "Q4_1"
  int64_t block_weights;  ///< weights per block, consecutive along a row
  uint64_t block_bytes;
  int64_t group;  ///< weights that share one scale (32, 16); 0 for plain floats
  bool readable;  ///< dequantize() supports it
};

/// The type of that number, or nullptr if no such type is known.
const GgufType* gguf_type(uint32_t id);
/// "F32, F16, ..., Q6_K": what dequantize() supports, for messages.
std::string readable_gguf_types();

/// Turns whole blocks into weights. `out.size()` must be a multiple of the block size and `blocks` hold
/// exactly as many. Source: the block layouts of ggml; float32 arithmetic in the order of gguf-py's
/// `dequantize`.
void dequantize(const GgufType& type, std::span<const std::byte> blocks, std::span<float> out);

/// How far each weight's quantization cell reaches below and above its value: half a step of its group for
/// uniform grids, half the way to the neighbouring code for IQ4_NL; 0 for plain floats.
void quantization_cells(const GgufType& type, std::span<const std::byte> blocks, std::span<float> below,
                        std::span<float> above);

}  // namespace qbench::models
