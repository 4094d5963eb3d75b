#include "methods/core/sample_packs.h"

#include "harness/core/errors.h"

namespace qbench::methods {

std::vector<SamplePack> pack_samples(std::span<const std::vector<int32_t>> samples, int64_t pack_tokens) {
  if (samples.empty()) throw DataError("the calibration set has no samples; draw at least one");
  std::vector<SamplePack> packs(1);
  for (size_t i = 0; i < samples.size(); ++i) {
    if (samples[i].empty())
      throw DataError("calibration sample " + std::to_string(i) + " is empty; every sample needs tokens");
    const auto length = static_cast<int64_t>(samples[i].size());
    const auto filled = static_cast<int64_t>(packs.back().ids.size());
    if (filled > 0 && filled + length > pack_tokens) packs.emplace_back();
    SamplePack& pack = packs.back();
    pack.ids.insert(pack.ids.end(), samples[i].begin(), samples[i].end());
    pack.lengths.push_back(length);
  }
  return packs;
}

std::vector<std::vector<int32_t>> spaced_samples(const std::vector<std::vector<int32_t>>& samples,
                                                 int64_t tokens) {
  if (tokens <= 0) return samples;
  int64_t total = 0;
  for (const auto& sample : samples) total += static_cast<int64_t>(sample.size());
  if (total <= tokens) return samples;
  // As many as reach `tokens` at the mean length, spread from the first to the last.
  const auto count = static_cast<int64_t>(samples.size());
  const int64_t wanted = std::min(count, (tokens * count + total - 1) / total);
  std::vector<std::vector<int32_t>> chosen;
  for (int64_t i = 0; i < wanted; ++i) chosen.push_back(samples[static_cast<size_t>(i * count / wanted)]);
  return chosen;
}

}  // namespace qbench::methods
