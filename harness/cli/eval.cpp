// qbench eval: one cell without YAML, through the same plan, worker and store as a suite.
#include <fmt/format.h>
#include <unistd.h>

#include <cmath>
#include <cstdio>
#include <filesystem>

#include "harness/calibration/calibration_set.h"
#include "harness/cli/commands.h"
#include "harness/cli/execute.h"
#include "harness/core/errors.h"
#include "harness/core/files.h"
#include "harness/core/hash.h"
#include "harness/core/json_number.h"
#include "methods/core/catalogue.h"
#include "methods/core/recipe.h"
#include "methods/core/scheme.h"
#include "tasks/core/task.h"

namespace qbench::cli {
namespace {

struct EvalArguments {
  std::string model, recipe = "fp", scheme = "fp", calibration, store, items;
  std::vector<std::string> tasks;
  int64_t seed = 0;
  int threads = 0;
  bool json = false;
};

/// A folder that is removed with everything in it: the store of an eval that was not asked to keep one.
class TemporaryFolder {
 public:
  TemporaryFolder()
      : path_(std::filesystem::temp_directory_path() / fmt::format("qbench-eval-{}", ::getpid())) {
    std::filesystem::create_directories(path_);
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

suite::Suite one_cell_suite(const EvalArguments& args) {
  suite::Suite suite;
  suite.name = "eval";
  suite.models = {args.model};
  const auto recipe = methods::parse_recipe(args.recipe, methods::method_catalogue());
  const auto scheme = methods::parse_scheme(args.scheme);
  if (recipe.baseline() != scheme.baseline()) {
    throw ConfigError(
        recipe.baseline()
            ? fmt::format("--scheme {} without a recipe; add --recipe, for example --recipe rtn", args.scheme)
            : fmt::format("--recipe {} without a scheme; add --scheme, for example --scheme w4a16g64",
                          args.recipe));
  }
  suite.methods = {recipe.canonical()};
  suite.schemes = {scheme.print()};
  if (!args.calibration.empty())
    suite.calibration = {calibration::check_calibration(args.calibration).print()};
  for (const std::string& task : args.tasks) suite.tasks.push_back(tasks::make_task(task)->canonical());
  suite.seeds = {args.seed};
  suite.yaml =
      Json{{"models", suite.models},           {"methods", suite.methods}, {"schemes", suite.schemes},
           {"calibration", suite.calibration}, {"tasks", suite.tasks},     {"seeds", suite.seeds}}
          .dump();
  suite.hash = sha256_hex(suite.yaml);
  return suite;
}

Json scores_json(const std::vector<results::StepOutcome>& outcomes) {
  Json scores = Json::array();
  for (const auto& outcome : outcomes) {
    for (const auto& s : outcome.scores) {
      scores.push_back({{"task", s.task},
                        {"metric", s.metric},
                        {"value", json_number(s.value)},
                        {"stderr", json_number(s.stderr_)},
                        {"n", s.n},
                        {"protocol", s.protocol}});
    }
  }
  return scores;
}

std::string item_lines(const std::vector<std::pair<std::string, results::StepOutcome>>& outcomes) {
  std::string text;
  for (const auto& [task, outcome] : outcomes) {
    for (const auto& item : outcome.items) {
      Json line = {{"task", task}, {"item", item.item}};
      if (item.nll) {
        line["nll"] = json_number(*item.nll);
        line["tokens"] = item.tokens;
      }
      if (!item.loglikelihoods.empty()) {
        Json lls = Json::array();
        for (const double ll : item.loglikelihoods) lls.push_back(json_number(ll));
        line["loglikelihoods"] = lls;
      }
      line["metrics"] = item.metrics;
      text += line.dump() + "\n";
    }
  }
  return text;
}

void print_table(const Json& scores) {
  fmt::print("{:<44} {:<16} {:>14} {:>12} {:>7}  {}\n", "task", "metric", "value", "stderr", "n", "protocol");
  for (const Json& s : scores) {
    const auto number = [](const Json& value) {
      return value.is_number() ? fmt::format("{:.6g}", value.get<double>())
             : value.is_null() ? std::string("-")
                               : value.get<std::string>();
    };
    fmt::print("{:<44} {:<16} {:>14} {:>12} {:>7}  {}\n", s["task"].get<std::string>(),
               s["metric"].get<std::string>(), number(s["value"]), number(s["stderr"]), s["n"].get<int64_t>(),
               s["protocol"].get<std::string>());
  }
}

int evaluate(const EvalArguments& args) {
  const TemporaryFolder temporary;
  const std::filesystem::path store_path =
      args.store.empty() ? temporary.path() / "eval.qbench.db" : std::filesystem::path(args.store);
  std::vector<suite::Suite> suites = {one_cell_suite(args)};
  const auto store = results::Store::open(store_path);
  const plan::Plan plan = plan::make_plan(std::move(suites), {}, store.get());
  const plan::Cell& cell = plan.cells.front();
  if (!cell.row.illegal.empty()) throw ConfigError(fmt::format("{}: {}", cell.label, cell.row.illegal));

  schedule::ScheduleOptions options;
  options.jobs = 1;
  options.threads = args.threads;
  const bool watch = !args.json && ::isatty(STDERR_FILENO) == 1;
  const auto observer = schedule::make_observer(
      watch ? schedule::ObserverKind::kLive : schedule::ObserverKind::kSilent, stderr);
  const ExecuteResult result = execute(plan, *store, options, *observer);
  if (result.summary.interrupted) return 130;
  for (const auto& failure : store->failures(result.run)) throw_error(failure.kind, failure.message);

  std::vector<std::pair<std::string, results::StepOutcome>> named;
  std::vector<results::StepOutcome> outcomes;
  std::optional<results::StepOutcome> quantize;
  for (const auto& [role, key] : cell.steps) {
    auto outcome = store->step(key, !args.items.empty());
    QB_CHECK(outcome.has_value(), "a finished step is not in the store");
    if (role == "quantize") {
      quantize = std::move(outcome);
    } else {
      outcomes.push_back(*outcome);
      named.emplace_back(role, std::move(*outcome));
    }
  }
  if (!args.items.empty()) write_file_atomically(args.items, item_lines(named));
  const Json scores = scores_json(outcomes);
  if (args.json) {
    Json described = {{"key", cell.row.key},
                      {"model", cell.row.model},
                      {"model_hash", cell.row.model_hash},
                      {"calibration", cell.row.calibration},
                      {"recipe", cell.row.recipe},
                      {"scheme", cell.row.scheme},
                      {"seed", cell.row.seed},
                      {"notes", cell.row.notes}};
    if (quantize) described["artifact_hash"] = quantize->artifact_hash;
    fmt::print("{}\n", Json{{"schema_version", 1}, {"cell", described}, {"scores", scores}}.dump(1));
  } else {
    for (const Json& note : cell.row.notes) fmt::print("note: {}\n", note.get<std::string>());
    print_table(scores);
  }
  return kExitOk;
}

}  // namespace

void add_eval(CLI::App& app, Action& action) {
  CLI::App* command = app.add_subcommand("eval", "evaluate one cell without a suite file");
  auto args = std::make_shared<EvalArguments>();
  command->add_option("model", args->model, "a path, hf:org/name, or a name of the model folder")
      ->required()
      ->type_name("MODEL");
  command->add_option("--task", args->tasks, "task, e.g. perplexity(text=en_wiki,window=512); repeatable")
      ->required()
      ->type_name("T");
  command->add_option("--recipe", args->recipe, "method chain, e.g. smoothquant(alpha=0.8)|gptq")
      ->type_name("R");
  command->add_option("--scheme", args->scheme, "bits, e.g. w4a16g64")->type_name("S");
  command
      ->add_option("--calib", args->calibration,
                   "calibration set, e.g. en_wiki(samples=64,length=512,seed=0)")
      ->type_name("C");
  command->add_option("--seed", args->seed, "seed of the method")
      ->check(CLI::NonNegativeNumber)
      ->type_name("N");
  command->add_option("--store", args->store, "keep the results in this store")->type_name("FILE");
  command->add_option("--items", args->items, "write one JSON line per item")->type_name("FILE");
  command->add_option("--threads", args->threads, "threads (default: all processors)")
      ->check(CLI::Range(1, 4096))
      ->type_name("N");
  command->add_flag("--json", args->json, "print one JSON document");
  command->callback([args, &action] { action = [args] { return evaluate(*args); }; });
}

}  // namespace qbench::cli
