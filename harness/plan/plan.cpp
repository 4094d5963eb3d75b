#include "harness/plan/plan.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <set>

#include "harness/calibration/calibration_set.h"
#include "harness/core/call.h"
#include "harness/core/errors.h"
#include "harness/core/files.h"
#include "harness/core/hash.h"
#include "harness/core/quantity.h"
#include "harness/models/checkpoint.h"
#include "harness/plan/cost.h"
#include "methods/core/catalogue.h"
#include "methods/core/recipe.h"
#include "methods/core/scheme.h"
#include "tasks/core/task.h"

namespace qbench::plan {
namespace {

/// Numerics version of the engine's forward pass: raised when a change moves scores, so that old steps are
/// not reused.
constexpr const char* kEngineVersion = "1";

struct ModelFacts {
  std::string text;
  std::unique_ptr<models::Checkpoint> checkpoint;
  std::string content_hash;
  std::string tokenizer_hash;
  Json notes = Json::array();
};

struct TaskFacts {
  std::unique_ptr<tasks::Task> task;
  bool divergence = false;
};

struct RecipeFacts {
  methods::Recipe recipe;
  std::string canonical, identity;
  bool baseline = false, calibrated = false, fp_statistics = false, seeded = false, gram = false;
  double forwards = 0;
};

std::string short_name(const std::string& model) {
  const std::string name = std::filesystem::path(model).filename().string();
  return name.empty() ? model : name;
}

/// Hash of the files that define a Hugging Face tokenizer; a GGUF file carries its tokenizer, so the content
/// hash covers it.
std::string tokenizer_hash(const models::ModelSource& source, const std::string& content_hash) {
  if (source.kind == models::SourceKind::kGguf) return content_hash;
  Hasher hasher;
  for (const char* name :
       {"tokenizer.json", "tokenizer.model", "tokenizer_config.json", "special_tokens_map.json"}) {
    const auto file = source.path / name;
    if (std::filesystem::exists(file)) hasher.field(name).field(sha256_file_cached(file, qbench_home()));
  }
  return hasher.hex();
}

std::string join_label(std::initializer_list<std::string_view> parts) {
  std::string label;
  for (const std::string_view part : parts) {
    if (!label.empty()) label += '/';
    label += part.empty() ? "-" : part;
  }
  return label;
}

class Planner {
 public:
  Planner(const PlanOptions& options, const results::Store* store) : options_(options), store_(store) {}

  Plan plan(std::vector<suite::Suite> suites) {
    for (const suite::Suite& suite : suites) expand(suite);
    plan_.suites = std::move(suites);
    if (plan_.cells.empty()) {
      throw ConfigError(
          options_.only.empty()
              ? "the suites declare no cells; add models, methods and schemes"
              : fmt::format(
                    "--only {}: no cell matches. Cells are named model/calibration/recipe/scheme/seed; "
                    "`qbench plan` lists them.",
                    options_.only));
    }
    mark_done();
    return std::move(plan_);
  }

 private:
  void expand(const suite::Suite& suite) {
    for (const std::string& model_text : suite.models) {
      const ModelFacts& model = model_facts(model_text);
      for (const std::string& recipe_text : suite.methods) {
        const RecipeFacts& recipe = recipe_facts(recipe_text);
        const std::vector<std::string> schemes =
            recipe.baseline ? std::vector<std::string>{"fp"} : suite.schemes;
        const std::vector<std::string> sets = recipe.calibrated && !suite.calibration.empty()
                                                  ? suite.calibration
                                                  : std::vector<std::string>{""};
        const std::vector<int64_t> seeds =
            recipe.seeded ? suite.seeds : std::vector<int64_t>{suite.seeds.front()};
        for (const std::string& scheme : schemes) {
          for (const std::string& set : sets) {
            for (const int64_t seed : seeds)
              add_cell(suite, model, recipe, scheme, set, recipe.seeded ? seed : 0);
          }
        }
      }
    }
  }

