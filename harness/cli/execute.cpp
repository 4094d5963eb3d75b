#include "harness/cli/execute.h"

#include <fmt/format.h>

#include <ctime>

#include "harness/core/hash.h"
#include "harness/schedule/environment.h"
#include "harness/schedule/worker_process.h"

namespace qbench::cli {
namespace {

std::string utc_now() {
  const std::time_t now = std::time(nullptr);
  std::tm utc{};
  ::gmtime_r(&now, &utc);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &utc);
  return text;
}

results::RunRow run_row(const plan::Plan& plan) {
  results::RunRow row;
  Hasher hasher;
  for (const suite::Suite& suite : plan.suites) {
    row.suite_name += (row.suite_name.empty() ? "" : " + ") + suite.name;
    row.suite_yaml += (row.suite_yaml.empty() ? "" : "---\n") + suite.yaml;
    hasher.field(suite.hash);
  }
  row.suite_hash = hasher.hex();
  row.started_at = utc_now();
  row.environment = schedule::environment();
  return row;
}

}  // namespace

ExecuteResult execute(const plan::Plan& plan, results::Store& store, schedule::ScheduleOptions options,
                      schedule::Observer& observer) {
  options.worker = schedule::worker_executable();
  ExecuteResult result;
  result.run = store.begin_run(run_row(plan));
  std::vector<results::CellRow> cells;
  std::vector<results::Store::CellStep> links;
  for (const plan::Cell& cell : plan.cells) {
    cells.push_back(cell.row);
    for (const auto& [role, key] : cell.steps) links.push_back({cell.row.key, key, role});
  }
  store.put_cells(result.run, cells, links);
  result.summary = schedule::run_plan(plan, store, result.run, options, observer);
  store.end_run(result.run, result.summary.interrupted         ? "interrupted"
                            : result.summary.counts.failed > 0 ? "failed cells"
                                                               : "ok");
  return result;
}

}  // namespace qbench::cli
