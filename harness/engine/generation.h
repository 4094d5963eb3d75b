// Greedy continuation with a cache of keys and values.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "harness/core/lanes.h"
#include "harness/engine/model.h"
#include "harness/engine/scorer.h"

namespace qbench::engine {

/// Greedy continuations; the first of equal maxima wins. Up to 16 sequences advance together, each with its
/// own cache, and a sequence's tokens do not depend on its neighbours. Cached keys keep the rotation of the
/// length at which they were written (as the reference implementations do), which only dynamic rotary scaling
/// can tell from a fresh forward.
std::vector<std::vector<int32_t>> generate_greedy(const Model& model,
                                                  std::span<const GenerateRequest> requests,
                                                  const Lanes& lanes);

}  // namespace qbench::engine