  void add_cell(const suite::Suite& suite, const ModelFacts& model, const RecipeFacts& recipe,
                const std::string& scheme, const std::string& set, int64_t seed) {
    Cell cell;
    cell.label = join_label({short_name(model.text), set, recipe.canonical, scheme, std::to_string(seed)});
    if (!options_.only.empty() && !glob_match(options_.only, cell.label)) return;
    if (std::any_of(suite.exclude.begin(), suite.exclude.end(),
                    [&](const auto& glob) { return glob_match(glob, cell.label); }))
      return;

    results::CellRow& row = cell.row;
    row.model = model.text;
    row.model_hash = model.content_hash;
    row.calibration = set;
    row.recipe = recipe.canonical;
    row.scheme = scheme;
    row.seed = seed;
    row.baseline = recipe.baseline;
    row.notes = model.notes;
    if (!set.empty()) row.calibration_hash = calibration_hash(set, model);
    row.key = Hasher()
                  .field("cell")
                  .field(row.model_hash)
                  .field(model.text)
                  .field(set)
                  .field(row.calibration_hash)
                  .field(recipe.identity)
                  .field(scheme)
                  .field(std::to_string(seed))
                  .hex();

    const auto known = std::find_if(plan_.cells.begin(), plan_.cells.end(),
                                    [&](const Cell& c) { return c.row.key == row.key; });
    Cell& target = known != plan_.cells.end() ? *known : plan_.cells.emplace_back(std::move(cell));
    if (!recipe.baseline && target.row.illegal.empty()) {
      const auto problems = methods::legality_problems(recipe.recipe, methods::parse_scheme(scheme),
                                                       model.checkpoint->architecture(), !set.empty());
      target.row.illegal = fmt::format("{}", fmt::join(problems, "; "));
    }
    if (!target.row.illegal.empty()) return;

    std::string quantize_key;
    if (!recipe.baseline) {
      quantize_key = add_quantize(target, model, recipe);
      target.row.quantize_key = quantize_key;
    }
    for (const std::string& task : suite.tasks) add_evaluate(target, model, task, quantize_key);
  }

  std::string add_statistics(const Cell& cell, const ModelFacts& model) {
    Step step;
    step.kind = StepKind::kStatistics;
    step.inputs = {{"model", model.content_hash},
                   {"calibration", cell.row.calibration_hash},
                   {"engine", kEngineVersion}};
    step.request = {{"model", model.text}, {"calibration", cell.row.calibration}};
    step.label = fmt::format("{} {}: statistics", short_name(model.text), cell.row.calibration);
    step.estimate =
        statistics_estimate(model.checkpoint->architecture(), calibration_size(cell.row.calibration));
    return add_step(std::move(step));
  }

  std::string add_quantize(Cell& cell, const ModelFacts& model, const RecipeFacts& recipe) {
    Step step;
    step.kind = StepKind::kQuantize;
    step.inputs = {{"model", model.content_hash},
                   {"recipe", recipe.identity},
                   {"scheme", cell.row.scheme},
                   {"calibration", cell.row.calibration_hash},
                   {"engine", kEngineVersion}};
    if (recipe.seeded) step.inputs["seed"] = cell.row.seed;
    step.request = {{"model", model.text},
                    {"recipe", recipe.canonical},
                    {"scheme", cell.row.scheme},
                    {"calibration", cell.row.calibration},
                    {"seed", cell.row.seed}};
    step.label = fmt::format("{} {}{}{} {}: quantize", short_name(model.text), cell.row.calibration,
                             cell.row.calibration.empty() ? "" : " ", recipe.canonical, cell.row.scheme);
    if (recipe.fp_statistics) step.needs.push_back(add_statistics(cell, model));
    const auto size =
        cell.row.calibration.empty() ? CalibrationSize{} : calibration_size(cell.row.calibration);
    step.estimate = quantize_estimate(model.checkpoint->architecture(), size, recipe.forwards, recipe.gram);
    const std::string key = add_step(std::move(step));
    add_role(cell, "quantize", key);
    return key;
  }

  void add_evaluate(Cell& cell, const ModelFacts& model, const std::string& task_text,
                    const std::string& quantize_key) {
    const TaskFacts& task = task_facts(task_text);
    Step step;
    step.kind = StepKind::kEvaluate;
    step.inputs = {{"model", model.content_hash},
                   {"tokenizer", model.tokenizer_hash},
                   {"weights", quantize_key},
                   {"task", task.task->identity()},
                   {"engine", kEngineVersion}};
    step.request = {{"model", model.text}, {"task", task_text}};
    if (!quantize_key.empty()) step.needs.push_back(quantize_key);
    step.label =
        fmt::format("{} {}{}{} {}: {}", short_name(model.text), cell.row.calibration,
                    cell.row.calibration.empty() ? "" : " ", cell.row.recipe, cell.row.scheme, task_text);
    step.estimate = evaluate_estimate(model.checkpoint->architecture(), task.task->cost(), task.divergence);
    const std::string key = add_step(std::move(step));
    add_role(cell, task_text, key);
  }

