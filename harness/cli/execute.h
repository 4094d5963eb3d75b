// Registers a run in a store, executes a plan and closes the run: shared by `run` and `eval`.
#pragma once

#include "harness/plan/plan.h"
#include "harness/schedule/observers.h"
#include "harness/schedule/scheduler.h"
#include "results/store.h"

namespace qbench::cli {

struct ExecuteResult {
  int64_t run = 0;
  schedule::RunSummary summary;
};

ExecuteResult execute(const plan::Plan& plan, results::Store& store, schedule::ScheduleOptions options,
                      schedule::Observer& observer);

}  // namespace qbench::cli
