#include "methods/core/runner.h"

#include <ATen/ATen.h>

#include <chrono>
#include <cmath>

#include "harness/core/errors.h"
#include "harness/core/hash.h"
#include "methods/core/registry.h"
#include "methods/core/sample_packs.h"
#include "methods/primitives/gram.h"

namespace qbench::methods {
namespace {

using engine::Block;
using engine::BlockCursor;
using models::Role;
using models::Site;

/// Packs whose transposed copies exist at the same time while a Gram matrix is accumulated.
constexpr size_t kGramWave = 4;

class Stopwatch {
 public:
  explicit Stopwatch(double& seconds) : seconds_(seconds) {}
  ~Stopwatch() {
    seconds_ += std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
  }

 private:
  double& seconds_;
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

/// Hidden states of a set of samples on their way through the blocks.
struct Stream {
  std::vector<SamplePack> packs;
  std::vector<at::Tensor> x;  ///< [tokens, hidden] per pack: input of the next block
  int64_t sequences = 0;

  void start(const engine::Model& model, const std::vector<std::vector<int32_t>>& samples,
             const Lanes& lanes) {
    packs = pack_samples(samples);
    sequences = static_cast<int64_t>(samples.size());
    x.resize(packs.size());
    lanes.run(packs.size(), [&](size_t p, int) { x[p] = engine::embed(model, packs[p].ids); });
  }
  bool active() const { return !packs.empty(); }
};

struct NamedTransform {
  std::string name;
  std::unique_ptr<Pass> pass;
  const Transform* transform;
};

class Runner {
 public:
  Runner(engine::Model& model, const Recipe& recipe, const Scheme& scheme,
         const std::vector<std::vector<int32_t>>& samples, const FpStatistics* statistics, uint64_t seed,
         const Lanes& lanes, const Progress& progress)
      : model_(model), statistics_(statistics), lanes_(lanes), progress_(progress) {
    context_.scheme = scheme;
    context_.lanes = &lanes;
    context_.seed = seed;
    check_inputs(recipe, samples);
    build_passes(recipe);
    double start_seconds = 0;
    {
      const Stopwatch watch(start_seconds);
      start_streams(samples);
    }
    forward_seconds_ = start_seconds;
  }

  QuantizeResult run() {
    const int layers = static_cast<int>(model_.blocks.size());
    for (int layer = 0; layer < layers; ++layer) {
      if (progress_) progress_("quantize", layer, layers);
      Block& block = model_.blocks[static_cast<size_t>(layer)];
      transform_block(block);
      quantize_block(block, layer + 1 == layers);
    }
    for (Block& block : model_.blocks) {
      for (engine::ActivationQuantizer& quantizer : block.activation) {
        quantizer = {context_.scheme.activation_bits, /*per_token=*/true, /*symmetric=*/true};
      }
    }
    return finish();
  }

 private:
  void check_inputs(const Recipe& recipe, const std::vector<std::vector<int32_t>>& samples) const {
    const auto problems = legality_problems(recipe, context_.scheme, model_.architecture(),
                                            !samples.empty() || statistics_ != nullptr);
    if (!problems.empty()) {
      std::string text;
      for (const std::string& problem : problems) text += (text.empty() ? "" : "; ") + problem;
      throw ConfigError(text);
    }
    if (needs_calibration(recipe) && samples.empty()) {
      throw ConfigError("recipe " + recipe.canonical() + " needs calibration samples and none were given");
    }
    if (needs_fp_statistics(recipe) &&
        (statistics_ == nullptr || statistics_->blocks.size() != model_.blocks.size())) {
      throw ConfigError("recipe " + recipe.canonical() + " needs the statistics of this model's " +
                        std::to_string(model_.blocks.size()) + " blocks, found " +
                        (statistics_ == nullptr ? "none" : std::to_string(statistics_->blocks.size())));
    }
  }

  void build_passes(const Recipe& recipe) {
    for (const Call& call : recipe.passes) {
      std::unique_ptr<Pass> pass = find_spec(call.name).make(call);
      if (const auto* transform = dynamic_cast<const Transform*>(pass.get())) {
        if (transform->family()) context_.family = transform->family();
        transforms_.push_back({call.name, std::move(pass), transform});
        transform_seconds_.push_back(0);
      } else {
        quantizer_name_ = call.name;
        quantizer_pass_ = std::move(pass);
        quantizer_ = dynamic_cast<const Quantizer*>(quantizer_pass_.get());
      }
    }
    QB_CHECK(quantizer_ != nullptr, "a recipe without a quantize pass");
  }

