#include "methods/core/fp_statistics.h"

#include <ATen/ATen.h>

#include "harness/core/errors.h"
#include "harness/models/safetensors.h"
#include "methods/core/sample_packs.h"

namespace qbench::methods {
namespace {

/// What one pack adds: absmax and the sum of |x| (double) per channel of every site of a block.
struct PackSums {
  std::array<at::Tensor, models::kAllSites.size()> absmax, sum_abs;
};

PackSums look_at_block(const engine::Model& model, const engine::Block& block, at::Tensor& x,
                       const engine::SequenceLengths& lengths) {
  PackSums sums;
  engine::BlockCursor cursor(model, block, x, lengths);
  for (; !cursor.done(); cursor.advance()) {
    const auto site = static_cast<size_t>(cursor.site());
    const at::Tensor magnitude = cursor.input().abs();
    sums.absmax[site] = magnitude.amax(0);
    sums.sum_abs[site] = magnitude.sum(0, false, at::kDouble);
  }
  x = cursor.output();
  return sums;
}

BlockStatistics merge(const std::vector<PackSums>& packs, int64_t tokens, const std::string& place) {
  BlockStatistics merged;
  for (size_t site = 0; site < merged.size(); ++site) {
    at::Tensor absmax = packs.front().absmax[site], sum = packs.front().sum_abs[site];
    for (size_t p = 1; p < packs.size(); ++p) {
      absmax = at::maximum(absmax, packs[p].absmax[site]);
      sum = sum + packs[p].sum_abs[site];
    }
    merged[site].absmax = absmax.contiguous();
    merged[site].mean_abs = (sum / static_cast<double>(tokens)).to(at::kFloat).contiguous();
    if (!at::isfinite(merged[site].mean_abs).all().item<bool>()) {
      throw NumericError(
          place + "." + std::string(models::site_name(models::kAllSites[site])) +
          ": the unquantized model produced values that are not finite on the calibration samples");
    }
  }
  return merged;
}

std::string tensor_name(size_t block, size_t site, const char* kind) {
  return "blocks." + std::to_string(block) + "." + std::string(models::site_name(models::kAllSites[site])) +
         "." + kind;
}

std::span<const std::byte> bytes_of(const at::Tensor& tensor) {
  return {static_cast<const std::byte*>(tensor.const_data_ptr()), tensor.nbytes()};
}

at::Tensor read_vector(const models::SafetensorsFile& file, const std::string& name) {
  std::vector<float> values = file.floats(name);
  return at::from_blob(values.data(), {static_cast<int64_t>(values.size())}, at::kFloat).clone();
}

std::string metadata_value(const models::SafetensorsFile& file, const std::string& key) {
  for (const auto& [name, value] : file.metadata()) {
    if (name == key) return value;
  }
  throw DataError(file.path().string() + ": not a statistics file (no \"" + key +
                  "\" in its metadata); delete it to gather them again");
}

}  // namespace

void FpStatistics::save(const std::filesystem::path& path, const std::string& identity) const {
  std::vector<models::SafetensorsTensor> tensors;
  for (size_t b = 0; b < blocks.size(); ++b) {
    for (size_t s = 0; s < blocks[b].size(); ++s) {
      const SiteStatistics& statistics = blocks[b][s];
      tensors.push_back(
          {tensor_name(b, s, "absmax"), "F32", statistics.absmax.sizes().vec(), bytes_of(statistics.absmax)});
      tensors.push_back({tensor_name(b, s, "mean_abs"), "F32", statistics.mean_abs.sizes().vec(),
                         bytes_of(statistics.mean_abs)});
    }
  }
  models::write_safetensors(path, tensors,
                            {{"identity", identity},
                             {"tokens", std::to_string(tokens)},
                             {"blocks", std::to_string(blocks.size())}});
}

FpStatistics FpStatistics::load(const std::filesystem::path& path, const std::string& identity) {
  const models::SafetensorsFile file(path);
  const std::string found = metadata_value(file, "identity");
  if (!identity.empty() && found != identity) {
    throw DataError(path.string() + ": holds statistics of \"" + found + "\", expected \"" + identity +
                    "\"; delete it to gather them again");
  }
  FpStatistics statistics;
  try {
    statistics.tokens = std::stoll(metadata_value(file, "tokens"));
    statistics.blocks.resize(
        std::min<size_t>(std::stoul(metadata_value(file, "blocks")), file.entries().size()));
  } catch (const std::logic_error&) {
    throw DataError(path.string() +
                    ": the numbers of tokens and blocks are not numbers; delete it to gather them again");
  }
  for (size_t b = 0; b < statistics.blocks.size(); ++b) {
    for (size_t s = 0; s < statistics.blocks[b].size(); ++s) {
      statistics.blocks[b][s] = {read_vector(file, tensor_name(b, s, "absmax")),
                                 read_vector(file, tensor_name(b, s, "mean_abs"))};
    }
  }
  return statistics;
}

FpStatistics gather_fp_statistics(const engine::Model& model,
                                  const std::vector<std::vector<int32_t>>& samples, const Lanes& lanes,
                                  const Progress& progress) {
  const std::vector<SamplePack> packs = pack_samples(samples);
  std::vector<at::Tensor> x(packs.size());
  FpStatistics statistics;
  for (const SamplePack& pack : packs) statistics.tokens += static_cast<int64_t>(pack.ids.size());
  lanes.run(packs.size(), [&](size_t p, int) { x[p] = engine::embed(model, packs[p].ids); });
  const int layers = static_cast<int>(model.blocks.size());
  for (int layer = 0; layer < layers; ++layer) {
    if (progress) progress("statistics", layer, layers);
    const engine::Block& block = model.blocks[static_cast<size_t>(layer)];
    std::vector<PackSums> sums(packs.size());
    lanes.run(packs.size(),
              [&](size_t p, int) { sums[p] = look_at_block(model, block, x[p], packs[p].lengths); });
    statistics.blocks.push_back(merge(sums, statistics.tokens, "model.layers." + std::to_string(layer)));
  }
  return statistics;
}

}  // namespace qbench::methods
