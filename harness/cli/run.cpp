// qbench run and qbench plan: suites -> plan -> workers -> store -> table.
#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>
#include <ctime>

#include "harness/cli/commands.h"
#include "harness/cli/execute.h"
#include "harness/core/errors.h"
#include "harness/core/quantity.h"
#include "reports/report.h"

namespace qbench::cli {
namespace {

struct MatrixArguments {
  std::vector<std::string> suites;
  std::string store = "results.qbench.db";
  std::string memory, only;
  std::vector<std::string> overrides;
  int jobs = 0, threads = 0;
  bool json = false, log_json = false;
};

std::shared_ptr<MatrixArguments> add_matrix_options(CLI::App* command) {
  auto args = std::make_shared<MatrixArguments>();
  command->add_option("suites", args->suites, "suite files (YAML)")->required()->type_name("SUITE.yaml...");
  command->add_option("--store", args->store, "SQLite store to resume from and append to")
      ->capture_default_str()
      ->type_name("FILE");
  command->add_option("--jobs", args->jobs, "worker processes (default: by the cost model)")
      ->check(CLI::Range(1, 4096))
      ->type_name("N");
  command->add_option("--threads", args->threads, "threads of each worker (default: processors / jobs)")
      ->check(CLI::Range(1, 4096))
      ->type_name("N");
  command->add_option("--memory", args->memory, "budget of all workers together (default: what is free)")
      ->type_name("8GiB");
  command->add_option("--only", args->only, "only cells whose model/calibration/recipe/scheme/seed matches")
      ->type_name("GLOB");
  command
      ->add_option("--set", args->overrides, "override a suite key, e.g. limits.timeout=10m or seeds=[0,1]")
      ->type_name("KEY=VALUE");
  command->add_flag("--json", args->json, "print one JSON document");
  return args;
}

std::vector<suite::Suite> load_suites(const MatrixArguments& args) {
  std::vector<suite::Suite> suites;
  for (const std::string& path : args.suites) suites.push_back(suite::load_suite(path, args.overrides));
  return suites;
}

schedule::ScheduleOptions schedule_options(const MatrixArguments& args,
                                           const std::vector<suite::Suite>& suites) {
  schedule::ScheduleOptions options;
  const suite::Limits& limits = suites.front().limits;
  options.jobs = args.jobs > 0 ? args.jobs : limits.jobs.value_or(0);
  options.threads = args.threads > 0 ? args.threads : limits.threads.value_or(0);
  options.memory_bytes =
      !args.memory.empty() ? parse_bytes(args.memory, "--memory") : limits.memory_bytes.value_or(0);
  options.timeout_s = limits.timeout_s;
  return options;
}

int run(const MatrixArguments& args) {
  std::vector<suite::Suite> suites = load_suites(args);
  const schedule::ScheduleOptions options = schedule_options(args, suites);
  const auto store = results::Store::open(args.store);
  const plan::Plan plan = plan::make_plan(std::move(suites), {args.only}, store.get());
  const bool terminal = ::isatty(STDOUT_FILENO) == 1;
  const auto kind = args.log_json ? schedule::ObserverKind::kJson
                    : args.json   ? schedule::ObserverKind::kSilent
                    : terminal    ? schedule::ObserverKind::kLive
                                  : schedule::ObserverKind::kLines;
  const auto observer = schedule::make_observer(kind, stdout);
  const ExecuteResult result = execute(plan, *store, options, *observer);
  if (args.json) {
    fmt::print("{}\n", reports::render_report(*store, "json", {}));
  } else if (!args.log_json) {
    fmt::print("\n{}Page:  qbench report {} --format html --out report.html\n",
               reports::summary_table(*store, result.run, terminal), args.store);
  }
  if (result.summary.interrupted) return 130;
  return result.summary.ok() ? kExitOk : kExitFailedCells;
}

int show_plan(const MatrixArguments& args) {
  const bool exists = std::filesystem::exists(args.store);
  const auto store = exists ? results::Store::open_readonly(args.store) : nullptr;
  std::vector<suite::Suite> suites = load_suites(args);
  const auto options = schedule_options(args, suites);
  const plan::Plan plan = plan::make_plan(std::move(suites), {args.only}, store.get());
  const schedule::Layout layout = schedule::choose_layout(plan, options);
  if (args.json) {
    Json document = plan.json();
    document["layout"] = {{"jobs", layout.jobs}, {"threads", layout.threads}};
    fmt::print("{}\n", document.dump(1));
  } else {
    fmt::print("{}would run on {} worker(s) of {} thread(s)\n", plan.text(), layout.jobs, layout.threads);
  }
  return kExitOk;
}

}  // namespace

void add_run(CLI::App& app, Action& action) {
  CLI::App* command = app.add_subcommand("run", "run suites; resumes where an earlier run stopped");
  auto args = add_matrix_options(command);
  command->add_flag("--log-json", args->log_json, "one JSON line per event instead of a display");
  command->callback([args, &action] { action = [args] { return run(*args); }; });
}

void add_plan(CLI::App& app, Action& action) {
  CLI::App* command =
      app.add_subcommand("plan", "what run would do: cells, shared and cached steps, time, memory, disk");
  auto args = add_matrix_options(command);
  command->callback([args, &action] { action = [args] { return show_plan(*args); }; });
}

}  // namespace qbench::cli
