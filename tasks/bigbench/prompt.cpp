#include "tasks/bigbench/prompt.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "harness/core/errors.h"
#include "harness/core/numpy_random.h"

namespace qbench::tasks {
namespace {

constexpr uint32_t kSeed = 42;

std::string build_prompt(const BigBenchFormat& format, const std::vector<std::string>& shots,
                         const BigBenchExample& query) {
  std::string prompt = format.task_prefix;
  for (const std::string& shot : shots) prompt += shot + format.separator;
  return prompt + format_bigbench_input(format, query);
}

}  // namespace

std::vector<std::string> bigbench_targets(const BigBenchExample& example) {
  if (!example.targets.empty()) return example.targets;
  const auto [worst, best] = std::minmax_element(example.scores.begin(), example.scores.end());
  if (*worst == *best) {
    throw DataError(fmt::format(
        "line {}: all choices have the same score, so the example has no answer to show as a shot",
        example.line + 1));
  }
  const auto first_best = std::find(example.scores.begin(), example.scores.end(), *best);
  return {example.choices[static_cast<size_t>(first_best - example.scores.begin())]};
}

std::string format_bigbench_input(const BigBenchFormat& format, const BigBenchExample& example) {
  std::string text = format.input_prefix + example.input;
  if (format.append_choices && !example.choices.empty()) {
    std::vector<std::string> sorted = example.choices;
    std::sort(sorted.begin(), sorted.end());
    // Seeded anew for every example, so the order depends on the number of choices only.
    for (const int64_t i : NumpyRandomState(kSeed).permutation(std::ssize(sorted)))
      text += format.choice_prefix + sorted[static_cast<size_t>(i)];
  }
  return text + format.output_prefix;
}

std::vector<BigBenchQuery> sample_bigbench(const BigBenchData& data, int64_t limit, int64_t shots) {
  const int64_t n = std::ssize(data.examples);
  if (shots > n - 1) {
    throw ConfigError(fmt::format("bigbench {}: {} shots need {} other examples; the task has {}", data.name,
                                  shots, shots, n - 1));
  }
  const int64_t asked = limit > 0 ? std::min(limit, n) : n;
  NumpyRandomState random(kSeed);
  std::vector<int64_t> queries(static_cast<size_t>(n));
  std::iota(queries.begin(), queries.end(), 0);
  if (shots > 0 || asked < n) queries = random.choice(n, asked);
  std::vector<BigBenchQuery> result;
  for (const int64_t query : queries) {
    BigBenchQuery entry;
    entry.example = query;
    std::vector<std::string> texts;
    if (shots > 0) {
      for (const int64_t other : random.choice(n - 1, shots))
        entry.shots.push_back(other < query ? other : other + 1);
      for (const int64_t shot : entry.shots) {
        const BigBenchExample& example = data.examples[static_cast<size_t>(shot)];
        const std::vector<std::string> targets = bigbench_targets(example);
        const uint32_t pick = random.interval(static_cast<uint32_t>(targets.size() - 1));
        texts.push_back(format_bigbench_input(data.format, example) + targets[pick]);
      }
    }
    entry.prompt = build_prompt(data.format, texts, data.examples[static_cast<size_t>(query)]);
    result.push_back(std::move(entry));
  }
  return result;
}

}  // namespace qbench::tasks
