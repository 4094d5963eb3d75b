#include "harness/data/data_set.h"

#include <fmt/format.h>
#include <yaml-cpp/yaml.h>
#include <zlib.h>

#include <algorithm>
#include <cstdlib>

#include "harness/core/call.h"
#include "harness/core/errors.h"
#include "harness/core/files.h"
#include "harness/core/hash.h"

namespace qbench::data {
namespace {

namespace fs = std::filesystem;

std::string text_of(const YAML::Node& node, const char* key, const std::string& fallback = "") {
  return node[key] ? node[key].as<std::string>() : fallback;
}

std::vector<std::string> list_of(const YAML::Node& node, const char* key) {
  return node[key] ? node[key].as<std::vector<std::string>>() : std::vector<std::string>{};
}

DataSet parse_data_set(const fs::path& path) {
  try {
    const YAML::Node root = YAML::Load(read_text_file(path));
    DataSet set;
    set.name = path.stem().string();
    set.kind = text_of(root, "kind", "text");
    set.summary = text_of(root, "summary");
    set.licence = text_of(root, "licence");
    set.get = text_of(root, "get");
    set.hub = text_of(root, "hub");
    set.text_field = text_of(root, "text_field", "text");
    set.default_split = text_of(root, "default_split", "test");
    set.parts = list_of(root, "parts");
    for (const auto& entry : root["splits"]) {
      Split split;
      split.name = entry.first.as<std::string>();
      split.files = list_of(entry.second, "files");
      split.shipped = text_of(entry.second, "shipped");
      split.join = text_of(entry.second, "join", "none");
      split.sha256 = list_of(entry.second, "sha256");
      set.splits.push_back(std::move(split));
    }
    return set;
  } catch (const YAML::Exception& error) {
    throw DataError(
        fmt::format("{}: {}. The definition of a data set must be valid YAML.", path.string(), error.what()));
  }
}

std::vector<DataSet> load_data_sets() {
  std::vector<DataSet> sets;
  const fs::path folder = share_dir() / "harness" / "data" / "sets";
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder, error)) {
    if (entry.path().extension() == ".yaml") sets.push_back(parse_data_set(entry.path()));
  }
  std::sort(sets.begin(), sets.end(), [](const DataSet& a, const DataSet& b) { return a.name < b.name; });
  return sets;
}

std::string fill_part(std::string text, const std::string& part) {
  const size_t at = text.find("{part}");
  return at == std::string::npos ? text : text.replace(at, 6, part);
}

/// Snapshots of a data set in the hub's cache, newest name last; empty when it is not there.
std::vector<fs::path> hub_snapshots(const std::string& hub) {
  if (hub.empty()) return {};
  fs::path root;
  if (const char* cache = std::getenv("HF_HUB_CACHE"); cache != nullptr && *cache != '\0') {
    root = cache;
  } else if (const char* home = std::getenv("HF_HOME"); home != nullptr && *home != '\0') {
    root = fs::path(home) / "hub";
  } else if (const char* user = std::getenv("HOME"); user != nullptr) {
    root = fs::path(user) / ".cache" / "huggingface" / "hub";
  }
  std::string folder = "datasets--" + hub;
  if (const size_t slash = folder.find('/'); slash != std::string::npos) folder.replace(slash, 1, "--");
  std::vector<fs::path> found;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(root / folder / "snapshots", error))
    found.push_back(entry.path());
  std::sort(found.begin(), found.end());
  return found;
}

std::vector<fs::path> search_places(const DataSet& set) {
  std::vector<fs::path> places;
  if (const char* data = std::getenv("QBENCH_DATA"); data != nullptr && *data != '\0')
    places.emplace_back(data);
  places.push_back(qbench_home() / "data");
  for (auto& snapshot : hub_snapshots(set.hub)) places.push_back(std::move(snapshot));
  return places;
}

Located located(const fs::path& path, const std::vector<std::string>& known_hashes) {
  Located found;
  found.path = path;
  constexpr uintmax_t kQuickToHash = 16 << 20;
  std::error_code error;
  found.sha256 =
      fs::file_size(path, error) < kQuickToHash ? sha256_file(path) : sha256_file_cached(path, qbench_home());
  found.known = std::find(known_hashes.begin(), known_hashes.end(), found.sha256) != known_hashes.end();
  return found;
}