  void start_streams(const std::vector<std::vector<int32_t>>& samples) {
    std::optional<int64_t> search;
    for (const NamedTransform& t : transforms_) {
      const std::optional<int64_t> wanted = t.transform->search_tokens();
      if (!wanted) continue;
      search = !search ? *wanted : (*search == 0 || *wanted == 0 ? 0 : std::max(*search, *wanted));
    }
    if (search) fp_.start(model_, spaced_samples(samples, *search), lanes_);
    if (context_.scheme.quantizes_weights() && quantizer_->gram_inputs() != GramInputs::kNone)
      quantized_.start(model_, samples, lanes_);
  }

  /// The block's site inputs in full precision; also moves the full-precision stream on.
  void capture_inputs(BlockView& view) {
    const Stopwatch watch(forward_seconds_);
    for (const SamplePack& pack : fp_.packs) view.lengths.push_back(pack.lengths);
    for (auto& inputs : view.inputs) inputs.resize(fp_.packs.size());
    lanes_.run(fp_.packs.size(), [&](size_t p, int) {
      BlockCursor cursor(model_, view.block, fp_.x[p], fp_.packs[p].lengths);
      for (; !cursor.done(); cursor.advance()) view.inputs_of(cursor.site())[p] = cursor.input();
      fp_.x[p] = cursor.output();
    });
  }

  void transform_block(Block& block) {
    transform_detail_ = Json::object();
    if (transforms_.empty()) return;
    BlockView view{model_, block, {}, {}, {}};
    if (statistics_ != nullptr) view.statistics = statistics_->blocks[static_cast<size_t>(block.index)];
    if (fp_.active()) capture_inputs(view);
    for (size_t t = 0; t < transforms_.size(); ++t) {
      const Stopwatch watch(transform_seconds_[t]);
      transform_detail_[transforms_[t].name] = transforms_[t].transform->apply(view, context_);
    }
    for (const engine::Linear& linear : block.linears)
      check_finite(linear.name, linear.weight, transforms_.back().name);
  }

  static void check_finite(const std::string& name, const at::Tensor& weight, const std::string& pass) {
    if (at::isfinite(weight).all().item<bool>()) return;
    const at::Tensor bad = at::isfinite(weight).logical_not().nonzero();
    throw NumericError(name + ": " + pass + " produced " + std::to_string(bad.size(0)) +
                       " weights that are not finite, the first at row " +
                       std::to_string(bad[0][0].item<int64_t>()) + ", column " +
                       std::to_string(bad[0][1].item<int64_t>()));
  }

  void quantize_block(Block& block, bool last) {
    if (!context_.scheme.quantizes_weights()) {
      for (const models::SiteSpec& site : model_.sites()) keep_site(block, site);
      return;
    }
    if (!quantized_.active()) {
      for (const models::SiteSpec& site : model_.sites()) quantize_site(block, block, site, at::Tensor());
      return;
    }
    if (quantizer_->gram_inputs() == GramInputs::kSequential) {
      walk(block, block, last);
      return;
    }
    // Inputs of the unquantized block: walk a copy, quantize the original, then run it for the next block's
    // inputs.
    const Block before = block;
    const std::vector<at::Tensor> inputs = quantized_.x;
    walk(before, block, true);
    if (last) return;
    const Stopwatch watch(forward_seconds_);
    lanes_.run(inputs.size(), [&](size_t p, int) {
      quantized_.x[p] = engine::run_block(model_, block, inputs[p], quantized_.packs[p].lengths);
    });
  }

