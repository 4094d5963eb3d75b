#include "tests/unit/reports/sample_store.h"

#include <fmt/format.h>

#include <cmath>
#include <map>
#include <set>

#include "harness/core/hash.h"

namespace qbench::testing_support {
namespace {

using namespace results;

/// In [0, 1), from the hash of a name: the same on every machine.
double uniform(const std::string& name) {
  return static_cast<double>(std::stoull(sha256_hex(name).substr(0, 13), nullptr, 16)) /
         static_cast<double>(1ull << 52);
}

/// Roughly standard normal.
double normal(const std::string& name) {
  double sum = -6;
  for (int i = 0; i < 12; ++i) sum += uniform(fmt::format("{}/{}", name, i));
  return sum;
}

constexpr const char* kTaskPpl =
    "perplexity(protocol=gptq,text=/data/en_wiki_test.txt,window=2048,windows=24)";
constexpr const char* kTaskSports = "bigbench(name=sports_understanding,limit=100)";
constexpr const char* kTaskLogic = "bigbench(name=logical_deduction,limit=100)";

struct Method {
  std::string recipe;
  bool calibrated;
  double strength;  ///< share of RTN's damage that is left
};

struct Scheme {
  std::string name;
  double damage, bits_nominal, bits_effective;
};

const std::vector<Scheme> kSchemes = {
    {"w4a16g64", 0.12, 4, 4.5}, {"w3a16g64", 0.75, 3, 3.5}, {"w8a8", 0.006, 8, 8.03}};
const std::vector<std::string> kCalibrations = {"en_wiki(samples=64,length=512,seed=0)",
                                                "de_wiki(samples=64,length=512,seed=0)",
                                                "random_tokens(samples=64,length=512,seed=0)"};
const std::vector<double> kCalibrationFactor = {1.0, 1.06, 1.35};

class SampleWriter {
 public:
  SampleWriter(const std::filesystem::path& path, const SampleOptions& options)
      : store_(Store::open(path)), o_(options) {
    methods_ = {{"rtn", false, 1.0},
                {"gptq(act_order=true)", true, 0.45},
                {"awq", true, 0.5},
                {"smoothquant(alpha=0.8)|gptq", true, 0.42}};
    for (int i = 0; i < o_.extra_recipes; ++i)
      methods_.push_back({fmt::format("gptq(block={})", 16 + i), true, 0.45 + 0.001 * i});
  }

  void write() {
    for (const bool everything : {false, true}) {
      run_ = store_->begin_run(run_row(everything));
      cells_.clear();
      links_.clear();
      for (int m = 0; m < o_.models; ++m)
        add_model(m == 0 ? "smollm2-135m" : fmt::format("model-{}", m), everything);
      store_->put_cells(run_, cells_, links_);
      for (const auto& commit : commits_) commit();
      commits_.clear();
      store_->end_run(run_, everything && o_.failures ? "failed cells" : "ok");
    }
  }

 private:
  RunRow run_row(bool everything) const {
    RunRow run;
    run.suite_name = "quickstart";
    run.suite_yaml = fmt::format(
        "suite: quickstart\nmodels: [smollm2-135m]\nschemes: {}\nrecipes: [fp, rtn, "
        "\"gptq(act_order=true)\", awq, \"smoothquant(alpha=0.8)|gptq\"]\n",
        everything ? "[w4a16g64, w3a16g64, w8a8]" : "[w8a8]");
    run.suite_hash = sha256_hex(run.suite_yaml);
    run.started_at = everything ? "2025-03-01T09:30:00Z" : "2025-03-01T09:00:00Z";
    run.environment = {{"qbench", "0.1.0"}, {"commit", "0123abcd"},       {"cpu", "AMD EPYC <9654> & co"},
                       {"cores", 2},        {"memory_bytes", 8589934592}, {"torch", "2.13.0"},
                       {"threads", 2}};
    return run;
  }

  void add_model(const std::string& model, bool everything) {
    model_ = model;
    add_cell("fp", "fp", "", 0, nullptr, nullptr);
    for (const Scheme& scheme : kSchemes) {
      if (!everything && scheme.name != "w8a8") continue;
      for (const Method& method : methods_) {
        for (size_t c = 0; c < kCalibrations.size(); ++c)
          add_cell(method.recipe, scheme.name, kCalibrations[c], c, &method, &scheme);
      }
    }
  }

