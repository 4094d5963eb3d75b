// Which examples are asked, with which shots, and the text of the prompt (bigbench 1.0.0, json_task.py).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tasks/bigbench/task_data.h"

namespace qbench::tasks {

struct BigBenchQuery {
  int64_t example = 0;         ///< index into BigBenchData::examples
  std::vector<int64_t> shots;  ///< indices too
  std::string prompt;
};

/// Sampled with NumPy's RandomState(42), as the official code does.
/// @param limit  0 = all. Zero shots and all examples: file order; else the drawn order.
/// @throws ConfigError  more shots than other examples; DataError  a shot whose choices all score the same
std::vector<BigBenchQuery> sample_bigbench(const BigBenchData& data, int64_t limit, int64_t shots);

/// Input with choices, without targets.
std::string format_bigbench_input(const BigBenchFormat& format, const BigBenchExample& example);
/// Accepted texts: `targets`, else the first choice with the best score. @throws DataError
std::vector<std::string> bigbench_targets(const BigBenchExample& example);

}  // namespace qbench::tasks
