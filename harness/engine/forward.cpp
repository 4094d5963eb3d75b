// The public forward pass of model.h: the CPU kernels where they apply, plain tensor operations elsewhere.
#include <ATen/ATen.h>

#include <algorithm>

#include "harness/core/errors.h"
#include "harness/engine/arena.h"
#include "harness/engine/kernels/kernels.h"
#include "harness/engine/model.h"
#include "harness/engine/reference.h"
#include "harness/engine/unit_forward.h"

namespace qbench::engine {
namespace {

using kernels::kStrip;

constexpr int64_t kScratchFloats = int64_t{16}
                                   << 20;  // of one matrix product; longer inputs go through in parts

bool on_cpu(const at::Tensor& x) { return x.device().is_cpu() && x.scalar_type() == at::kFloat; }

// [tokens, features] -> strips, taken from the arena.
float* strips_from(const at::Tensor& x, Arena& arena) {
  const at::Tensor rows = x.contiguous();
  const int64_t tokens = rows.size(0), features = rows.size(1);
  float* strips = arena.floats(strips_of(tokens) * kStrip * features);
  kernels::table().to_strips(rows.const_data_ptr<float>(), tokens, features, strips, features);
  return strips;
}

at::Tensor tensor_from(const float* strips, int64_t tokens, int64_t features) {
  at::Tensor rows = at::empty({tokens, features}, at::kFloat);
  kernels::table().from_strips(strips, features, tokens, features, rows.data_ptr<float>());
  return rows;
}

at::Tensor through(const Linear& linear, const at::Tensor& x) {
  return project(x, linear.weight, linear.bias);
}

at::Tensor attention_from_qkv(const Model& model, const Block& block, const at::Tensor& x,
                              const SequenceLengths& lengths) {
  const models::Architecture& a = model.architecture();
  if (!on_cpu(x) || !kernels_apply(block)) {
    return reference::attention(a, reference::apply(block.linear(Role::kQ), x),
                                reference::apply(block.linear(Role::kK), x),
                                reference::apply(block.linear(Role::kV), x), lengths);
  }
  const ArenaLease arena;
  const Unit unit = unit_of_lengths(a, lengths);
  UnitForward forward(a, {&unit, 1}, 0, {}, *arena);
  QB_CHECK(forward.tokens() == x.size(0), "sequence lengths do not add up to the number of tokens");
  float* out = arena->floats(forward.strips() * kStrip * a.q_size());
  forward.attend(block, strips_from(x, *arena), out, nullptr);
  return tensor_from(out, forward.tokens(), a.q_size());
}

at::Tensor gated_product(const Model& model, const Block& block, const at::Tensor& x) {
  const Linear &gate = block.linear(Role::kGate), &up = block.linear(Role::kUp);
  const models::Activation activation = model.architecture().activation;
  if (!on_cpu(x) || !kernels_apply(block)) {
    return reference::gated(activation, reference::apply(gate, x), reference::apply(up, x));
  }
  const ArenaLease arena;
  const int64_t strips = strips_of(x.size(0));
  float* out = arena->floats(strips * kStrip * gate.out_features());
  apply_gated(gate, up, activation, strips_from(x, *arena), strips, out);
  return tensor_from(out, x.size(0), gate.out_features());
}

at::Tensor normed(const at::Tensor& x, const Norm& norm) {
  if (!on_cpu(x) || !on_cpu(norm.weight)) return reference::rms_norm(x, norm);
  const ArenaLease arena;
  const int64_t tokens = x.size(0), features = x.size(1);
  float* strips = strips_from(x, *arena);
  const FloatView weight(norm.weight);
  kernels::table().rms_norm(strips, features, strips_of(tokens), weight.data(), static_cast<float>(norm.eps),
                            strips);
  return tensor_from(strips, tokens, features);
}

}  // namespace

at::Tensor project(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias) {
  if (!on_cpu(x) || !on_cpu(weight))
    return bias.defined() ? at::linear(x, weight, bias) : at::linear(x, weight);
  const at::Tensor rows = x.reshape({-1, weight.size(1)}).contiguous();
  const int64_t tokens = rows.size(0), in_features = weight.size(1), out_features = weight.size(0);
  const int64_t part = std::max<int64_t>(kScratchFloats / (in_features + out_features) / kStrip, 1) * kStrip;
  at::Tensor out = at::empty({tokens, out_features}, at::kFloat);
  const ArenaLease arena;
  float* y = arena->floats(strips_of(std::min(part, tokens)) * kStrip * out_features);
  float* strips = arena->floats(strips_of(std::min(part, tokens)) * kStrip * in_features);
  for (int64_t t = 0; t < tokens; t += part) {
    const int64_t count = std::min(part, tokens - t);
    kernels::table().to_strips(rows.const_data_ptr<float>() + t * in_features, count, in_features, strips,
                               in_features);
    apply_linear({"", weight, bias}, strips, strips_of(count), y, out_features, false);
    kernels::table().from_strips(y, out_features, count, out_features,
                                 out.data_ptr<float>() + t * out_features);
  }
  std::vector<int64_t> shape = x.sizes().vec();
  shape.back() = out_features;
  return out.reshape(shape);
}

at::Tensor embed(const Model& model, std::span<const int32_t> ids) {
  const int64_t vocab = model.embedding.size(0);
  at::Tensor index = at::empty({static_cast<int64_t>(ids.size())}, at::kLong);
  int64_t* out = index.data_ptr<int64_t>();
  for (size_t i = 0; i < ids.size(); ++i) {
    if (ids[i] < 0 || ids[i] >= vocab) {
      throw DataError("token id " + std::to_string(ids[i]) + " at position " + std::to_string(i) +
                      " is outside the model's vocabulary of " + std::to_string(vocab) +
                      " entries. Use the tokenizer that belongs to the model.");
    }
    out[i] = ids[i];
  }
  return at::embedding(model.embedding, index.to(model.embedding.device()));
}

BlockCursor::BlockCursor(const Model& model, const Block& block, at::Tensor x, SequenceLengths lengths)
    : model_(&model), block_(&block), lengths_(std::move(lengths)), residual_(std::move(x)) {
  input_ = normed(residual_, block.attention_norm);
}

void BlockCursor::advance() {
  QB_CHECK(!done_, "BlockCursor::advance after the last site");
  const at::Tensor x = reference::quantize_site(input_, block_->act(site_), lengths_);
  switch (site_) {
    case Site::kQkvIn:
      input_ = attention_from_qkv(*model_, *block_, x, lengths_);
      site_ = Site::kOIn;
      break;
    case Site::kOIn:
      residual_ = residual_ + through(block_->linear(Role::kO), x);
      input_ = normed(residual_, block_->mlp_norm);
      site_ = Site::kGateUpIn;
      break;
    case Site::kGateUpIn:
      input_ = gated_product(*model_, *block_, x);
      site_ = Site::kDownIn;
      break;
    case Site::kDownIn:
      residual_ = residual_ + through(block_->linear(Role::kDown), x);
      input_ = at::Tensor();
      done_ = true;
      break;
  }
}

const at::Tensor& BlockCursor::output() const {
  QB_CHECK(done_, "BlockCursor::output before the last site");
  return residual_;
}

at::Tensor run_block(const Model& model, const Block& block, const at::Tensor& x,
                     const SequenceLengths& lengths) {
  if (!on_cpu(x) || !kernels_apply(block)) return reference::run_block(model, block, x, lengths);
  const ArenaLease arena;
  const Unit unit = unit_of_lengths(model.architecture(), lengths);
  UnitForward forward(model.architecture(), {&unit, 1}, 0, {}, *arena);
  QB_CHECK(forward.tokens() == x.size(0), "sequence lengths do not add up to the number of tokens");
  const at::Tensor rows = x.contiguous();
  kernels::table().to_strips(rows.const_data_ptr<float>(), rows.size(0), rows.size(1), forward.hidden(),
                             rows.size(1));
  forward.run_block(block, nullptr);
  return tensor_from(forward.hidden(), rows.size(0), rows.size(1));
}

void run_block_samples(const Model& model, const Block& block, std::span<at::Tensor> samples,
                       const Lanes& lanes) {
  lanes.run(samples.size(), [&](size_t item, int) {
    samples[item] = run_block(model, block, samples[item], {samples[item].size(0)});
  });
}

at::Tensor run_branch(const Model& model, const Block& block, Site site, const at::Tensor& input,
                      const SequenceLengths& lengths) {
  const at::Tensor x = reference::quantize_site(input, block.act(site), lengths);
  switch (site) {
    case Site::kQkvIn:
      return run_branch(model, block, Site::kOIn, attention_from_qkv(model, block, x, lengths), lengths);
    case Site::kOIn:
      return through(block.linear(Role::kO), x);
    case Site::kGateUpIn:
      return run_branch(model, block, Site::kDownIn, gated_product(model, block, x), lengths);
    case Site::kDownIn:
      return through(block.linear(Role::kDown), x);
  }
  QB_CHECK(false, "unknown site");
  return {};
}

at::Tensor hidden_states(const Model& model, std::span<const int32_t> ids, const SequenceLengths& lengths) {
  at::Tensor x = embed(model, ids);
  for (const Block& block : model.blocks) x = run_block(model, block, x, lengths);
  return normed(x, model.final_norm);
}

at::Tensor logits(const Model& model, const at::Tensor& hidden) { return project(hidden, model.head); }

Json engine_info() {
  return {{"kernels", kernels::table().name},
          {"strip_tokens", kernels::kStrip},
          {"matrix_product", "own, sums in order of the input features"},
          {"dtype", "float32"}};
}

}  // namespace qbench::engine
