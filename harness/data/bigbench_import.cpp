#include "harness/data/bigbench_import.h"

#include <fmt/format.h>

#include <algorithm>

#include "harness/core/errors.h"
#include "harness/core/fields.h"
#include "harness/core/files.h"
#include "harness/core/hash.h"

namespace qbench::data {
namespace {

namespace fs = std::filesystem;

fs::path find_tasks_folder(const fs::path& package) {
  std::error_code error;
  if (fs::is_regular_file(package, error)) {
    throw DataError(fmt::format("{}: is an archive; unpack it first: tar -xzf {} -C FOLDER, then name FOLDER",
                                package.string(), package.string()));
  }
  if (!fs::is_directory(package, error)) {
    throw DataError(fmt::format(
        "{}: no such folder. Get the package with: pip download --no-deps --no-binary :all: bigbench==1.0.0",
        package.string()));
  }
  if (package.filename() == "benchmark_tasks") return package;
  for (const auto& entry :
       fs::recursive_directory_iterator(package, fs::directory_options::skip_permission_denied, error)) {
    if (entry.is_directory() && entry.path().filename() == "benchmark_tasks") return entry.path();
  }
  throw DataError(fmt::format("{}: holds no folder benchmark_tasks; expected the unpacked bigbench package",
                              package.string()));
}

OrderedJson convert_example(const OrderedJson& example) {
  OrderedJson line;
  line["input"] = example.at("input");
  line["choices"] = nullptr;
  line["target_scores"] = nullptr;
  line["targets"] = nullptr;
  if (example.contains("target_scores")) {
    line["target_scores"] = example.at("target_scores");
    line["choices"] = OrderedJson::array();
    for (const auto& [choice, score] : example.at("target_scores").items()) line["choices"].push_back(choice);
  }
  if (example.contains("target")) {
    const OrderedJson& target = example.at("target");
    line["targets"] = target.is_array() ? target : OrderedJson::array({target});
  }
  return line;
}

std::string print_yaml(const std::string& name, const OrderedJson& task, const std::string& source_hash,
                       const std::string& jsonl, size_t examples) {
  OrderedJson header;
  for (const auto& [key, value] : task.items()) {
    if (key != "examples") header[key] = value;
  }
  std::string text = fmt::format("task: {}\n", OrderedJson(name).dump());
  text += "task_json:\n";
  for (const auto& [key, value] : header.items()) text += fmt::format("  {}: {}\n", key, value.dump());
  text += fmt::format("source: \"PyPI package bigbench, benchmark_tasks/{}/task.json\"\n", name);
  text += fmt::format("source_sha256: \"{}\"\nnum_examples: {}\njsonl_sha256: \"{}\"\n", source_hash,
                      examples, sha256_hex(jsonl));
  return text;
}

/// "" when written, else why not.
std::string convert_task(const fs::path& file, const std::string& name, const fs::path& destination) {
  const std::string content = read_text_file(file);
  std::string jsonl;
  try {
    const OrderedJson task = OrderedJson::parse(content);
    if (!task.contains("examples") || task.at("examples").empty()) return "no examples";
    for (const OrderedJson& example : task.at("examples")) jsonl += convert_example(example).dump() + "\n";
    std::string stem = name;
    for (size_t at = 0; (at = stem.find('/', at)) != std::string::npos;) stem.replace(at, 1, "__");
    write_file_atomically(destination / (stem + ".jsonl"), jsonl);
    write_file_atomically(destination / (stem + ".yaml"),
                          print_yaml(name, task, sha256_hex(content), jsonl, task.at("examples").size()));
  } catch (const OrderedJson::exception& error) {
    return error.what();
  }
  return "";
}

}  // namespace

BigBenchImport add_bigbench(const fs::path& package, const fs::path& destination) {
  const fs::path tasks = find_tasks_folder(package);
  BigBenchImport result;
  result.folder = destination.empty() ? qbench_home() / "data" / "bigbench" : destination;
  fs::create_directories(result.folder);
  std::vector<fs::path> files;
  for (const auto& entry : fs::recursive_directory_iterator(tasks)) {
    if (entry.is_regular_file() && entry.path().filename() == "task.json") files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  for (const fs::path& file : files) {
    const std::string name = fs::relative(file.parent_path(), tasks).generic_string();
    const std::string problem = convert_task(file, name, result.folder);
    if (problem.empty()) {
      result.tasks.push_back(name);
    } else {
      result.skipped.push_back(name + ": " + problem);
    }
  }
  return result;
}

}  // namespace qbench::data
