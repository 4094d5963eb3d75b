#include "tasks/bigbench/task_data.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <set>

#include "harness/core/errors.h"
#include "harness/core/files.h"
#include "harness/core/hash.h"
#include "harness/data/data_set.h"
#include "harness/data/records.h"
#include "tasks/core/python_text.h"

namespace qbench::tasks {
namespace {

namespace fs = std::filesystem;

/// Folders that may hold tasks, first wins.
std::vector<fs::path> folders() {
  std::vector<fs::path> list = {share_dir() / "tasks" / "bigbench"};
  if (const char* data = std::getenv("QBENCH_DATA"); data != nullptr && *data != '\0')
    list.emplace_back(fs::path(data) / "bigbench");
  list.push_back(qbench_home() / "data" / "bigbench");
  return list;
}

/// "a__b.jsonl.zst" -> "a/b", "" for other files.
std::string task_name_of(const fs::path& file) {
  std::string name = file.filename().string();
  if (name.ends_with(".zst")) name.resize(name.size() - 4);
  if (!name.ends_with(".jsonl")) return "";
  return replace_all(name.substr(0, name.size() - 6), "__", "/");
}

/// The header files hold one JSON value per line after "key: ", two levels deep.
OrderedJson read_header(const fs::path& path) {
  OrderedJson header = OrderedJson::object();
  OrderedJson* group = nullptr;
  int64_t number = 0;
  const std::string content = read_text_file(path);
  for (size_t begin = 0; begin < content.size();) {
    const size_t end = std::min(content.find('\n', begin), content.size());
    const std::string line = content.substr(begin, end - begin);
    begin = end + 1;
    ++number;
    const size_t first = line.find_first_not_of(' ');
    if (first == std::string::npos || line[first] == '#') continue;
    const size_t colon = line.find(':');
    const std::string place = fmt::format("{}:{}", path.string(), number);
    if (colon == std::string::npos) throw DataError(fmt::format("{}: expected key: JSON value", place));
    const std::string key = line.substr(first, colon - first);
    const std::string value(python_strip(std::string_view(line).substr(colon + 1)));
    OrderedJson& target = first > 0 && group != nullptr ? *group : header;
    if (value.empty()) {
      header[key] = OrderedJson::object();
      group = &header[key];
      continue;
    }
    try {
      target[key] = OrderedJson::parse(value);
    } catch (const OrderedJson::exception& error) {
      throw DataError(fmt::format("{}: {}: not a JSON value ({})", place, key, error.what()));
    }
    if (first == 0) group = nullptr;
  }
  return header;
}

/// Python's truth value: the string "false" is true.
bool truthy(const OrderedJson& value) {
  if (value.is_boolean()) return value.get<bool>();
  if (value.is_number()) return value.get<double>() != 0;
  if (value.is_null()) return false;
  return !value.empty() && !(value.is_string() && value.get<std::string>().empty());
}

std::string text_or(const OrderedJson& header, const char* key, const std::string& fallback,
                    const std::string& place) {
  if (!header.contains(key) || header.at(key).is_null()) return fallback;
  if (!header.at(key).is_string()) throw DataError(fmt::format("{}: {}: expected text", place, key));
  return header.at(key).get<std::string>();
}

BigBenchExample parse_example(const OrderedJson& record, const std::string& place) {
  BigBenchExample example;
  const auto& input = record.at("input");
  example.input = input.get<std::string>();
  if (record.contains("target_scores") && record.at("target_scores").is_object()) {
    for (const auto& [choice, score] : record.at("target_scores").items()) {
      example.choices.push_back(choice);
      example.scores.push_back(score.get<double>());
    }
    if (example.choices.empty()) throw DataError(place + ": target_scores is empty");
  }
  for (const char* key : {"targets", "target"}) {
    if (!record.contains(key) || record.at(key).is_null()) continue;
    const auto& targets = record.at(key);
    example.targets = targets.is_array() ? targets.get<std::vector<std::string>>()
                                         : std::vector{targets.get<std::string>()};
    break;
  }
  if (example.choices.empty() && example.targets.empty())
    throw DataError(place + ": has neither target_scores nor target");
  return example;
}

void parse_examples(const std::vector<OrderedJson>& records, const std::string& place, BigBenchData& data) {
  std::set<std::string> seen;
  data.lines = std::ssize(records);
  for (size_t i = 0; i < records.size(); ++i) {
    const std::string where = fmt::format("{}:{}", place, i + 1);
    // Duplicates are judged without regard to the order of keys.
    if (!seen.insert(Json::parse(records[i].dump()).dump()).second) continue;
    try {
      data.examples.push_back(parse_example(records[i], where));
    } catch (const OrderedJson::exception& error) {
      throw DataError(fmt::format("{}: {}", where, error.what()));
    }
    data.examples.back().line = static_cast<int64_t>(i);
  }
  if (data.examples.empty()) throw DataError(place + ": holds no example");
}

void parse_scoring(const OrderedJson& header, const std::string& place, BigBenchData& data) {
  try {
    data.metrics = header.at("metrics").get<std::vector<std::string>>();
    if (data.metrics.empty()) throw DataError(place + ": metrics is empty");
    data.preferred = header.contains("preferred_score") && header.at("preferred_score").is_string()
                         ? header.at("preferred_score").get<std::string>()
                         : data.metrics.front();
  } catch (const OrderedJson::exception& error) {
    throw DataError(fmt::format("{}: metrics: {}", place, error.what()));
  }
}

}  // namespace

BigBenchFormat bigbench_format(const OrderedJson& header, const std::string& place) {
  BigBenchFormat format;
  format.task_prefix = text_or(header, "task_prefix", "", place);
  format.input_prefix = text_or(header, "example_input_prefix", format.input_prefix, place);
  format.output_prefix = text_or(header, "example_output_prefix", format.output_prefix, place);
  format.choice_prefix = text_or(header, "choice_prefix", format.choice_prefix, place);
  format.separator = text_or(header, "few_shot_example_separator", format.separator, place);
  if (header.contains("append_choices_to_input"))
    format.append_choices = truthy(header.at("append_choices_to_input"));
  if (header.contains("absolute_normalization"))
    format.absolute_normalization = truthy(header.at("absolute_normalization"));
  const bool has_stop = header.contains("stop_string") && !header.at("stop_string").is_null();
  if (has_stop) {
    const OrderedJson& stop = header.at("stop_string");
    if (stop.is_string()) format.stop_strings = {stop.get<std::string>()};
    if (stop.is_array()) format.stop_strings = stop.get<std::vector<std::string>>();
  }
  const bool has_regex = header.contains("output_regex") && !header.at("output_regex").is_null();
  format.output_regex = has_regex  ? text_or(header, "output_regex", "", place)
                        : has_stop ? ""
                                   : "[^\\.\\?\\!\\;\\n]+";
  return format;
}

std::vector<std::string> bigbench_tasks() {
  std::set<std::string> names;
  std::error_code error;
  for (const fs::path& folder : folders()) {
    for (const auto& entry : fs::directory_iterator(folder, error)) {
      if (std::string name = task_name_of(entry.path()); !name.empty()) names.insert(std::move(name));
    }
  }
  return {names.begin(), names.end()};
}

BigBenchFiles find_bigbench(const std::string& name) {
  const std::string stem = replace_all(name, "/", "__");
  std::error_code error;
  for (const fs::path& folder : folders()) {
    for (const char* ending : {".jsonl.zst", ".jsonl"}) {
      const fs::path file = folder / (stem + ending);
      if (fs::is_regular_file(file, error)) return find_bigbench_file(file.string());
    }
  }
  const auto names = bigbench_tasks();
  throw ConfigError(
      fmt::format("bigbench: unknown task \"{}\".{} Here are: {}. All tasks of the package: pip download "
                  "--no-deps --no-binary "
                  ":all: bigbench==1.0.0, unpack it, then qbench data add bigbench FOLDER.",
                  name, did_you_mean(name, names), fmt::join(names, ", ")));
}

BigBenchFiles find_bigbench_file(const std::string& path) {
  BigBenchFiles files;
  files.examples = data::locate_file(path).path;
  const std::string name = task_name_of(files.examples);
  if (!name.empty()) {
    files.name = name;
    files.header = files.examples.parent_path() / (replace_all(name, "/", "__") + ".yaml");
    std::error_code error;
    if (!fs::is_regular_file(files.header, error)) {
      throw DataError(
          fmt::format("{}: the header {} is missing beside it", path, files.header.filename().string()));
    }
  } else {
    files.name = files.examples.filename() == "task.json" ? files.examples.parent_path().filename().string()
                                                          : files.examples.stem().string();
  }
  Hasher hasher;
  hasher.field(sha256_file(files.examples));
  hasher.field(files.header.empty() ? "" : sha256_file(files.header));
  files.sha256 = hasher.hex();
  return files;
}

std::string bigbench_description(const BigBenchFiles& files) {
  if (files.header.empty()) return "";
  const OrderedJson header = read_header(files.header);
  const OrderedJson& fields =
      header.contains("description") || !header.contains("task_json") ? header : header.at("task_json");
  return replace_all(text_or(fields, "description", "", files.header.string()), "\n", " ");
}

BigBenchData load_bigbench(const BigBenchFiles& files) {
  BigBenchData data;
  data.name = files.name;
  const std::string place = files.examples.string();
  if (!files.header.empty()) {
    const OrderedJson header = read_header(files.header);
    const OrderedJson& fields =
        header.contains("task_json") && header.at("task_json").is_object() ? header.at("task_json") : header;
    data.format = bigbench_format(fields, files.header.string());
    parse_scoring(fields, files.header.string(), data);
    parse_examples(data::read_records(files.examples), place, data);
    return data;
  }
  const OrderedJson task = data::read_object(files.examples);
  if (!task.contains("examples") || !task.at("examples").is_array()) {
    throw DataError(place + ": not a BIG-bench task: no list \"examples\"");
  }
  data.format = bigbench_format(task, place);
  parse_scoring(task, place, data);
  parse_examples(task.at("examples").get<std::vector<OrderedJson>>(), place, data);
  return data;
}

}  // namespace qbench::tasks