  static void add_role(Cell& cell, const std::string& role, const std::string& key) {
    const std::pair<std::string, std::string> entry(role, key);
    if (std::find(cell.steps.begin(), cell.steps.end(), entry) == cell.steps.end())
      cell.steps.push_back(entry);
  }

  std::string add_step(Step step) {
    step.key = Hasher().field(step_kind_name(step.kind)).field(step.inputs.dump()).hex();
    const auto [known, fresh] = plan_.step_index.emplace(step.key, plan_.steps.size());
    const std::string key = step.key;
    if (fresh) plan_.steps.push_back(std::move(step));
    ++plan_.steps[known->second].cells;
    return key;
  }

  /// A quantize step whose outcome is stored is still needed if weights were not kept and an evaluation is
  /// missing.
  void mark_done() {
    for (Step& step : plan_.steps) step.done = store_ != nullptr && store_->has_step(step.key);
    std::set<std::string> wanted;
    for (auto step = plan_.steps.rbegin(); step != plan_.steps.rend(); ++step) {
      if (step->done && wanted.count(step->key) > 0 && !std::filesystem::exists(artifact_path(*step)))
        step->done = false;
      if (!step->done) wanted.insert(step->needs.begin(), step->needs.end());
    }
  }

  const ModelFacts& model_facts(const std::string& text) {
    auto& slot = models_[text];
    if (slot) return *slot;
    auto facts = std::make_unique<ModelFacts>();
    facts->text = text;
    const models::ModelSource source = models::resolve_model(text);
    facts->checkpoint = models::Checkpoint::open(source);
    facts->content_hash = facts->checkpoint->content_hash();
    facts->tokenizer_hash = tokenizer_hash(source, facts->content_hash);
    const Json container = facts->checkpoint->facts();
    const std::string grid = container.value("weight_grid", "");
    if (source.dequantize == models::Dequantize::kDither) {
      facts->notes.push_back(fmt::format(
          "weights are {}: seeded uniform noise takes them off the file's grid, so this baseline is "
          "not the published model",
          grid));
    } else if (!grid.empty() && grid.find("no grid") == std::string::npos) {
      facts->notes.push_back(fmt::format(
          "the file stores its weights on a grid ({}); results near that bit width flatter methods "
          "that find that grid again",
          grid));
    }
    slot = std::move(facts);
    return *slot;
  }

  const TaskFacts& task_facts(const std::string& text) {
    auto& slot = tasks_[text];
    if (!slot) {
      slot = std::make_unique<TaskFacts>();
      slot->task = tasks::make_task(text);
      slot->divergence = parse_call(text, "task").name == "divergence";
    }
    return *slot;
  }

  const RecipeFacts& recipe_facts(const std::string& text) {
    auto& slot = recipes_[text];
    if (slot) return *slot;
    slot = std::make_unique<RecipeFacts>();
    RecipeFacts& facts = *slot;
    facts.recipe = methods::parse_recipe(text, methods::method_catalogue());
    facts.canonical = facts.recipe.canonical();
    facts.identity = facts.recipe.identity();
    facts.baseline = facts.recipe.baseline();
    facts.calibrated = methods::depends_on_calibration(facts.recipe);
    facts.fp_statistics = methods::needs_fp_statistics(facts.recipe);
    facts.seeded = methods::seed_matters(facts.recipe);
    for (const methods::MethodInfo& info : facts.recipe.methods) {
      if (!info.needs_calibration) continue;
      // A search over candidates runs a branch of the block once per candidate; a solver accumulates one Gram
      // matrix.
      const bool quantizes = info.kind == methods::PassKind::kQuantize;
      facts.forwards += quantizes ? 2.0 : 20.0;
      facts.gram = facts.gram || quantizes;
    }
    return facts;
  }

  /// Identity of the token ids: the text, the sampler and the tokenizer determine them.
  std::string calibration_hash(const std::string& spec, const ModelFacts& model) {
    auto& input = calibration_inputs_[spec];
    if (input.empty()) input = calibration::calibration_input_hash(spec);
    return Hasher().field(input).field(model.tokenizer_hash).hex();
  }

  static CalibrationSize calibration_size(const std::string& spec) {
    const Call call = parse_call(spec, "calibration set");
    const auto number = [&](const char* key) {
      const std::string* text = call.find(key);
      return text == nullptr ? int64_t{0} : static_cast<int64_t>(std::strtoll(text->c_str(), nullptr, 10));
    };
    return {std::max<int64_t>(number("samples"), 1), std::max<int64_t>(number("length"), 1)};
  }