  /// Walks `read` site by site and quantizes the linears of `write` behind it (the same block for "true
  /// sequential").
  void walk(const Block& read, Block& write, bool drop_output) {
    std::vector<std::optional<BlockCursor>> cursors(quantized_.packs.size());
    {
      const Stopwatch watch(forward_seconds_);
      lanes_.run(cursors.size(), [&](size_t p, int) {
        cursors[p].emplace(model_, read, std::move(quantized_.x[p]), quantized_.packs[p].lengths);
      });
    }
    for (const models::SiteSpec& site : model_.sites()) {
      quantize_site(read, write, site, gram_of(cursors));
      if (drop_output && site.site == models::kAllSites.back()) break;
      const Stopwatch watch(forward_seconds_);
      lanes_.run(cursors.size(), [&](size_t p, int) { cursors[p]->advance(); });
    }
    for (size_t p = 0; p < cursors.size(); ++p)
      quantized_.x[p] = cursors[p]->done() ? cursors[p]->output() : at::Tensor();
  }

  at::Tensor gram_of(const std::vector<std::optional<BlockCursor>>& cursors) {
    const Stopwatch watch(gram_seconds_);
    GramAccumulator gram(cursors.front()->input().size(1));
    for (size_t begin = 0; begin < cursors.size(); begin += kGramWave) {
      std::vector<at::Tensor> wave;
      for (size_t p = begin; p < std::min(begin + kGramWave, cursors.size()); ++p)
        wave.push_back(cursors[p]->input());
      gram.add(wave, lanes_);
    }
    return gram.finish(2.0 / static_cast<double>(quantized_.sequences));
  }

  void quantize_site(const Block& read, Block& write, const models::SiteSpec& site, const at::Tensor& gram) {
    std::vector<LinearTask> tasks;
    for (const Role role : site.consumers) {
      tasks.emplace_back();
      tasks.back().name = write.linear(role).name;
      tasks.back().weight = read.linear(role).weight;
    }
    {
      const Stopwatch watch(quantizer_seconds_);
      quantizer_->quantize(tasks, gram, context_);
    }
    const size_t first = result_.layers.size();
    result_.layers.resize(first + tasks.size());
    lanes_.run(tasks.size(),
               [&](size_t t, int) { result_.layers[first + t] = report(tasks[t], gram, write.index); });
    for (size_t t = 0; t < tasks.size(); ++t) write.linear(site.consumers[t]).weight = tasks[t].result.w_hat;
  }

  /// Scheme with 16-bit weights: the ledger still lists every linear.
  void keep_site(const Block& block, const models::SiteSpec& site) {
    for (const Role role : site.consumers) {
      const engine::Linear& linear = block.linear(role);
      LayerReport report;
      report.name = linear.name;
      report.layer = block.index;
      report.parameters = linear.weight.numel();
      report.bits = count_bits({linear.weight.size(0), linear.weight.size(1), 16, 0, true, false, 0});
      report.changed = false;
      report.sha256 =
          sha256_hex({static_cast<const char*>(linear.weight.const_data_ptr()), linear.weight.nbytes()});
      report.detail = transform_detail_;
      result_.layers.push_back(std::move(report));
    }
  }

  LayerReport report(const LinearTask& task, const at::Tensor& gram, int64_t layer) const {
    const at::Tensor& w = task.weight;
    const at::Tensor& w_hat = task.result.w_hat;
    QB_CHECK(w_hat.sizes() == w.sizes() && w_hat.scalar_type() == at::kFloat && w_hat.is_contiguous(),
             quantizer_name_ + " changed shape or type of " + task.name);
    check_finite(task.name, w_hat, quantizer_name_);
    LayerReport report;
    report.name = task.name;
    report.layer = layer;
    report.parameters = w.numel();
    report.bits = task.result.bits;
    report.loss = task.result.loss;
    report.fallback = task.fallback;
    const at::Tensor d = w - w_hat;
    const double error = d.square().sum(at::kDouble).item<double>();
    const double norm = w.square().sum(at::kDouble).item<double>();
    report.weight_error = norm > 0 ? std::sqrt(error / norm) : 0.0;
    report.changed = error > 0;
    if (gram.defined()) {
      const double reference = trace_error(w, gram);
      report.output_error = reference > 0 ? std::sqrt(std::max(trace_error(d, gram), 0.0) / reference) : 0.0;
    }
    report.sha256 = sha256_hex({static_cast<const char*>(w_hat.const_data_ptr()), w_hat.nbytes()});
    report.detail = transform_detail_;
    if (!task.detail.is_null()) report.detail[quantizer_name_] = task.detail;
    return report;
  }

