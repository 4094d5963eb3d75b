// Which keys each strip of queries of a unit looks at: the same for every layer and head.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "harness/engine/kernels/kernels.h"
#include "harness/engine/packing.h"

namespace qbench::engine {

struct AttentionPlan {
  std::vector<int32_t> source_units;  ///< sources beyond the unit's own keys (source 0): unit numbers
  std::vector<kernels::KeyRun> runs;
  std::vector<kernels::KeyBlock> blocks;
  std::vector<int32_t> strip_blocks;
  std::vector<uint16_t> masks;
  int64_t block_keys = 0;  ///< most keys in one block
};

/// @param units  earlier units whose keys were kept, and the unit itself at `index`.
AttentionPlan plan_attention(std::span<const Unit> units, int32_t index);

/// Tokens of the unit rounded up to whole strips.
int64_t strips_of(int64_t tokens);

}  // namespace qbench::engine
