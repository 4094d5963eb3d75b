#include "harness/worker/session.h"

#include <sys/resource.h>

#include <chrono>
#include <cstddef>
#include <filesystem>
#include <thread>
#include <utility>

#include "harness/core/errors.h"
#include "harness/core/files.h"
#include "harness/core/hash.h"
#include "harness/models/export.h"
#include "harness/models/safetensors.h"
#include "harness/schedule/wire.h"
#include "methods/core/artifact.h"
#include "methods/core/lab.h"
#include "methods/core/registry.h"
#include "tasks/core/task.h"

namespace qbench::worker {
namespace {

using Clock = std::chrono::steady_clock;

double cpu_seconds() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) * 1e-6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

int64_t peak_rss_bytes() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  return usage.ru_maxrss * 1024;
}

/// Fills in what a step cost around the work itself.
template <class Work>
results::StepOutcome measured(int lanes, Work work) {
  const auto start = Clock::now();
  const double cpu = cpu_seconds();
  results::StepOutcome outcome = work();
  outcome.wall_s = std::chrono::duration<double>(Clock::now() - start).count();
  outcome.cpu_s = cpu_seconds() - cpu;
  outcome.peak_rss_bytes = peak_rss_bytes();
  outcome.lanes = lanes;
  outcome.facts["engine"] = engine::engine_info();
  return outcome;
}

results::LayerRow layer_row(const methods::LayerReport& report) {
  results::LayerRow row;
  row.layer = report.name;
  row.parameters = report.parameters;
  row.bits_nominal = report.bits.nominal();
  row.bits_effective = report.bits.effective();
  row.weight_error = report.weight_error;
  row.output_error = report.output_error;
  row.loss = report.loss;
  row.fallback = report.fallback;
  row.weight_hash = report.sha256;
  row.detail = report.detail;
  row.detail["changed"] = report.changed;
  return row;
}

/// Every tensor of the model under its Hugging Face name.
std::map<std::string, at::Tensor> named_tensors(const engine::Model& model) {
  std::map<std::string, at::Tensor> named = {{"model.embed_tokens.weight", model.embedding},
                                             {"lm_head.weight", model.head},
                                             {"model.norm.weight", model.final_norm.weight}};
  for (const engine::Block& block : model.blocks) {
    const std::string prefix = "model.layers." + std::to_string(block.index) + ".";
    named[prefix + "input_layernorm.weight"] = block.attention_norm.weight;
    named[prefix + "post_attention_layernorm.weight"] = block.mlp_norm.weight;
    for (const engine::Linear& linear : block.linears) {
      named[linear.name + ".weight"] = linear.weight;
      if (linear.bias.defined()) named[linear.name + ".bias"] = linear.bias;
    }
  }
  return named;
}

void write_tensor_file(const std::string& path, std::span<const int32_t> ids, const at::Tensor& logits) {
  const at::Tensor values = logits.contiguous();
  const std::vector<models::SafetensorsTensor> tensors = {
      {"ids", "I32", {static_cast<int64_t>(ids.size())}, std::as_bytes(ids)},
      {"logits",
       "F32",
       {values.size(0), values.size(1)},
       std::as_bytes(
           std::span<const float>(values.const_data_ptr<float>(), static_cast<size_t>(values.numel())))}};
  models::write_safetensors(path, tensors);
}

}  // namespace

Session::Session(int lanes, std::function<void(const Json&)> send) : lanes_(lanes), send_(std::move(send)) {}

Json Session::handle(const Json& request) {
  const std::string op = request.at("op");
  const auto step = [&](results::StepOutcome outcome) {
    return Json{{"event", "done"}, {"outcome", schedule::outcome_to_json(outcome)}};
  };
  const auto result = [](Json value) { return Json{{"event", "result"}, {"result", std::move(value)}}; };
  if (op == "statistics") return step(measured(lanes_.count(), [&] { return statistics(request); }));
  if (op == "quantize") return step(measured(lanes_.count(), [&] { return quantize(request); }));
  if (op == "evaluate") return step(measured(lanes_.count(), [&] { return evaluate(request); }));
  if (op == "export") return result(export_model(request));
  if (op == "logits") return result(logits(request));
  if (op == "lab") return result(lab(request));
  if (op == "engine") return result(engine::engine_info());
  throw InternalError("a worker was asked for the unknown operation \"" + op + "\"");
}

void Session::forget() {
  model_.reset();
  tokenizer_.reset();
  model_text_.clear();
  weights_.clear();
  baselines_.clear();
}

