// Executes a plan on worker processes and commits every outcome to the store.
#pragma once

#include <cstdint>
#include <filesystem>

#include "harness/plan/plan.h"
#include "harness/schedule/observer.h"
#include "results/store.h"

namespace qbench::schedule {

struct ScheduleOptions {
  std::filesystem::path worker;  ///< qbench-worker
  int jobs = 0;                  ///< worker processes; 0 = by the cost model
  int threads = 0;               ///< lanes per worker; 0 = processors / jobs
  uint64_t memory_bytes = 0;     ///< budget of all workers; 0 = what the machine has free
  double timeout_s = 7200;       ///< of one step
  bool keep_artifacts = false;   ///< keep quantized weights after the last evaluation of a cell
};

struct RunSummary {
  RunCounts counts;
  bool interrupted = false;
  double seconds = 0;
  bool ok() const { return !interrupted && counts.failed == 0; }
};

/// Workers x lanes for a plan: several single-lane workers where memory allows, as independent steps need no
/// synchronisation.
struct Layout {
  int jobs = 1, threads = 1;
};
Layout choose_layout(const plan::Plan& plan, const ScheduleOptions& options);

/// Runs every step that is not done. A worker that dies, hangs or reports an error costs its step (a failure
/// row) and the steps that need it; all others go on. SIGINT and SIGTERM stop cleanly: no new steps, workers
/// ended, store consistent.
RunSummary run_plan(const plan::Plan& plan, results::Store& store, int64_t run,
                    const ScheduleOptions& options, Observer& observer);

}  // namespace qbench::schedule
