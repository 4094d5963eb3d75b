// The safetensors files of one checkpoint folder: model.safetensors, or model.safetensors.index.json and its
// shards.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "harness/models/safetensors.h"

namespace qbench::models {

class SafetensorsSet {
 public:
  struct Location {
    const SafetensorsFile* file;
    const SafetensorsEntry* entry;
  };

  /// Opens every shard and checks index and shards against each other: shard names inside the folder, no
  /// shard missing, every tensor where the index says and none that the index omits. All contradictions are
  /// reported at once. A wrong metadata.total_size is ignored, as loaders do. @throws DataError.
  explicit SafetensorsSet(const std::filesystem::path& folder);

  const std::vector<std::unique_ptr<SafetensorsFile>>& files() const { return files_; }
  /// Every tensor by name.
  const std::map<std::string, Location, std::less<>>& tensors() const { return tensors_; }
  const Location* find(std::string_view name) const;

 private:
  void open_sharded(const std::filesystem::path& index);

  std::vector<std::unique_ptr<SafetensorsFile>> files_;
  std::map<std::string, Location, std::less<>> tensors_;
};

}  // namespace qbench::models
