// The one list of task kinds. A new kind adds its line here; a new multiple-choice task is only a file in
// tasks/defs.
#include <fmt/format.h>

#include <algorithm>

#include "harness/core/errors.h"
#include "tasks/bigbench/bigbench.h"
#include "tasks/core/task.h"
#include "tasks/divergence.h"
#include "tasks/lambada.h"
#include "tasks/multiple_choice.h"
#include "tasks/perplexity.h"

namespace qbench::tasks {

const std::vector<TaskInfo>& task_registry() {
  static const std::vector<TaskInfo> kinds = [] {
    std::vector<TaskInfo> list;
    list.push_back(perplexity_task());
    list.push_back(divergence_task());
    list.push_back(lambada_task());
    list.push_back(multiple_choice_task());
    list.push_back(bigbench_task());
    return list;
  }();
  return kinds;
}

std::vector<std::string> task_names() {
  std::vector<std::string> names;
  for (const TaskInfo& kind : task_registry()) names.push_back(kind.name);
  for (std::string& name : task_file_names()) names.push_back(std::move(name));
  for (std::string& name : bigbench_names()) {
    if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(std::move(name));
  }
  return names;
}

std::string task_summary(const std::string& name) {
  for (const TaskInfo& kind : task_registry()) {
    if (kind.name == name) return kind.summary;
  }
  if (const TaskFileRef file = find_task_file(name); !file.path.empty()) return task_file_summary(file.path);
  const auto bigbench = bigbench_names();
  return std::find(bigbench.begin(), bigbench.end(), name) == bigbench.end()
             ? ""
             : "BIG-bench: " + bigbench_summary(name);
}

std::unique_ptr<Task> make_task(const std::string& text) {
  const Call call = parse_call(text, "task");
  for (const TaskInfo& kind : task_registry()) {
    if (kind.name == call.name) return kind.make(call);
  }
  if (const TaskFileRef file = find_task_file(call.name); !file.path.empty())
    return make_task_file(file, call);
  const auto bigbench = bigbench_names();
  if (std::find(bigbench.begin(), bigbench.end(), call.name) != bigbench.end())
    return make_bigbench_by_name(call);
  const auto names = task_names();
  throw ConfigError(fmt::format("unknown task \"{}\".{} `qbench describe tasks` lists them: {}.", call.name,
                                did_you_mean(call.name, names), fmt::join(names, ", ")));
}

}  // namespace qbench::tasks
