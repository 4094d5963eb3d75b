// BIG-bench JSON tasks with the official prompt, sampling and scoring (bigbench 1.0.0).
#pragma once

#include "tasks/core/task.h"

namespace qbench::tasks {

TaskInfo bigbench_task();
/// Tasks on this machine, each usable as a task name of its own.
std::vector<std::string> bigbench_names();
/// The task's own description, on one line.
std::string bigbench_summary(const std::string& name);
/// sports_understanding(limit=100) -> bigbench(name=sports_understanding,limit=100)
std::unique_ptr<Task> make_bigbench_by_name(const Call& call);

}  // namespace qbench::tasks