  void add_cell(const std::string& recipe, const std::string& scheme, const std::string& calibration,
                size_t c, const Method* method, const Scheme* bits) {
    CellRow cell;
    cell.model = model_;
    cell.model_hash = sha256_hex(model_);
    cell.recipe = recipe;
    cell.scheme = scheme;
    cell.calibration = calibration;
    cell.baseline = method == nullptr;
    cell.notes =
        Json::array({"weights lie on a 4-bit grid (Q4_1, groups of 32): 4-bit results flatter methods that "
                     "find it again"});
    const bool calibrated = method != nullptr && method->calibrated;
    if (calibrated) cell.calibration_hash = sha256_hex("tokens of " + calibration);
    if (recipe == "awq" && scheme == "w8a8")
      cell.illegal = "awq searches scales for weights of 2 to 5 bits; w8a8 has 8. Use smoothquant|rtn.";
    const std::string identity =
        fmt::format("{}/{}/{}/{}", model_, recipe, scheme, calibrated ? calibration : "");
    if (method != nullptr && cell.illegal.empty()) cell.quantize_key = sha256_hex("quantize " + identity);
    cell.key = sha256_hex(fmt::format("{}/{}", identity, calibration));
    cells_.push_back(cell);
    if (!cell.illegal.empty()) return;
    double damage =
        method == nullptr ? 0 : bits->damage * method->strength * (calibrated ? kCalibrationFactor[c] : 1.0);
    if (!cell.quantize_key.empty()) links_.push_back({cell.key, cell.quantize_key, "quantize"});
    for (const char* task : {kTaskPpl, kTaskSports, kTaskLogic})
      links_.push_back({cell.key, sha256_hex(identity + task), task});
    if (!planned_.insert(identity).second) return;
    const CellRow copy = cell;
    commits_.push_back([this, copy, identity, damage, bits] { compute(copy, identity, damage, bits); });
  }

  void compute(const CellRow& cell, const std::string& identity, double damage, const Scheme* bits) {
    const bool numeric_failure = o_.failures && cell.recipe == "gptq(act_order=true)" &&
                                 cell.scheme == "w3a16g64" && cell.calibration.rfind("random", 0) == 0;
    if (numeric_failure) {
      store_->commit_failure(
          run_, {cell.quantize_key, "numeric",
                 "model.layers.2.mlp.down_proj: Cholesky failed at column 183 of 1536 (pivot -3.1e-09) after "
                 "damping 0.01, 0.02, 0.04. Use more calibration samples or raise gptq.damp.",
                 "", "gptq", "model.layers.2.mlp.down_proj", "", 3.75});
      return;
    }
    if (!cell.quantize_key.empty()) store_->commit_step(run_, quantize_step(cell, identity, damage, *bits));
    store_->commit_step(run_, perplexity_step(identity, damage + (cell.baseline ? 0 : o_.drift)));
    for (const char* task : {kTaskSports, kTaskLogic}) {
      if (o_.failures && cell.recipe == "rtn" && cell.scheme == "w3a16g64" && task == kTaskLogic) {
        store_->commit_failure(
            run_, {sha256_hex(identity + task), "signal", "the worker died while it ran this step", "SIGKILL",
                   "evaluate", "", "loading model\nscoring <item> 17 of 100\n", 12.5});
        continue;
      }
      store_->commit_step(run_, choice_step(identity, task, damage));
    }
  }

  StepOutcome quantize_step(const CellRow& cell, const std::string& identity, double damage,
                            const Scheme& bits) const {
    StepOutcome step;
    step.key = cell.quantize_key;
    step.kind = "quantize";
    step.inputs = {{"recipe", cell.recipe}, {"scheme", cell.scheme}, {"calibration", cell.calibration_hash}};
    step.wall_s = cell.recipe == "rtn" ? 0.31 : 20 + 5 * uniform(identity + "t");
    step.cpu_s = step.wall_s * 1.9;
    step.peak_rss_bytes = 700'000'000;
    step.lanes = 2;
    step.artifact_hash = sha256_hex("artifact " + identity + std::to_string(o_.drift));
    const char* const names[] = {"self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj",
                                 "self_attn.o_proj", "mlp.gate_proj",    "mlp.up_proj",
                                 "mlp.down_proj"};
    const int64_t sizes[] = {331776, 110592, 110592, 331776, 884736, 884736, 884736};
    for (int block = 0; block < o_.layers; ++block) {
      for (int i = 0; i < 7; ++i) {
        LayerRow layer;
        layer.layer = fmt::format("model.layers.{}.{}", block, names[i]);
        layer.parameters = sizes[i];
        layer.bits_nominal = bits.bits_nominal;
        layer.bits_effective = bits.bits_effective;
        layer.weight_error = std::sqrt(damage) * (0.2 + 0.1 * uniform(identity + layer.layer));
        layer.output_error = layer.weight_error * 0.6;
        if (cell.recipe.find("gptq") != std::string::npos) layer.loss = 100 * damage * (1 + i);
        if (cell.recipe.find("smoothquant") == 0 && cell.scheme == "w3a16g64" && block == 1 && i == 6)
          layer.fallback = "damping raised from 0.01 to 0.04 after 2 failures";
        layer.weight_hash = sha256_hex(identity + layer.layer);
        step.layers.push_back(layer);
      }
    }
    return step;
  }

