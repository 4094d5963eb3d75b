// Made-up rows for tests of the store.
#pragma once

#include <unistd.h>

#include <filesystem>
#include <string>

#include "results/store.h"

namespace qbench::results::samples {

/// A folder of its own that disappears with the object; in memory where the machine has such a place, because
/// thousands of durable commits take minutes on a busy disk.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    const bool in_memory = ::access("/dev/shm", W_OK) == 0;
    const auto parent =
        in_memory ? std::filesystem::path("/dev/shm") : std::filesystem::temp_directory_path();
    std::string pattern = (parent / "qbench_store_XXXXXX").string();
    path_ = ::mkdtemp(pattern.data());
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  std::filesystem::path operator/(const char* name) const { return path_ / name; }
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

inline RunRow run() {
  RunRow run;
  run.suite_name = "smoke";
  run.suite_hash = "5417e";
  run.suite_yaml = "suite: smoke\n";
  run.started_at = "2025-01-02T03:04:05Z";
  run.environment = {{"cpu", "any"}, {"cores", 2}};
  return run;
}

inline CellRow cell(const std::string& key) {
  CellRow cell;
  cell.key = key;
  cell.model = "tiny";
  cell.model_hash = "m0de1";
  cell.calibration = "en_wiki(samples=4)";
  cell.calibration_hash = "ca11b";
  cell.recipe = "gptq";
  cell.scheme = "w4a16g64";
  cell.quantize_key = "q-" + key;
  cell.notes = Json::array({"weights lie on a 4-bit grid"});
  return cell;
}

inline StepOutcome step(const std::string& key, int items = 3) {
  StepOutcome step;
  step.key = key;
  step.kind = "evaluate";
  step.inputs = {{"task", "mc"}, {"limit", items}};
  step.wall_s = 1.25;
  step.cpu_s = 2.5;
  step.peak_rss_bytes = 1 << 20;
  step.lanes = 2;
  step.artifact_hash = "a47";
  step.facts = {{"docs", items}};
  step.scores = {{"mc", "acc", "mc/har", 0.5, 0.1, items, true},
                 {"mc", "ppl", "ppl/win", 12.5, std::nullopt, items, false}};
  for (int i = 0; i < items; ++i) {
    ItemRow item;
    item.item = "doc" + std::to_string(i);
    item.loglikelihoods = {-1.5 * i, -2.25, -3.125, -0.1};
    item.tokens = 10 + i;
    item.metrics = {{"acc", i % 2 == 0 ? 1.0 : 0.0}, {"acc_norm", 1.0}};
    item.detail = {{"question", "Which of the following sentences is the one meant? Sentence number " +
                                    std::to_string(i)},
                   {"gold", i % 4}};
    step.items.push_back(item);
  }
  step.layers = {{"model.layers.0.mlp.up_proj",
                  1024,
                  4.0,
                  4.5,
                  0.01,
                  0.02,
                  std::nullopt,
                  "damping raised",
                  "1a7e4",
                  {{"tries", 2}}}};
  return step;
}

}  // namespace qbench::results::samples
