// Runs requests through the model unit by unit and hands out the final hidden states of their scored
// positions.
#pragma once

#include <functional>
#include <span>
#include <vector>

#include "harness/core/lanes.h"
#include "harness/engine/arena.h"
#include "harness/engine/kernels/kernels.h"
#include "harness/engine/model.h"
#include "harness/engine/scorer.h"

namespace qbench::engine {

/// Logits beyond this count as not finite: float32 cannot tell neighbouring log probabilities apart there.
inline constexpr float kLargestLogit = 1e6F;

/// The hidden row that predicts scored token `index` of a request.
struct ScoredToken {
  size_t request;
  int64_t index;
  int64_t row;
};

/// Final hidden states (after the norm) of one unit's scored positions, each once, in strips.
struct ScoredRows {
  const float* hidden;
  int64_t strips;
  std::vector<ScoredToken> tokens;

  /// The strip that holds a row.
  const float* strip(int64_t row, int64_t width) const {
    return hidden + (row / kernels::kStrip) * kernels::kStrip * width;
  }
  /// First feature of a row; features are kStrip floats apart.
  const float* column(int64_t row, int64_t width) const { return strip(row, width) + row % kernels::kStrip; }
};

/// Calls `use` once per unit that has scored positions, from the lanes; scratch from the arena is valid for
/// the call.
/// @param isolate  no two requests share a unit
void run_packed(const Model& model, std::span<const ScoreRequest> requests, const Lanes& lanes, bool isolate,
                const std::function<void(const ScoredRows&, Arena&)>& use);

/// States for a head kernel, from the arena.
std::span<kernels::LogitState> logit_states(Arena& arena, int64_t strips);

}  // namespace qbench::engine
