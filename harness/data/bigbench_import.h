// Turns an unpacked PyPI package `bigbench` into task files that bigbench(name=...) reads.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace qbench::data {

struct BigBenchImport {
  std::vector<std::string> tasks;    ///< names written, "arithmetic/2_digit_addition"
  std::vector<std::string> skipped;  ///< "name: reason"
  std::filesystem::path folder;      ///< where they lie
};

/// @param package      the unpacked sdist (any folder that holds benchmark_tasks somewhere below)
/// @param destination  default: QBENCH_HOME/data/bigbench
/// Writes <task>.jsonl (input, choices, target_scores, targets) and <task>.yaml for each task file with
/// examples; task names have '/' written "__". @throws DataError (an archive instead of a folder: says how to
/// unpack it).
BigBenchImport add_bigbench(const std::filesystem::path& package,
                            const std::filesystem::path& destination = {});

}  // namespace qbench::data