  QuantizeResult finish() {
    for (size_t t = 0; t < transforms_.size(); ++t)
      result_.seconds.emplace_back(transforms_[t].name, transform_seconds_[t]);
    result_.seconds.emplace_back(quantizer_name_, quantizer_seconds_);
    if (forward_seconds_ > 0) result_.seconds.emplace_back("forward", forward_seconds_);
    if (gram_seconds_ > 0) result_.seconds.emplace_back("gram", gram_seconds_);
    double nominal = 0, effective = 0, parameters = 0;
    for (const LayerReport& layer : result_.layers) {
      const auto n = static_cast<double>(layer.parameters);
      nominal += layer.bits.nominal() * n;
      effective += layer.bits.effective() * n;
      parameters += n;
    }
    result_.nominal_bits = parameters > 0 ? nominal / parameters : 16;
    result_.effective_bits = parameters > 0 ? effective / parameters : 16;
    result_.artifact_hash = artifact_hash(model_, lanes_);
    return std::move(result_);
  }

  engine::Model& model_;
  const FpStatistics* statistics_;
  const Lanes& lanes_;
  const Progress& progress_;
  PassContext context_;
  std::vector<NamedTransform> transforms_;
  std::string quantizer_name_;
  std::unique_ptr<Pass> quantizer_pass_;
  const Quantizer* quantizer_ = nullptr;
  Stream fp_, quantized_;
  Json transform_detail_ = Json::object();
  std::vector<double> transform_seconds_;
  double quantizer_seconds_ = 0, forward_seconds_ = 0, gram_seconds_ = 0;
  QuantizeResult result_;
};

}  // namespace

Json LayerReport::json() const {
  Json out = {{"name", name},
              {"layer", layer},
              {"parameters", parameters},
              {"bits", bits.json()},
              {"weight_error", weight_error},
              {"loss", loss},
              {"fallback", fallback},
              {"changed", changed},
              {"sha256", sha256},
              {"detail", detail}};
  out["output_error"] = output_error ? Json(*output_error) : Json();
  return out;
}

Json QuantizeResult::json() const {
  Json list = Json::array();
  for (const LayerReport& layer : layers) list.push_back(layer.json());
  Json times = Json::object();
  for (const auto& [name, value] : seconds) times[name] = value;
  return {{"layers", list},
          {"seconds", times},
          {"artifact_hash", artifact_hash},
          {"nominal_bits", nominal_bits},
          {"effective_bits", effective_bits}};
}

QuantizeResult quantize_model(engine::Model& model, const Recipe& recipe, const Scheme& scheme,
                              const std::vector<std::vector<int32_t>>& samples,
                              const FpStatistics* statistics, uint64_t seed, const Lanes& lanes,
                              const Progress& progress) {
  if (recipe.baseline()) {
    if (const auto problems = legality_problems(recipe, scheme, model.architecture(), true);
        !problems.empty()) {
      throw ConfigError(problems.front());
    }
    QuantizeResult result;
    result.artifact_hash = artifact_hash(model, lanes);
    return result;
  }
  return Runner(model, recipe, scheme, samples, statistics, seed, lanes, progress).run();
}

std::string artifact_hash(const engine::Model& model, const Lanes& lanes) {
  std::vector<std::string> hashes(model.blocks.size());
  lanes.run(hashes.size(), [&](size_t b, int) {
    Hasher hasher;
    const auto add = [&](const std::string& name, const at::Tensor& tensor) {
      if (!tensor.defined()) return;
      const at::Tensor bytes = tensor.contiguous();
      hasher.field(name).update(bytes.const_data_ptr(), bytes.nbytes());
    };
    const engine::Block& block = model.blocks[b];
    for (const engine::Linear& linear : block.linears) {
      add(linear.name, linear.weight);
      add(linear.name + ".bias", linear.bias);
    }
    add("attention_norm", block.attention_norm.weight);
    add("mlp_norm", block.mlp_norm.weight);
    for (const engine::ActivationQuantizer& q : block.activation) {
      hasher.field(std::to_string(q.enabled() ? q.bits : 16) + (q.per_token ? "t" : "s") +
                   (q.symmetric ? "s" : "a"));
    }
    hashes[b] = hasher.hex();
  });
  Hasher whole;
  for (const std::string& hash : hashes) whole.field(hash);
  return whole.hex();
}

}  // namespace qbench::methods
