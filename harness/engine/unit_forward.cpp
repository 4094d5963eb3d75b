#include "harness/engine/unit_forward.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "harness/core/errors.h"

namespace qbench::engine {
namespace {

using kernels::kStrip;

// Tokens per pass over the MLP: the product of gate and up stays in cache until down_proj reads it.
constexpr int64_t kMlpStrips = 24;

bool on_cpu_as_float(const at::Tensor& t) {
  return !t.defined() || (t.device().is_cpu() && t.scalar_type() == at::kFloat);
}

kernels::Gate gate_of(models::Activation activation) {
  switch (activation) {
    case models::Activation::kSilu:
      return kernels::Gate::kSilu;
    case models::Activation::kGelu:
      return kernels::Gate::kGelu;
    case models::Activation::kGeluTanh:
      return kernels::Gate::kGeluTanh;
    case models::Activation::kRelu:
      return kernels::Gate::kRelu;
  }
  QB_CHECK(false, "unknown activation");
  return kernels::Gate::kSilu;
}

void norm_into(const Norm& norm, const float* x, int64_t rows, int64_t strips, float* out) {
  const FloatView weight(norm.weight);
  kernels::table().rms_norm(x, rows, strips, weight.data(), static_cast<float>(norm.eps), out);
}

}  // namespace

bool kernels_apply(const Block& block) {
  const bool linears = std::all_of(block.linears.begin(), block.linears.end(), [](const Linear& l) {
    return on_cpu_as_float(l.weight) && on_cpu_as_float(l.bias);
  });
  return linears && on_cpu_as_float(block.attention_norm.weight) && on_cpu_as_float(block.mlp_norm.weight);
}

FloatView::FloatView(const at::Tensor& tensor) {
  if (!tensor.defined()) return;
  QB_CHECK(on_cpu_as_float(tensor), "a kernel got a tensor that is not float32 on the CPU");
  kept_ = tensor.contiguous();
  data_ = kept_.const_data_ptr<float>();
}

KeyStore::KeyStore(const models::Architecture& architecture, int64_t strips)
    : strips_(strips), kv_rows_(architecture.kv_size()), layer_floats_(strips * 2 * kv_rows_ * kStrip) {
  data_ = at::empty({architecture.layers * layer_floats_}, at::kFloat);
}

kernels::KeySource KeyStore::source(int64_t layer) const {
  const float* k = data_.const_data_ptr<float>() + layer * layer_floats_;
  return {k, k + kv_rows_ * kStrip, 2 * kv_rows_};
}

int64_t KeyStore::floats_per_token(const models::Architecture& architecture) {
  return architecture.layers * 2 * architecture.kv_size();
}

int64_t rope_length_of(const models::Architecture& architecture, int64_t length) {
  if (architecture.rope.kind != models::RopeKind::kDynamic) return 0;
  return length > architecture.max_position ? length : 0;
}

RotaryStrips rotary_strips(const models::Architecture& architecture, std::span<const int64_t> positions,
                           std::span<const int64_t> rope_lengths, Arena& arena) {
  const int64_t half = architecture.head_dim / 2, count = std::ssize(positions);
  const RotaryStrips table{arena.floats(count * half), arena.floats(count * half)};
  int64_t current = -1;
  models::RopeFrequencies frequencies;
  for (int64_t t = 0; t < count; ++t) {
    if (rope_lengths[static_cast<size_t>(t)] != current) {
      current = rope_lengths[static_cast<size_t>(t)];
      frequencies = models::rope_frequencies(architecture, current);
    }
    const auto position = static_cast<float>(positions[static_cast<size_t>(t)]);
    for (int64_t i = 0; i < half; ++i) {
      const float angle = position * frequencies.inverse[static_cast<size_t>(i)];
      const int64_t at = ((t / kStrip) * half + i) * kStrip + t % kStrip;
      table.cos[at] = std::cos(angle) * frequencies.attention_factor;
      table.sin[at] = std::sin(angle) * frequencies.attention_factor;
    }
  }
  return table;
}

void apply_linear(const Linear& linear, const float* x, int64_t strips, float* out, int64_t out_rows,
                  bool add) {
  const FloatView weight(linear.weight), bias(linear.bias);
  kernels::table().gemm({weight.data(), bias.data(), linear.out_features(), linear.in_features(), x,
                         linear.in_features(), strips, out, out_rows, add});
}

void apply_gated(const Linear& gate, const Linear& up, models::Activation activation, const float* x,
                 int64_t strips, float* out) {
  const FloatView gate_weight(gate.weight), gate_bias(gate.bias), up_weight(up.weight), up_bias(up.bias);
  kernels::table().gated_gemm({gate_weight.data(), gate_bias.data(), up_weight.data(), up_bias.data(),
                               gate.out_features(), gate.in_features(), x, gate.in_features(), strips, out,
                               gate.out_features(), gate_of(activation)});
}

Unit unit_of_lengths(const models::Architecture& architecture, const SequenceLengths& lengths) {
  Unit unit;
  int64_t start = 0;
  for (const int64_t length : lengths) {
    if (length > 0) unit.segments.push_back({start, length, 0, rope_length_of(architecture, length), {}});
    start += length;
  }
  unit.tokens.resize(static_cast<size_t>(start));
  return unit;
}

UnitForward::UnitForward(const models::Architecture& architecture, std::span<const Unit> units, int32_t index,
                         std::span<const std::shared_ptr<KeyStore>> earlier, Arena& arena)
    : architecture_(architecture),
      units_(units),
      index_(index),
      earlier_(earlier),
      plan_(plan_attention(units, index)),
      tokens_(std::ssize(units[static_cast<size_t>(index)].tokens)),
      strips_(strips_of(tokens_)),
      arena_(arena) {
  std::vector<int64_t> positions(static_cast<size_t>(strips_ * kStrip)), rope_lengths(positions.size());
  for (const Segment& segment : units[static_cast<size_t>(index)].segments) {
    for (int64_t i = 0; i < segment.length; ++i) {
      positions[static_cast<size_t>(segment.start + i)] = segment.position + i;
      rope_lengths[static_cast<size_t>(segment.start + i)] = segment.rope_length;
    }
  }
  rotary_ = rotary_strips(architecture, positions, rope_lengths, arena);
  const models::Architecture& a = architecture;
  const int64_t floats = strips_ * kStrip;
  hidden_ = arena.floats(floats * a.hidden_size);
  normed_ = arena.floats(floats * a.hidden_size);
  mixed_ = arena.floats(floats * a.q_size());
  qkv_ = arena.floats(floats * (a.q_size() + 2 * a.kv_size()));
  scratch_ = arena.floats(kernels::attention_scratch(plan_.block_keys, a.head_dim));
  ranges_ = arena.floats(4 * floats);
  gated_strips_ = std::min(strips_, kMlpStrips);
  gated_ = arena.floats(gated_strips_ * kStrip * a.intermediate_size);
}

void UnitForward::embed(const at::Tensor& embedding) {
  const std::vector<int32_t>& ids = units_[static_cast<size_t>(index_)].tokens;
  const int64_t vocab = embedding.size(0), width = embedding.size(1);
  const FloatView rows(embedding);
  std::memset(hidden_, 0, static_cast<size_t>(strips_ * kStrip * width) * sizeof(float));
  for (int64_t t = 0; t < tokens_; ++t) {
    const int64_t id = ids[static_cast<size_t>(t)];
    if (id < 0 || id >= vocab) {
      throw DataError("token id " + std::to_string(id) + " is outside the model's vocabulary of " +
                      std::to_string(vocab) + " entries. Use the tokenizer that belongs to the model.");
    }
    float* out = hidden_ + (t / kStrip) * width * kStrip + t % kStrip;
    for (int64_t f = 0; f < width; ++f) out[f * kStrip] = rows.data()[id * width + f];
  }
}

void UnitForward::attend(const Block& block, const float* x, float* out, KeyStore* keep) {
  const models::Architecture& a = architecture_;
  const int64_t q_rows = a.q_size(), kv_rows = a.kv_size(), rows = q_rows + 2 * kv_rows;
  const kernels::Table& kernel = kernels::table();
  float *q = qkv_, *k = q + q_rows * kStrip, *v = k + kv_rows * kStrip;
  apply_linear(block.linear(Role::kQ), x, strips_, q, rows, false);
  apply_linear(block.linear(Role::kK), x, strips_, k, rows, false);
  apply_linear(block.linear(Role::kV), x, strips_, v, rows, false);
  const auto scale = static_cast<float>(1.0 / std::sqrt(static_cast<double>(a.head_dim)));
  kernel.rotate(q, rows, strips_, a.heads, a.head_dim, rotary_.cos, rotary_.sin, scale);
  kernel.rotate(k, rows, strips_, a.kv_heads, a.head_dim, rotary_.cos, rotary_.sin, 1.0F);
  if (keep != nullptr) {
    const auto bytes = static_cast<size_t>(2 * kv_rows * kStrip) * sizeof(float);
    for (int64_t s = 0; s < strips_; ++s) {
      std::memcpy(keep->layer(block.index) + s * 2 * kv_rows * kStrip, k + s * rows * kStrip, bytes);
    }
  }
  std::vector<kernels::KeySource> sources = {{k, v, rows}};
  for (const int32_t unit : plan_.source_units)
    sources.push_back(earlier_[static_cast<size_t>(unit)]->source(block.index));
  kernel.attention({q, rows, out, q_rows, strips_, a.heads, a.kv_heads, a.head_dim, sources.data(),
                    plan_.runs.data(), plan_.blocks.data(), plan_.strip_blocks.data(), plan_.masks.data(),
                    scratch_});
}

void UnitForward::quantize(float* x, int64_t rows, const ActivationQuantizer& quantizer) {
  if (!quantizer.enabled()) return;
  quantize_strips(units_[static_cast<size_t>(index_)].segments, x, rows, strips_, quantizer, ranges_);
}

void UnitForward::run_block(const Block& block, KeyStore* keep) {
  const int64_t width = architecture_.hidden_size;
  norm_into(block.attention_norm, hidden_, width, strips_, normed_);
  quantize(normed_, width, block.act(Site::kQkvIn));
  attend(block, normed_, mixed_, keep);
  quantize(mixed_, architecture_.q_size(), block.act(Site::kOIn));
  apply_linear(block.linear(Role::kO), mixed_, strips_, hidden_, width, true);
  norm_into(block.mlp_norm, hidden_, width, strips_, normed_);
  quantize(normed_, width, block.act(Site::kGateUpIn));
  mlp(block);
}

void UnitForward::mlp(const Block& block) {
  const int64_t width = architecture_.hidden_size, inner = block.linear(Role::kGate).out_features();
  const ActivationQuantizer& quantizer = block.act(Site::kDownIn);
  if (quantizer.enabled() && !quantizer.per_token &&
      gated_strips_ < strips_) {  // one range over the whole sequence
    gated_strips_ = strips_;
    gated_ = arena_.floats(strips_ * kStrip * inner);
  }
  for (int64_t s = 0; s < strips_; s += gated_strips_) {
    const int64_t strips = std::min(gated_strips_, strips_ - s);
    apply_gated(block.linear(Role::kGate), block.linear(Role::kUp), architecture_.activation,
                normed_ + s * width * kStrip, strips, gated_);
    if (quantizer.enabled() && quantizer.per_token) {
      quantize_strips({}, gated_, inner, strips, quantizer, ranges_);
    } else {
      quantize(gated_, inner, quantizer);
    }
    apply_linear(block.linear(Role::kDown), gated_, strips, hidden_ + s * width * kStrip, width, true);
  }
}

}  // namespace qbench::engine