void Session::progress(const std::string& phase, int64_t position, int64_t total) const {
  send_({{"event", "progress"}, {"phase", phase}, {"position", position}, {"total", total}});
}

methods::Progress Session::layer_progress() const {
  return [this](const std::string& phase, int layer, int layers) {
    send_({{"event", "progress"},
           {"phase", phase},
           {"position", layer + 1},
           {"total", layers},
           {"layer_name", "block " + std::to_string(layer)}});
  };
}

void Session::use_model(const std::string& text) {
  if (model_ && model_text_ == text) return;
  forget();
  progress("load", 0, 1);
  const models::ModelSource source = models::resolve_model(text);
  tokenizer_ = tokenizers::load_tokenizer(source);
  model_ = engine::Model::load(models::Checkpoint::open(source));
  model_text_ = text;
  calibration_.clear();
}

void Session::use_weights(const std::string& key, const std::string& artifact) {
  if (weights_ == key) return;
  weights_ = "?";  // half-way states must not be taken for either
  model_->restore();
  if (!key.empty()) methods::load_artifact(*model_, artifact, lanes_);
  weights_ = key;
}

const calibration::CalibrationSet& Session::calibration_set(const std::string& spec) {
  const auto known = calibration_.find(spec);
  if (known != calibration_.end()) return known->second;
  return calibration_.emplace(spec, calibration::make_calibration_set(spec, *tokenizer_)).first->second;
}

results::StepOutcome Session::statistics(const Json& request) {
  use_model(request.at("model"));
  use_weights("", "");
  const auto& set = calibration_set(request.at("calibration"));
  const auto statistics = methods::gather_fp_statistics(*model_, set.samples, lanes_, layer_progress());
  const std::filesystem::path path = request.at("artifact").get<std::string>();
  std::filesystem::create_directories(path.parent_path());
  statistics.save(path, set.hash);
  results::StepOutcome outcome;
  outcome.artifact_hash = sha256_file(path);
  outcome.facts = {{"calibration_tokens", set.tokens()}, {"calibration_token_hash", set.hash}};
  return outcome;
}

methods::QuantizeResult Session::quantize_resident(const Json& request) {
  const methods::Recipe recipe =
      methods::parse_recipe(request.at("recipe").get<std::string>(), methods::registered_methods());
  const methods::Scheme scheme = methods::parse_scheme(request.at("scheme").get<std::string>());
  const std::string spec = request.at("calibration");
  const bool calibrated = methods::depends_on_calibration(recipe);
  const auto problems = methods::legality_problems(recipe, scheme, model_->architecture(), !spec.empty());
  if (!problems.empty()) throw ConfigError(problems.front());
  const std::vector<std::vector<int32_t>> none;
  const auto& samples = calibrated ? calibration_set(spec).samples : none;

  std::unique_ptr<methods::FpStatistics> statistics;
  if (methods::needs_fp_statistics(recipe)) {
    statistics = std::make_unique<methods::FpStatistics>(
        request.contains("statistics")
            ? methods::FpStatistics::load(request.at("statistics").at("artifact").get<std::string>(),
                                          calibration_set(spec).hash)
            : methods::gather_fp_statistics(*model_, samples, lanes_, layer_progress()));
  }
  return methods::quantize_model(*model_, recipe, scheme, samples, statistics.get(),
                                 request.at("seed").get<uint64_t>(), lanes_, layer_progress());
}

results::StepOutcome Session::quantize(const Json& request) {
  use_model(request.at("model"));
  use_weights("", "");
  weights_ = "?";
  const methods::QuantizeResult result = quantize_resident(request);
  weights_ = request.at("key");
  const std::filesystem::path path = request.at("artifact").get<std::string>();
  std::filesystem::create_directories(path.parent_path());
  progress("save", 0, 1);
  methods::save_artifact(*model_, path, lanes_);

  results::StepOutcome outcome;
  outcome.artifact_hash = result.artifact_hash;
  for (const auto& layer : result.layers) outcome.layers.push_back(layer_row(layer));
  outcome.facts = {{"nominal_bits", result.nominal_bits}, {"effective_bits", result.effective_bits}};
  for (const auto& [phase, seconds] : result.seconds) outcome.facts["seconds"][phase] = seconds;
  const std::string spec = request.at("calibration");
  if (!spec.empty()) {
    const auto& set = calibration_set(spec);
    outcome.facts["calibration_tokens"] = set.tokens();
    outcome.facts["calibration_token_hash"] = set.hash;
  }
  return outcome;
}

