// A suite: one YAML file that declares a matrix, the tasks and the limits. See suites/README.md for the
// format.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace qbench::suite {

struct Limits {
  std::optional<uint64_t> memory_bytes;  ///< budget for all workers together
  std::optional<int> jobs;               ///< worker processes
  std::optional<int> threads;            ///< lanes of each worker
  double timeout_s = 2 * 3600.0;         ///< of one step
};

struct Suite {
  std::string name;
  std::string description;
  std::filesystem::path path;
  std::string yaml;  ///< the text, overrides applied
  std::string hash;  ///< SHA-256 of `yaml`
  std::vector<std::string> models;
  std::vector<std::string> calibration;  ///< canonical specs
  std::vector<std::string> methods;      ///< canonical recipes; "fp" is the baseline
  std::vector<std::string> schemes;      ///< canonical
  std::vector<int64_t> seeds = {0};
  std::vector<std::string> tasks;
  std::vector<std::string> exclude;  ///< globs over cell labels "model/calibration/recipe/scheme/seed"
  Limits limits;
};

/// Reads and checks a suite. Every problem of the file is reported in one message, each with line, column,
/// what was found, what was expected and the nearest known name; unknown and repeated keys are problems.
/// @param overrides  "key=value" pairs of `--set`: dotted path into the YAML, value in YAML.
/// @throws ConfigError, DataError (file cannot be read).
Suite load_suite(const std::filesystem::path& path, const std::vector<std::string>& overrides = {});
/// The same for YAML text (its `origin` is named in messages).
Suite parse_suite(const std::string& yaml, const std::string& origin,
                  const std::vector<std::string>& overrides = {});

}  // namespace qbench::suite
