// Writes a model as a Hugging Face folder that transformers and qbench can open: config.json, float32
// safetensors, tokenizer.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "harness/core/fields.h"
#include "harness/models/checkpoint.h"

namespace qbench::models {

struct ExportOptions {
  uint64_t max_shard_bytes = 5'000'000'000;  ///< a tensor larger than this gets a shard of its own
  std::vector<std::pair<std::string, std::string>>
      metadata;  ///< into the safetensors headers ("recipe", "scheme", ...)
  std::vector<std::pair<std::string, std::string>>
      files;  ///< further text files, name and content ("qbench.json")
};

struct ExportReport {
  std::vector<std::string> files;  ///< names inside the folder, sorted
  uint64_t weight_bytes = 0;
  std::string tokenizer;  ///< where the tokenizer came from, or why there is none: one sentence for the user
};

/// Asks `weights` for every tensor of the checkpoint, in checkpoint order, and writes what it returns
/// (row-major float32 of the tensor's shape). One tensor is in memory at a time. Everything is written into a
/// temporary folder beside `folder` and renamed at the end: an interrupted export leaves no half model under
/// that name.
/// @throws DataError if `folder` exists and is not empty, cannot be written, or config.json cannot express
/// the model.
ExportReport export_hugging_face(const Checkpoint& checkpoint, const std::filesystem::path& folder,
                                 const std::function<std::vector<float>(const TensorInfo&)>& weights,
                                 const ExportOptions& options = {});

/// config.json for the checkpoint: the source's own file where there is one, with the keys that matter
/// rewritten in the spellings of both transformers 4 and 5, and float32 as the stored type.
OrderedJson export_config(const Checkpoint& checkpoint);

}  // namespace qbench::models