std::shared_ptr<const engine::BaselineStates> Session::baseline(
    const std::string& task, const std::vector<engine::ScoreRequest>& requests) {
  auto& slot = baselines_[task];
  if (!slot) {
    use_weights("", "");
    progress("baseline", 0, 1);
    slot = engine::baseline_states(*model_, requests, lanes_);
  }
  return slot;
}

results::StepOutcome Session::evaluate(const Json& request) {
  use_model(request.at("model"));
  const auto task = tasks::make_task(request.at("task").get<std::string>());
  std::shared_ptr<const engine::BaselineStates> states;
  const auto requests = task->baseline_requests(*tokenizer_);
  if (!requests.empty()) states = baseline(task->identity(), requests);
  const Json weights = request.value("weights", Json(nullptr));
  use_weights(weights.is_null() ? "" : weights.at("key").get<std::string>(),
              weights.is_null() ? "" : weights.at("artifact").get<std::string>());
  progress("score", 0, 1);
  const auto scorer = engine::make_scorer(*model_, lanes_, states);
  tasks::TaskResult result = task->run(*tokenizer_, *scorer);

  results::StepOutcome outcome;
  outcome.facts = std::move(result.provenance);
  Hasher hasher;
  for (const tasks::Score& s : result.scores) {
    outcome.scores.push_back(
        {result.task, s.metric, result.protocol, s.value, s.stderr_, s.n, s.higher_is_better});
    hasher.field(s.metric).update(&s.value, sizeof s.value);
  }
  for (tasks::ItemRecord& item : result.items) {
    outcome.items.push_back({item.item, item.loglikelihoods, item.nll, item.tokens, std::move(item.metrics),
                             std::move(item.detail)});
  }
  outcome.artifact_hash = hasher.hex();
  return outcome;
}

Json Session::export_model(const Json& request) {
  use_model(request.at("model"));
  use_weights("", "");
  weights_ = "?";
  const methods::QuantizeResult result = quantize_resident(request);
  const std::filesystem::path out = request.at("out").get<std::string>();
  const auto tensors = named_tensors(*model_);
  const Json recipe = {{"recipe", request.at("recipe")},
                       {"scheme", request.at("scheme")},
                       {"calibration", request.at("calibration")},
                       {"seed", request.at("seed")},
                       {"artifact_hash", result.artifact_hash}};
  const auto report = models::export_hugging_face(model_->checkpoint(), out,
                                                  [&](const models::TensorInfo& info) {
                                                    const auto tensor = tensors.find(info.name);
                                                    QB_CHECK(tensor != tensors.end(), info.name);
                                                    const at::Tensor values = tensor->second.contiguous();
                                                    return std::vector<float>(
                                                        values.const_data_ptr<float>(),
                                                        values.const_data_ptr<float>() + values.numel());
                                                  },
                                                  {.files = {{"qbench.json", recipe.dump(1) + "\n"}}});
  return {{"summary", out.string() + ": simulated weights of " + std::to_string(result.layers.size()) +
                          " linears, " + print_number(result.effective_bits) +
                          " effective bits per weight, artifact " + result.artifact_hash + "\n" +
                          report.tokenizer},
          {"artifact_hash", result.artifact_hash}};
}

Json Session::logits(const Json& request) {
  use_model(request.at("model"));
  use_weights("", "");
  const auto ids = request.at("ids").get<std::vector<int32_t>>();
  const int64_t vocabulary = model_->architecture().vocab_size;
  for (const int32_t id : ids) {
    if (id < 0 || id >= vocabulary) {
      throw ConfigError("--ids: " + std::to_string(id) + " is not a token of this model; expected 0 to " +
                        std::to_string(vocabulary - 1));
    }
  }
  const at::Tensor hidden = engine::hidden_states(*model_, ids, {static_cast<int64_t>(ids.size())});
  const at::Tensor values = engine::logits(*model_, hidden);
  write_tensor_file(request.at("out"), ids, values);
  return {{"summary", request.at("out").get<std::string>() + ": logits [" + std::to_string(values.size(0)) +
                          ", " + std::to_string(values.size(1)) + "]"}};
}

Json Session::lab(const Json& request) {
  const methods::Recipe recipe =
      methods::parse_recipe(request.at("recipe").get<std::string>(), methods::registered_methods());
  const methods::Scheme scheme = methods::parse_scheme(request.at("scheme").get<std::string>());
  const auto problem =
      methods::read_lab_problem(request.at("layers").get<std::string>(), request.at("layer"));
  const methods::LabResult result = methods::run_lab(problem, recipe, scheme, lanes_);
  methods::write_lab_result(result, request.at("out").get<std::string>());
  return result.summary;
}

}  // namespace qbench::worker
