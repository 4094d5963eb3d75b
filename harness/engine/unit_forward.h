// The forward pass of one unit of work on the CPU kernels: one thread, activations in strips (see
// kernels/kernels.h).
#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <span>
#include <vector>

#include "harness/engine/arena.h"
#include "harness/engine/attention_plan.h"
#include "harness/engine/kernels/kernels.h"
#include "harness/engine/model.h"
#include "harness/engine/packing.h"

namespace qbench::engine {

/// Are all tensors of the block float32 on the CPU, as the kernels need them?
bool kernels_apply(const Block& block);

/// A contiguous float32 view of a tensor; keeps it (or its contiguous copy) alive. Null data for an undefined
/// tensor.
class FloatView {
 public:
  explicit FloatView(const at::Tensor& tensor);
  const float* data() const { return data_; }

 private:
  at::Tensor kept_;
  const float* data_ = nullptr;
};

/// Rotated keys and values of some tokens in every layer: [layer][strip][k rows | v rows][16].
class KeyStore {
 public:
  KeyStore(const models::Architecture& architecture, int64_t strips);
  float* layer(int64_t index) { return data_.data_ptr<float>() + index * layer_floats_; }
  kernels::KeySource source(int64_t layer) const;
  int64_t strips() const { return strips_; }
  static int64_t floats_per_token(const models::Architecture& architecture);

 private:
  int64_t strips_, kv_rows_, layer_floats_;
  at::Tensor data_;
};

/// cos and sin of the tokens of some strips, [strips][head_dim / 2][16].
struct RotaryStrips {
  float *cos, *sin;
};
/// @param positions    [strips * 16]
/// @param rope_length  [strips * 16], 0 where frequencies do not depend on the length
RotaryStrips rotary_strips(const models::Architecture& architecture, std::span<const int64_t> positions,
                           std::span<const int64_t> rope_lengths, Arena& arena);

/// Buffers and tables of one unit; layers run one after the other on the same buffers.
class UnitForward {
 public:
  /// `earlier` holds the key stores of the units before this one (null where none was kept).
  UnitForward(const models::Architecture& architecture, std::span<const Unit> units, int32_t index,
              std::span<const std::shared_ptr<KeyStore>> earlier, Arena& arena);

  int64_t tokens() const { return tokens_; }
  int64_t strips() const { return strips_; }
  /// The residual stream, [strips][hidden][16].
  float* hidden() { return hidden_; }

  /// Fills the residual stream with embedding rows. @throws DataError (id outside the vocabulary).
  void embed(const at::Tensor& embedding);
  /// Runs one block on the residual stream. `keep` receives this unit's keys and values (may be null).
  void run_block(const Block& block, KeyStore* keep);

  // The parts of a block, for callers that stop at sites. All pointers are strips.
  /// Projections, rotary and attention: x [hidden] -> out [heads * head_dim].
  void attend(const Block& block, const float* x, float* out, KeyStore* keep);
  void quantize(float* x, int64_t rows, const ActivationQuantizer& quantizer);

 private:
  void mlp(const Block& block);

  const models::Architecture& architecture_;
  std::span<const Unit> units_;
  int32_t index_;
  std::span<const std::shared_ptr<KeyStore>> earlier_;
  AttentionPlan plan_;
  int64_t tokens_, strips_;
  Arena& arena_;
  RotaryStrips rotary_{};
  float *hidden_, *normed_, *qkv_, *mixed_, *gated_, *scratch_, *ranges_;
  int64_t gated_strips_ = 0;
};

/// x * weight^T (+ bias), strips in, strips out (written from `out` on, `out_rows` features per strip).
void apply_linear(const Linear& linear, const float* x, int64_t strips, float* out, int64_t out_rows,
                  bool add);

/// act(gate) * up.
void apply_gated(const Linear& gate, const Linear& up, models::Activation activation, const float* x,
                 int64_t strips, float* out);

/// Fake quantization in place. Per token needs no segments; per tensor takes one range per segment.
/// @param ranges  scratch, 4 * strips * 16 floats
void quantize_strips(std::span<const Segment> segments, float* x, int64_t rows, int64_t strips,
                     const ActivationQuantizer& quantizer, float* ranges);

/// A unit that holds packed sequences one after the other, without tokens.
Unit unit_of_lengths(const models::Architecture& architecture, const SequenceLengths& lengths);

/// Length that rotary frequencies of a sequence depend on: 0 for all but dynamic scaling beyond the original
/// length.
int64_t rope_length_of(const models::Architecture& architecture, int64_t length);

}  // namespace qbench::engine