  PlanOptions options_;
  const results::Store* store_;
  Plan plan_;
  std::map<std::string, std::unique_ptr<ModelFacts>> models_;
  std::map<std::string, std::unique_ptr<TaskFacts>> tasks_;
  std::map<std::string, std::unique_ptr<RecipeFacts>> recipes_;
  std::map<std::string, std::string> calibration_inputs_;
};

}  // namespace

std::string step_kind_name(StepKind kind) {
  switch (kind) {
    case StepKind::kStatistics:
      return "statistics";
    case StepKind::kQuantize:
      return "quantize";
    case StepKind::kEvaluate:
      return "evaluate";
  }
  return "";
}

Plan make_plan(std::vector<suite::Suite> suites, const PlanOptions& options, const results::Store* store) {
  return Planner(options, store).plan(std::move(suites));
}

std::filesystem::path artifact_path(const Step& step) {
  return qbench_home() / "artifacts" /
         (step.key + (step.kind == StepKind::kStatistics ? ".statistics" : ".weights"));
}

Json Plan::json() const {
  Json document = {
      {"schema_version", 1}, {"cells", Json::array()}, {"steps", Json::array()}, {"warnings", warnings}};
  for (const Cell& cell : cells) {
    Json links = Json::array();
    for (const auto& [role, key] : cell.steps) links.push_back({{"role", role}, {"step", key}});
    document["cells"].push_back({{"label", cell.label},
                                 {"key", cell.row.key},
                                 {"model", cell.row.model},
                                 {"calibration", cell.row.calibration},
                                 {"recipe", cell.row.recipe},
                                 {"scheme", cell.row.scheme},
                                 {"seed", cell.row.seed},
                                 {"baseline", cell.row.baseline},
                                 {"illegal", cell.row.illegal},
                                 {"steps", links}});
  }
  for (const Step& step : steps) {
    document["steps"].push_back({{"key", step.key},
                                 {"kind", step_kind_name(step.kind)},
                                 {"label", step.label},
                                 {"cached", step.done},
                                 {"cells", step.cells},
                                 {"needs", step.needs},
                                 {"estimate",
                                  {{"gflop", step.estimate.gflop},
                                   {"seconds_one_lane", step.estimate.seconds},
                                   {"memory_bytes", step.estimate.memory_bytes},
                                   {"disk_bytes", step.estimate.disk_bytes}}}});
  }
  return document;
}

std::string Plan::text() const {
  std::string out;
  double seconds = 0;
  uint64_t memory = 0, disk = 0;
  size_t cached = 0, shared = 0, uses = 0;
  std::map<std::string, std::pair<int, int>> by_kind;  // to run, cached
  for (const Step& step : steps) {
    uses += static_cast<size_t>(step.cells);
    shared += step.cells > 1 ? 1 : 0;
    auto& counts = by_kind[step_kind_name(step.kind)];
    if (step.done) {
      ++cached;
      ++counts.second;
      continue;
    }
    ++counts.first;
    seconds += step.estimate.seconds;
    memory = std::max(memory, step.estimate.memory_bytes);
    disk += step.estimate.disk_bytes;
  }
  size_t illegal = 0;
  for (const Cell& cell : cells) {
    size_t missing = 0;
    for (const auto& [role, key] : cell.steps) missing += step(key).done ? 0 : 1;
    const std::string state = !cell.row.illegal.empty() ? "not legal"
                              : missing == 0            ? "cached"
                                                        : fmt::format("{} to run", missing);
    out += fmt::format("{:<11} {}\n", state, cell.label);
    if (!cell.row.illegal.empty()) {
      ++illegal;
      out += fmt::format("            {}\n", cell.row.illegal);
    }
  }
  out += fmt::format(
      "\n{} cells ({} not legal), {} steps: {} cached, {} used by more than one cell ({} uses in all)\n",
      cells.size(), illegal, steps.size(), cached, shared, uses);
  for (const auto& [kind, counts] : by_kind)
    out += fmt::format("  {:<10} {:>4} to run, {:>4} cached\n", kind, counts.first, counts.second);
  out += fmt::format(
      "estimate: {} of one lane at an assumed {} GFLOP/s; {} per worker; {} of weights on disk while cells "
      "are open\n",
      print_seconds(seconds), kLaneGflops, print_bytes(memory), print_bytes(disk));
  for (const std::string& warning : warnings) out += "warning: " + warning + "\n";
  return out;
}

}  // namespace qbench::plan
