// The forward pass spelled out in plain tensor operations: what every fast path is tested against, and the
// path for devices that have no kernels of their own.
#pragma once

#include <ATen/core/Tensor.h>

#include "harness/engine/model.h"

namespace qbench::engine::reference {

/// x / sqrt(mean(x^2) + eps) * weight over the last dimension.
at::Tensor rms_norm(const at::Tensor& x, const Norm& norm);

/// cos and sin [length, head_dim / 2] for positions 0..length-1 of a sequence of `length` tokens, times the
/// attention factor. Angles are float32 position times float32 inverse frequency, as the reference
/// implementations compute them.
struct RotaryTable {
  at::Tensor cos, sin;
};
RotaryTable rotary_table(const models::Architecture& architecture, int64_t length, const at::Device& device);

/// Causal attention of packed sequences. q [tokens, heads * head_dim], k and v [tokens, kv_heads * head_dim],
/// before rotary. Returns [tokens, heads * head_dim].
at::Tensor attention(const models::Architecture& architecture, const at::Tensor& q, const at::Tensor& k,
                     const at::Tensor& v, const SequenceLengths& lengths);

/// The linear with the site's activation quantizer already applied to x.
at::Tensor apply(const Linear& linear, const at::Tensor& x);

/// act(gate) * up.
at::Tensor gated(models::Activation activation, const at::Tensor& gate, const at::Tensor& up);

/// The site's input through its fake quantizer; per-tensor statistics are taken per sequence.
at::Tensor quantize_site(const at::Tensor& x, const ActivationQuantizer& quantizer,
                         const SequenceLengths& lengths);

/// [tokens, hidden] -> [tokens, hidden], one block.
at::Tensor run_block(const Model& model, const Block& block, const at::Tensor& x,
                     const SequenceLengths& lengths);

/// Hidden states after the final norm.
at::Tensor hidden_states(const Model& model, std::span<const int32_t> ids, const SequenceLengths& lengths);

}  // namespace qbench::engine::reference
