// Calibration samples packed into batches of similar size: the units of parallel work of every calibrated
// pass. How samples are packed depends on the samples alone, never on the number of lanes.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "harness/engine/model.h"

namespace qbench::methods {

struct SamplePack {
  std::vector<int32_t> ids;         ///< the samples one after the other
  engine::SequenceLengths lengths;  ///< their lengths
};

/// Consecutive samples until about `pack_tokens` tokens. @throws DataError if there is no sample or one is
/// empty.
std::vector<SamplePack> pack_samples(std::span<const std::vector<int32_t>> samples,
                                     int64_t pack_tokens = 2048);

/// Whole evenly spaced samples of at least `tokens` tokens together; 0 = all of them.
std::vector<std::vector<int32_t>> spaced_samples(const std::vector<std::vector<int32_t>>& samples,
                                                 int64_t tokens);

}  // namespace qbench::methods
