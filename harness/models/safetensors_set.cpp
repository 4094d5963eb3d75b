#include "harness/models/safetensors_set.h"

#include <fmt/format.h>

#include <algorithm>

#include "harness/core/call.h"
#include "harness/core/errors.h"
#include "harness/models/arch/config_reader.h"

namespace qbench::models {
namespace {

namespace fs = std::filesystem;

/// tensor name -> shard file name, from the index.
std::map<std::string, std::string> read_weight_map(const fs::path& index) {
  const OrderedJson json = parse_lenient_json(read_text_file(index), index.string());
  const auto fail = [&](const std::string& what) {
    throw DataError(fmt::format("{}: {}. Fetch the file again.", index.string(), what));
  };
  if (!json.is_object() || !json.contains("weight_map") || !json["weight_map"].is_object()) {
    fail("there is no object \"weight_map\"; expected one from tensor names to shard files");
  }
  std::map<std::string, std::string> map;
  for (const auto& [name, shard] : json["weight_map"].items()) {
    if (!shard.is_string()) fail(fmt::format("weight_map[\"{}\"] is no string", name));
    auto file = shard.get<std::string>();
    const bool plain = !file.empty() && file != "." && file != ".." &&
                       file.find_first_of(std::string_view("/\\\0", 3)) == std::string::npos;
    if (!plain) fail(fmt::format("weight_map[\"{}\"] is \"{}\"; expected a file of this folder", name, file));
    map.emplace(name, std::move(file));
  }
  return map;
}

/// "model-00001-of-00003.safetensors" and its like, sorted.
std::vector<std::string> shard_files(const fs::path& folder) {
  std::vector<std::string> names;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder, error)) {
    std::string name = entry.path().filename().string();
    if (glob_match("model-*-of-*.safetensors", name)) names.push_back(std::move(name));
  }
  std::ranges::sort(names);
  return names;
}

/// A readable reason when a folder holds weights, but not as safetensors.
[[noreturn]] void no_weights(const fs::path& folder) {
  std::error_code ignored;
  const bool pickled = fs::exists(folder / "pytorch_model.bin", ignored) ||
                       fs::exists(folder / "pytorch_model.bin.index.json", ignored);
  throw DataError(fmt::format("{}: found {}; expected model.safetensors or model.safetensors.index.json. {}",
                              folder.string(),
                              pickled ? "only pickled weights (pytorch_model.bin)" : "no weights",
                              pickled ? "Convert them to safetensors (transformers: save_pretrained)."
                                      : "Fetch the weights as well."));
}

}  // namespace

SafetensorsSet::SafetensorsSet(const fs::path& folder) {
  std::error_code ignored;
  if (fs::exists(folder / "model.safetensors", ignored)) {
    files_.push_back(std::make_unique<SafetensorsFile>(folder / "model.safetensors"));
    for (const SafetensorsEntry& entry : files_.back()->entries()) {
      tensors_.emplace(entry.name, Location{files_.back().get(), &entry});
    }
    return;
  }
  const fs::path index = folder / "model.safetensors.index.json";
  if (!fs::exists(index, ignored)) no_weights(folder);
  open_sharded(index);
}

void SafetensorsSet::open_sharded(const fs::path& index) {
  const auto weight_map = read_weight_map(index);
  std::map<std::string, const SafetensorsFile*> shards;
  std::vector<std::string> problems;
  for (const auto& [name, shard] : weight_map) {
    if (shards.contains(shard)) continue;
    const fs::path path = index.parent_path() / shard;
    std::error_code ignored;
    if (!fs::exists(path, ignored)) {
      shards.emplace(shard, nullptr);
      problems.push_back(fmt::format("shard {} is missing; fetch it", shard));
      continue;
    }
    files_.push_back(std::make_unique<SafetensorsFile>(path));
    shards.emplace(shard, files_.back().get());
  }
  for (const auto& [name, shard] : weight_map) {
    const SafetensorsFile* file = shards.at(shard);
    if (file == nullptr) continue;
    if (const SafetensorsEntry* entry = file->find(name)) {
      tensors_.emplace(name, Location{file, entry});
    } else {
      problems.push_back(
          fmt::format("{}: does not hold tensor \"{}\", which the index places there", shard, name));
    }
  }
  for (const auto& [shard, file] : shards) {
    if (file == nullptr) continue;
    for (const SafetensorsEntry& entry : file->entries()) {
      const auto it = weight_map.find(entry.name);
      if (it == weight_map.end()) {
        problems.push_back(
            fmt::format("{}: holds tensor \"{}\", which the index does not name", shard, entry.name));
      } else if (it->second != shard) {
        problems.push_back(fmt::format("{}: holds tensor \"{}\", which the index places in {}", shard,
                                       entry.name, it->second));
      }
    }
  }
  for (const std::string& name : shard_files(index.parent_path())) {
    if (!shards.contains(name))
      problems.push_back(fmt::format("{}: lies beside the index, which does not name it", name));
  }
  if (!problems.empty()) throw DataError(list_problems(index.string(), problems));
}

const SafetensorsSet::Location* SafetensorsSet::find(std::string_view name) const {
  const auto it = tensors_.find(name);
  return it == tensors_.end() ? nullptr : &it->second;
}

}  // namespace qbench::models
