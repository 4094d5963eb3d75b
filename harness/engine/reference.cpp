#include "harness/engine/reference.h"

#include <ATen/ATen.h>

#include <cmath>
#include <numeric>

#include "harness/core/errors.h"

namespace qbench::engine::reference {
namespace {

// Half-split rotation: (x1, x2) -> (x1 cos - x2 sin, x2 cos + x1 sin). x [length, heads, head_dim].
at::Tensor rotate(const at::Tensor& x, const RotaryTable& table) {
  const int64_t half = x.size(-1) / 2;
  const at::Tensor first = x.narrow(-1, 0, half), second = x.narrow(-1, half, half);
  const at::Tensor cos = table.cos.unsqueeze(1), sin = table.sin.unsqueeze(1);
  return at::cat({first * cos - second * sin, second * cos + first * sin}, -1);
}

at::Tensor attend_sequence(const models::Architecture& a, const at::Tensor& q, const at::Tensor& k,
                           const at::Tensor& v) {
  const int64_t length = q.size(0);
  const RotaryTable table = rotary_table(a, length, q.device());
  const auto heads_first = [&](const at::Tensor& x, int64_t heads) {
    return x.reshape({length, heads, a.head_dim});
  };
  const at::Tensor qh = rotate(heads_first(q, a.heads), table).transpose(0, 1);
  const at::Tensor kh = rotate(heads_first(k, a.kv_heads), table).transpose(0, 1);
  const at::Tensor vh = heads_first(v, a.kv_heads).transpose(0, 1);
  const at::Tensor hidden_keys = at::ones({length, length}, q.options().dtype(at::kBool)).triu_(1);
  const double scale = 1.0 / std::sqrt(static_cast<double>(a.head_dim));
  const int64_t queries_per_kv = a.heads / a.kv_heads;
  std::vector<at::Tensor> outputs;
  outputs.reserve(static_cast<size_t>(a.heads));
  for (int64_t head = 0; head < a.heads; ++head) {  // one head at a time: scores are [length, length]
    const int64_t kv = head / queries_per_kv;
    at::Tensor scores = at::matmul(qh[head], kh[kv].t()).mul_(scale);
    scores.masked_fill_(hidden_keys, -std::numeric_limits<double>::infinity());
    outputs.push_back(at::matmul(at::softmax(scores, -1), vh[kv]));
  }
  return at::cat(outputs, -1);
}

}  // namespace

at::Tensor rms_norm(const at::Tensor& x, const Norm& norm) {
  return x * at::rsqrt(x.square().mean({-1}, true).add_(norm.eps)) * norm.weight;
}

RotaryTable rotary_table(const models::Architecture& architecture, int64_t length, const at::Device& device) {
  const models::RopeFrequencies frequencies = models::rope_frequencies(architecture, length);
  const at::Tensor inverse =
      at::tensor(at::ArrayRef<float>(frequencies.inverse), at::TensorOptions(at::kFloat));
  const at::Tensor angles = at::outer(at::arange(length, at::TensorOptions(at::kFloat)), inverse).to(device);
  return {angles.cos().mul_(frequencies.attention_factor), angles.sin().mul_(frequencies.attention_factor)};
}

at::Tensor attention(const models::Architecture& architecture, const at::Tensor& q, const at::Tensor& k,
                     const at::Tensor& v, const SequenceLengths& lengths) {
  std::vector<at::Tensor> outputs;
  int64_t start = 0;
  for (const int64_t length : lengths) {
    if (length > 0) {
      outputs.push_back(attend_sequence(architecture, q.narrow(0, start, length), k.narrow(0, start, length),
                                        v.narrow(0, start, length)));
    }
    start += length;
  }
  QB_CHECK(start == q.size(0), "sequence lengths do not add up to the number of tokens");
  return outputs.empty() ? at::empty_like(q) : at::cat(outputs, 0);
}

at::Tensor apply(const Linear& linear, const at::Tensor& x) {
  return linear.bias.defined() ? at::linear(x, linear.weight, linear.bias) : at::linear(x, linear.weight);
}

at::Tensor gated(models::Activation activation, const at::Tensor& gate, const at::Tensor& up) {
  switch (activation) {
    case models::Activation::kSilu:
      return at::silu(gate) * up;
    case models::Activation::kGelu:
      return at::gelu(gate) * up;
    case models::Activation::kGeluTanh:
      return at::gelu(gate, "tanh") * up;
    case models::Activation::kRelu:
      return at::relu(gate) * up;
  }
  QB_CHECK(false, "unknown activation");
  return {};
}

at::Tensor quantize_site(const at::Tensor& x, const ActivationQuantizer& quantizer,
                         const SequenceLengths& lengths) {
  if (!quantizer.enabled()) return x;
  if (quantizer.per_token || lengths.size() <= 1) return quantize_activation(x, quantizer);
  std::vector<at::Tensor> parts;
  int64_t start = 0;
  for (const int64_t length : lengths) {
    parts.push_back(quantize_activation(x.narrow(0, start, length), quantizer));
    start += length;
  }
  return at::cat(parts, 0);
}

at::Tensor run_block(const Model& model, const Block& block, const at::Tensor& x,
                     const SequenceLengths& lengths) {
  BlockCursor cursor(model, block, x, lengths);
  while (!cursor.done()) cursor.advance();
  return cursor.output();
}

at::Tensor hidden_states(const Model& model, std::span<const int32_t> ids, const SequenceLengths& lengths) {
  at::Tensor x = embed(model, ids);
  for (const Block& block : model.blocks) x = reference::run_block(model, block, x, lengths);
  return rms_norm(x, model.final_norm);
}

}  // namespace qbench::engine::reference
