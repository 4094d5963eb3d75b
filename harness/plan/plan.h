// The plan: cells of one or more suites as a graph of content-addressed steps. Made from file headers only.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "harness/core/fields.h"
#include "harness/suite/suite.h"
#include "results/store.h"

namespace qbench::plan {

/// What a step is expected to take. Seconds are for one lane of this machine's assumed speed (see cost.h).
struct Estimate {
  double gflop = 0;
  double seconds = 0;
  uint64_t memory_bytes = 0;  ///< resident memory of the worker that runs it
  uint64_t disk_bytes = 0;    ///< artifact written
};

enum class StepKind { kStatistics, kQuantize, kEvaluate };
std::string step_kind_name(StepKind kind);

struct Step {
  std::string key;  ///< SHA-256 over kind and inputs
  StepKind kind = StepKind::kEvaluate;
  Json inputs;                     ///< everything that can change the output: what the key is made of
  Json request;                    ///< what a worker is told: names and specs instead of hashes
  std::string label;               ///< "smollm2-135m en_wiki gptq w4a16g64: perplexity(...)"
  std::vector<std::string> needs;  ///< keys of steps that must be done first
  Estimate estimate;
  bool done = false;  ///< the store has its outcome
  int cells = 0;      ///< how many cells read it
};

struct Cell {
  results::CellRow row;
  std::string label;  ///< "model/calibration/recipe/scheme/seed", what --only and exclude match
  std::vector<std::pair<std::string, std::string>> steps;  ///< (role, step key)
};

struct Plan {
  std::vector<suite::Suite> suites;
  std::vector<Cell> cells;
  std::vector<Step> steps;                   ///< in an order in which they can run
  std::map<std::string, size_t> step_index;  ///< key -> position in steps
  std::vector<std::string> warnings;

  const Step& step(const std::string& key) const { return steps.at(step_index.at(key)); }
  Json json() const;         ///< the --json document (schema_version 1)
  std::string text() const;  ///< what `qbench plan` prints
};

struct PlanOptions {
  std::string only;  ///< glob over cell labels, "" = all
};

/// Expands the suites, removes illegal combinations (kept as cells with their reason), merges equal steps and
/// marks those that `store` already has (null = none). @throws ConfigError, DataError (a model or a text is
/// absent).
Plan make_plan(std::vector<suite::Suite> suites, const PlanOptions& options, const results::Store* store);

/// Where a quantize or statistics step keeps its product: QBENCH_HOME/artifacts/<key>.
std::filesystem::path artifact_path(const Step& step);

}  // namespace qbench::plan
