#include "methods/core/lab.h"

#include <ATen/ATen.h>

#include <cmath>

#include "harness/core/errors.h"
#include "harness/models/safetensors.h"
#include "methods/core/registry.h"
#include "methods/primitives/gram.h"

namespace qbench::methods {
namespace {

using models::SafetensorsFile;

at::Tensor read_tensor(const SafetensorsFile& file, const std::string& name) {
  const models::SafetensorsEntry* entry = file.find(name);
  if (entry == nullptr) throw DataError(file.path().string() + ": no tensor \"" + name + "\"");
  at::Tensor out = at::empty(entry->shape, at::kFloat);
  file.read_float(*entry, {out.data_ptr<float>(), static_cast<size_t>(out.numel())});
  return out;
}

/// Inputs as stored, any number of dimensions, or undefined.
at::Tensor read_inputs(const SafetensorsFile& file, const std::string& prefix) {
  if (file.find(prefix + "X") != nullptr) return read_tensor(file, prefix + "X");
  if (file.find(prefix + "X_code") == nullptr) return {};
  const at::Tensor code = read_tensor(file, prefix + "X_code"),
                   exponent = read_tensor(file, prefix + "X_exp");
  if (code.dim() == 0 || exponent.dim() != 1 || exponent.size(0) != code.size(-1)) {
    throw DataError(file.path().string() + ": " + prefix + "X_exp must have one exponent per channel of " +
                    prefix + "X_code");
  }
  return code * at::exp2(exponent);
}

void check_shapes(const LabProblem& problem, const std::filesystem::path& path) {
  const std::string place = path.string() + ": layer \"" + problem.layer + "\": ";
  if (problem.w.dim() != 2 || problem.w.numel() == 0)
    throw DataError(place + "W must be [out, in] and not empty");
  if (!at::isfinite(problem.w).all().item<bool>())
    throw DataError(place + "W has values that are not finite");
  if (!problem.x.defined()) return;
  if (problem.x.size(1) != problem.w.size(1) || problem.x.size(0) == 0) {
    throw DataError(place + "X has " + std::to_string(problem.x.size(1)) + " channels and W " +
                    std::to_string(problem.w.size(1)) +
                    " columns; X must be [tokens, in] or [sequences, tokens, in]");
  }
  if (!at::isfinite(problem.x).all().item<bool>())
    throw DataError(place + "X has values that are not finite");
}

struct LabRun {
  at::Tensor w, x;           ///< in the basis after the transforms so far
  at::Tensor channel_scale;  ///< product of the transforms' scales, or undefined
  Json detail = Json::object();
  LinearTask task;
};

/// (2 / sequences) X^T X.
at::Tensor lab_gram(const at::Tensor& x, int64_t sequences, const Lanes& lanes) {
  GramAccumulator gram(x.size(1));
  gram.add(std::vector<at::Tensor>{x}, lanes);
  return gram.finish(2.0 / static_cast<double>(sequences));
}

void run_passes(const LabProblem& problem, const Recipe& recipe, PassContext& context, LabRun& run) {
  for (const Call& call : recipe.passes) {
    const std::unique_ptr<Pass> pass = find_spec(call.name).make(call);
    if (const auto* transform = dynamic_cast<const Transform*>(pass.get())) {
      const at::Tensor s = transform->apply_to_linear(run.w, run.x, context, run.detail);
      if (s.defined()) {
        run.x = run.x / s;
        run.channel_scale = run.channel_scale.defined() ? run.channel_scale * s : s;
      }
      if (transform->family()) context.family = transform->family();
      continue;
    }
    const auto* quantizer = dynamic_cast<const Quantizer*>(pass.get());
    QB_CHECK(quantizer != nullptr, "a pass that neither transforms nor quantizes");
    run.task.name = problem.layer.empty() ? "W" : problem.layer;
    run.task.weight = run.w.contiguous();
    const bool needs_gram = quantizer->gram_inputs() != GramInputs::kNone;
    const at::Tensor gram = needs_gram ? lab_gram(run.x, problem.sequences, *context.lanes) : at::Tensor();
    quantizer->quantize({&run.task, 1}, gram, context);
  }
}

double frobenius(const at::Tensor& t) { return std::sqrt(t.to(at::kDouble).square().sum().item<double>()); }

Json summarise(const LabProblem& problem, const Recipe& recipe, const Scheme& scheme, const LabRun& run,
               const at::Tensor& w_hat, const Lanes& lanes) {
  const at::Tensor d = (problem.w - w_hat).contiguous();
  Json summary = {{"layer", problem.layer},
                  {"recipe", recipe.canonical()},
                  {"scheme", scheme.print()},
                  {"rows", problem.w.size(0)},
                  {"columns", problem.w.size(1)},
                  {"loss", run.task.result.loss},
                  {"weight_fro", frobenius(d)},
                  {"weight_error", frobenius(d) / std::max(frobenius(problem.w), 1e-30)},
                  {"bits", run.task.result.bits.json()},
                  {"fallback", run.task.fallback},
                  {"detail", run.detail}};
  if (!run.task.detail.is_null()) summary["detail"].update(run.task.detail);
  if (problem.x.defined()) {
    const at::Tensor gram = lab_gram(problem.x, problem.sequences, lanes);
    const double error = trace_error(d, gram), reference = trace_error(problem.w, gram);
    summary["tokens"] = problem.x.size(0);
    summary["out_err"] = error;
    summary["out_error"] = reference > 0 ? std::sqrt(std::max(error, 0.0) / reference) : 0.0;
  }
  return summary;
}

std::string_view dtype_name(const at::Tensor& tensor) {
  switch (tensor.scalar_type()) {
    case at::kByte:
      return "U8";
    case at::kInt:
      return "I32";
    default:
      return "F32";
  }
}

}  // namespace

std::vector<std::string> lab_layers(const std::filesystem::path& path) {
  const SafetensorsFile file(path);
  std::vector<std::string> layers;
  for (const models::SafetensorsEntry& entry : file.entries()) {
    if (entry.name == "W") layers.emplace_back();
    if (entry.name.ends_with(".W")) layers.push_back(entry.name.substr(0, entry.name.size() - 2));
  }
  return layers;
}

LabProblem read_lab_problem(const std::filesystem::path& path, const std::string& layer) {
  const SafetensorsFile file(path);
  const std::string prefix = layer.empty() ? "" : layer + ".";
  if (file.find(prefix + "W") == nullptr) {
    const std::vector<std::string> layers = lab_layers(path);
    std::string known;
    for (const std::string& name : layers)
      known += (known.empty() ? "" : ", ") + (name.empty() ? std::string("(unnamed)") : name);
    throw DataError(path.string() + ": no layer \"" + layer + "\" (a tensor \"" + prefix + "W\")." +
                    did_you_mean(layer, layers) + " Known: " + (known.empty() ? "none" : known) + ".");
  }
  LabProblem problem;
  problem.layer = layer;
  problem.w = read_tensor(file, prefix + "W");
  at::Tensor x = read_inputs(file, prefix);
  if (x.defined()) {
    if (x.dim() < 2 || x.dim() > 3)
      throw DataError(path.string() + ": " + prefix + "X must be [tokens, in] or [sequences, tokens, in]");
    problem.sequences = x.dim() == 3 ? x.size(0) : 1;
    problem.x = x.reshape({-1, x.size(-1)}).contiguous();
  }
  check_shapes(problem, path);
  return problem;
}

const at::Tensor* LabResult::find(std::string_view name) const {
  for (const auto& [key, tensor] : tensors) {
    if (key == name) return &tensor;
  }
  return nullptr;
}

LabResult run_lab(const LabProblem& problem, const Recipe& recipe, const Scheme& scheme, const Lanes& lanes,
                  const LabOptions& options) {
  if (recipe.baseline()) throw ConfigError("lab: the recipe fp does nothing; try rtn, gptq or awq");
  if (!scheme.quantizes_weights())
    throw ConfigError("lab: scheme " + scheme.print() + " leaves weights untouched; try w4a16g64");
  if (depends_on_calibration(recipe) && !problem.x.defined()) {
    throw ConfigError("lab: recipe " + recipe.canonical() + " needs inputs; add a tensor \"" +
                      (problem.layer.empty() ? "" : problem.layer + ".") + "X\" [tokens, in] to the file");
  }
  PassContext context;
  context.scheme = scheme;
  context.lanes = &lanes;
  context.keep_codes = true;
  context.given_order = options.given_order;
  LabRun run;
  run.w = problem.w;
  run.x = problem.x;
  run_passes(problem, recipe, context, run);

  LabResult result;
  const QuantizedWeight& quantized = run.task.result;
  const at::Tensor w_hat =
      run.channel_scale.defined() ? (quantized.w_hat / run.channel_scale).contiguous() : quantized.w_hat;
  result.tensors.emplace_back("w_hat", w_hat);
  const std::pair<const char*, at::Tensor> extras[] = {
      {"codes", quantized.codes},          {"scale", quantized.scale}, {"zero", quantized.zero},
      {"offset", quantized.offset},        {"g_idx", quantized.g_idx}, {"perm", quantized.perm},
      {"channel_scale", run.channel_scale}};
  for (const auto& [name, tensor] : extras) {
    if (tensor.defined()) result.tensors.emplace_back(name, tensor.contiguous());
  }
  result.summary = summarise(problem, recipe, scheme, run, w_hat, lanes);
  return result;
}

void write_lab_result(const LabResult& result, const std::filesystem::path& path) {
  std::vector<models::SafetensorsTensor> tensors;
  for (const auto& [name, tensor] : result.tensors) {
    tensors.push_back({name,
                       std::string(dtype_name(tensor)),
                       tensor.sizes().vec(),
                       {static_cast<const std::byte*>(tensor.const_data_ptr()), tensor.nbytes()}});
  }
  models::write_safetensors(path, tensors, {{"summary", result.summary.dump()}});
}

}  // namespace qbench::methods
