// LAMBADA: the last word of a passage.
#pragma once

#include "tasks/core/task.h"

namespace qbench::tasks {

TaskInfo lambada_task();

}  // namespace qbench::tasks