  StepOutcome perplexity_step(const std::string& identity, double damage) const {
    StepOutcome step = evaluate_step(identity, kTaskPpl, 9.5);
    double mean = 0;
    for (int w = 0; w < o_.windows; ++w) {
      ItemRow item;
      item.item = fmt::format("window{}", w);
      item.tokens = 2047;
      const double per_token = 2.45 + 0.2 * normal(fmt::format("{}window{}", model_, w)) +
                               damage * (1 + 0.3 * normal(fmt::format("{}{}", identity, w)));
      item.nll = per_token * 2047;
      mean += per_token / o_.windows;
      step.items.push_back(item);
    }
    step.scores = {{kTaskPpl, "ppl", "ppl/win B S=2048 bos=default", std::exp(mean), std::exp(mean) * 0.04,
                    o_.windows, false}};
    return step;
  }

  StepOutcome choice_step(const std::string& identity, const std::string& task, double damage) const {
    StepOutcome step = evaluate_step(identity, task, 6.25);
    double acc = 0, acc_norm = 0;
    for (int i = 0; i < o_.items; ++i) {
      ItemRow item;
      item.item = fmt::format("{}", i);
      item.tokens = 12;
      const std::string name = fmt::format("{}{}{}", model_, task, i);
      const double margin =
          normal(name) + 0.25 +
          (damage == 0 ? 0 : std::min(2.0, 2.5 * damage) * normal(name + identity) - damage);
      item.loglikelihoods = {-10 + margin, -10};
      item.metrics = {{"acc", margin > 0 ? 1.0 : 0.0}, {"acc_norm", margin > 0.1 ? 1.0 : 0.0}};
      item.detail = {{"choice", margin > 0 ? 0 : 1}, {"gold", 0}};
      acc += (margin > 0) / static_cast<double>(o_.items);
      acc_norm += (margin > 0.1) / static_cast<double>(o_.items);
      step.items.push_back(item);
    }
    const auto spread = [&](double p) { return std::sqrt(p * (1 - p) / (o_.items - 1)); };
    step.scores = {{task, "acc", "bigbench/mc 0-shot", acc, spread(acc), o_.items, true},
                   {task, "acc_norm", "bigbench/mc 0-shot", acc_norm, spread(acc_norm), o_.items, true}};
    if (task == kTaskLogic) step.facts["warnings"] = Json::array({"3 contexts were truncated from the left"});
    return step;
  }

  StepOutcome evaluate_step(const std::string& identity, const std::string& task, double seconds) const {
    StepOutcome step;
    step.key = sha256_hex(identity + task);
    step.kind = "evaluate";
    step.inputs = {{"task", task}};
    step.wall_s = seconds + uniform(identity + task);
    step.cpu_s = step.wall_s * 1.8;
    step.peak_rss_bytes = 900'000'000;
    step.lanes = 2;
    step.artifact_hash = sha256_hex("scores " + identity + task + std::to_string(o_.drift));
    return step;
  }

  std::unique_ptr<Store> store_;
  SampleOptions o_;
  std::vector<Method> methods_;
  std::string model_;
  int64_t run_ = 0;
  std::vector<CellRow> cells_;
  std::vector<Store::CellStep> links_;
  std::set<std::string> planned_;
  std::vector<std::function<void()>> commits_;
};

}  // namespace

void write_sample_store(const std::filesystem::path& path, const SampleOptions& options) {
  SampleWriter(path, options).write();
}

}  // namespace qbench::testing_support
