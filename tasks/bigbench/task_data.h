// A BIG-bench JSON task as files: NAME.jsonl (examples) and NAME.yaml (header), '/' in names written "__".
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "harness/core/fields.h"

namespace qbench::tasks {

struct BigBenchFormat {
  std::string task_prefix;
  std::string input_prefix = "\nQ: ";
  std::string output_prefix = "\nA: ";
  std::string choice_prefix = "\n  choice: ";
  std::string separator = "\n";
  bool append_choices = true;
  bool absolute_normalization = false;
  std::vector<std::string> stop_strings;
  std::string output_regex;  ///< "" = none
};

struct BigBenchExample {
  int64_t line = 0;  ///< 0-based line of the file
  std::string input;
  std::vector<std::string> choices;  ///< file order; empty for generation
  std::vector<double> scores;        ///< target score per choice
  std::vector<std::string> targets;  ///< accepted texts; empty if the file gives none
};

struct BigBenchData {
  std::string name;  ///< "arithmetic/2_digit_addition"
  std::vector<std::string> metrics;
  std::string preferred;
  BigBenchFormat format;
  std::vector<BigBenchExample> examples;  ///< distinct ones, file order
  int64_t lines = 0;                      ///< before duplicates were dropped
};

/// Where a task's two files lie and what they hash to.
struct BigBenchFiles {
  std::string name;
  std::filesystem::path examples, header;  ///< no header: a task.json that holds both
  std::string sha256;                      ///< over both
};

/// Tasks that are here: shipped, imported (QBENCH_HOME/data/bigbench), below $QBENCH_DATA/bigbench. Sorted
/// names with '/'.
std::vector<std::string> bigbench_tasks();
/// Files of one task. @throws ConfigError (unknown: nearest name, how to get all tasks).
BigBenchFiles find_bigbench(const std::string& name);
/// A task.json of the package, or a NAME.jsonl with NAME.yaml beside it. @throws DataError.
BigBenchFiles find_bigbench_file(const std::string& path);
/// @throws DataError with file and line.
BigBenchData load_bigbench(const BigBenchFiles& files);

/// The header's description on one line, "" if it has none. @throws DataError
std::string bigbench_description(const BigBenchFiles& files);

/// Header from a `key: JSON` file or the top level of a task.json; official defaults filled in.
BigBenchFormat bigbench_format(const OrderedJson& header, const std::string& place);

}  // namespace qbench::tasks
