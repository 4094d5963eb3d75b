// The Scorer over a Model: packing, prefix sharing, lanes, the tiled head, generation with a KV cache.
#pragma once

#include <memory>

#include "harness/core/lanes.h"
#include "harness/engine/model.h"
#include "harness/engine/scorer.h"

namespace qbench::engine {

/// Final hidden states of the baseline for a set of requests, computed once and used for every cell's
/// divergence. (Hidden states, not logits: 576 floats per token instead of 49,152; the head is applied again
/// on use.)
class BaselineStates;
/// Computes the states. `head` is kept (shared storage).
std::shared_ptr<const BaselineStates> baseline_states(const Model& model,
                                                      std::span<const ScoreRequest> requests,
                                                      const Lanes& lanes);

/// @param baseline  null when there is none; the requests given to diverge() must be those it was computed
/// for.
std::unique_ptr<Scorer> make_scorer(const Model& model, const Lanes& lanes,
                                    std::shared_ptr<const BaselineStates> baseline = nullptr);

}  // namespace qbench::engine