void check_part(const DataSet& set, const std::string& part) {
  if (set.parts.empty()) return;
  if (std::find(set.parts.begin(), set.parts.end(), part) != set.parts.end()) return;
  throw ConfigError(fmt::format("data set {}: unknown part \"{}\".{} Known: {}.", set.name, part,
                                did_you_mean(part, set.parts), fmt::join(set.parts, ", ")));
}

std::string gunzip(const fs::path& path) {
  gzFile file = gzopen(path.c_str(), "rb");
  if (file == nullptr) throw DataError(fmt::format("{}: cannot be opened", path.string()));
  std::string text;
  std::vector<char> chunk(1 << 18);
  int got = 0;
  while ((got = gzread(file, chunk.data(), static_cast<unsigned>(chunk.size()))) > 0) {
    text.append(chunk.data(), static_cast<size_t>(got));
  }
  // A file cut short reads to its end without an error; only closing tells.
  const bool complete = gzclose(file) == Z_OK && got == 0;
  if (!complete) throw DataError(fmt::format("{}: not a complete gzip file; fetch it again", path.string()));
  return text;
}

}  // namespace

const std::vector<std::string>& join_names() {
  static const std::vector<std::string> names = {"none", "rows", "sentences", "spaces"};
  return names;
}

const std::vector<DataSet>& data_sets() {
  static const std::vector<DataSet> sets = load_data_sets();
  return sets;
}

std::vector<std::string> data_set_names() {
  std::vector<std::string> names;
  for (const DataSet& set : data_sets()) names.push_back(set.name);
  return names;
}

const DataSet* find_data_set(const std::string& name) {
  for (const DataSet& set : data_sets()) {
    if (set.name == name) return &set;
  }
  return nullptr;
}

const Split& find_split(const DataSet& set, const std::string& split) {
  const std::string& wanted = split.empty() ? set.default_split : split;
  std::vector<std::string> names;
  for (const Split& candidate : set.splits) {
    if (candidate.name == wanted) return candidate;
    names.push_back(candidate.name);
  }
  throw ConfigError(fmt::format("data set {}: unknown split \"{}\".{} Known: {}.", set.name, wanted,
                                did_you_mean(wanted, names), fmt::join(names, ", ")));
}

std::optional<Located> try_locate(const DataSet& set, const std::string& split_name,
                                  const std::string& part) {
  const Split& split = find_split(set, split_name);
  check_part(set, part);
  std::error_code error;
  if (!split.shipped.empty()) {
    const fs::path shipped = share_dir() / split.shipped;
    if (fs::is_regular_file(shipped, error)) return located(shipped, split.sha256);
  }
  for (const fs::path& place : search_places(set)) {
    for (const std::string& file : split.files) {
      const fs::path candidate = place / fill_part(file, part);
      if (fs::is_regular_file(candidate, error)) return located(candidate, split.sha256);
    }
  }
  return std::nullopt;
}

Located locate(const DataSet& set, const std::string& split_name, const std::string& part,
               const std::string& argument) {
  if (auto found = try_locate(set, split_name, part)) return *found;
  const Split& split = find_split(set, split_name);
  std::vector<std::string> names, places;
  for (const std::string& file : split.files) names.push_back(fill_part(file, part));
  for (const fs::path& place : search_places(set)) places.push_back(place.string());
  throw DataError(fmt::format(
      "data set {} ({}) is not on this machine: looked for {} in {}.{} Or name the file yourself: "
      "{}=PATH.\n{}",
      set.name, split.name, fmt::join(names, " or "), fmt::join(places, ", "),
      std::getenv("QBENCH_DATA") == nullptr ? " Set QBENCH_DATA to the folder that holds your data sets."
                                            : "",
      argument, fill_part(trim(set.get), part)));
}

Located locate_file(const std::string& path) {
  std::error_code error;
  if (fs::is_regular_file(path, error)) return located(path, {});
  if (const char* data = std::getenv("QBENCH_DATA"); data != nullptr && *data != '\0') {
    const fs::path below = fs::path(data) / path;
    if (fs::is_regular_file(below, error)) return located(below, {});
  }
  throw DataError(fmt::format(
      "{}: no such file{}. Give the path of a text file, or one of the data sets: {}.", path,
      fs::is_directory(path, error) ? " (it is a folder)" : "", fmt::join(data_set_names(), ", ")));
}

std::string read_data_file(const fs::path& path) {
  return path.extension() == ".gz" ? gunzip(path) : read_maybe_compressed(path);
}

}  // namespace qbench::data
