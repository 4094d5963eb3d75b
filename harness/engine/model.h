// A decoder held as float32 tensors, and the one forward pass that every family shares.
#pragma once

#include <ATen/core/Tensor.h>

#include <array>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "harness/core/lanes.h"
#include "harness/models/checkpoint.h"
#include "harness/models/site_graph.h"

namespace qbench::engine {

using models::Role;
using models::Site;

struct Linear {
  std::string name;   ///< "model.layers.3.self_attn.q_proj"
  at::Tensor weight;  ///< [out, in] float32, contiguous
  at::Tensor bias;    ///< [out] float32 or undefined
  int64_t out_features() const { return weight.size(0); }
  int64_t in_features() const { return weight.size(1); }
};

struct Norm {
  at::Tensor weight;  ///< [hidden]
  double eps = 1e-5;
};

/// Fake quantizer of a site's tensor, dynamic, applied once per site before its linears read it.
struct ActivationQuantizer {
  int64_t bits = 16;  ///< 16 = off
  bool per_token = true;
  bool symmetric = true;
  bool enabled() const { return bits < 16; }
};

/// Fake-quantized copy of x [..., features]. Symmetric: max(absmax, 1e-5) / (2^(b-1) - 1), half to even
/// (SmoothQuant). Asymmetric: the range is widened to hold 0, step = max(range, 1e-5) / (2^b - 1), rounded
/// zero point, codes clamped.
at::Tensor quantize_activation(const at::Tensor& x, const ActivationQuantizer& quantizer);

struct Block {
  int64_t index = 0;
  Norm attention_norm, mlp_norm;
  std::array<Linear, models::kAllRoles.size()> linears;
  std::array<ActivationQuantizer, models::kAllSites.size()> activation;

  Linear& linear(Role role) { return linears[static_cast<size_t>(role)]; }
  const Linear& linear(Role role) const { return linears[static_cast<size_t>(role)]; }
  ActivationQuantizer& act(Site site) { return activation[static_cast<size_t>(site)]; }
  const ActivationQuantizer& act(Site site) const { return activation[static_cast<size_t>(site)]; }
};

class Model {
 public:
  /// Loads every tensor. @throws DataError.
  static std::unique_ptr<Model> load(std::shared_ptr<const models::Checkpoint> checkpoint);

  const models::Architecture& architecture() const { return checkpoint_->architecture(); }
  const models::Checkpoint& checkpoint() const { return *checkpoint_; }
  const std::vector<models::SiteSpec>& sites() const { return sites_; }

  /// A fresh, unquantized copy of one block from the file (tensors are owned by the caller).
  Block load_block(int64_t layer) const;
  /// Puts every block back to the file's weights.
  void restore();

  at::Tensor embedding;  ///< [vocab, hidden]
  std::vector<Block> blocks;
  Norm final_norm;
  at::Tensor head;  ///< [vocab, hidden]; the same tensor as `embedding` when tied

 private:
  std::shared_ptr<const models::Checkpoint> checkpoint_;
  std::vector<models::SiteSpec> sites_;
};

/// x [..., in] -> [..., out] = x weight^T (+ bias). The program's one matrix product for linears: the sum
/// over `in` runs in order, so a row's result does not depend on the other rows.
at::Tensor project(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias = {});

/// Lengths of the sequences packed one after the other in a [tokens, ...] tensor; each starts at position 0.
using SequenceLengths = std::vector<int64_t>;

/// ids -> [tokens, hidden].
at::Tensor embed(const Model& model, std::span<const int32_t> ids);

/// Walks one block site by site, so that a caller can look at a site's input and replace the linears that
/// read it before they run ("true sequential" for the price of one pass):
///   for (BlockCursor c(model, block, x, lengths); !c.done(); c.advance()) { c.site(); c.input(); ... } then
///   c.output().
/// The block and model must outlive the cursor; linears may be changed between calls.
class BlockCursor {
 public:
  BlockCursor(const Model& model, const Block& block, at::Tensor x, SequenceLengths lengths);
  bool done() const { return done_; }
  Site site() const { return site_; }
  /// [tokens, width of the site], before the site's activation quantizer.
  const at::Tensor& input() const { return input_; }
  /// Runs the linears of this site (with its activation quantizer) and moves on.
  void advance();
  /// [tokens, hidden]; only when done().
  const at::Tensor& output() const;

 private:
  const Model* model_;
  const Block* block_;
  SequenceLengths lengths_;
  at::Tensor residual_, input_;
  Site site_ = Site::kQkvIn;
  bool done_ = false;
};

/// The whole block at once (the fast path; agrees with the cursor to float32 rounding).
at::Tensor run_block(const Model& model, const Block& block, const at::Tensor& x,
                     const SequenceLengths& lengths);

/// run_block over many independent samples, each [tokens, hidden] and replaced by its output, one sample per
/// lane.
void run_block_samples(const Model& model, const Block& block, std::span<at::Tensor> samples,
                       const Lanes& lanes);

/// What the branch adds to the residual stream, from a site's input on: kQkvIn and kOIn -> attention output
/// (o_proj), kGateUpIn and kDownIn -> mlp output (down_proj). AWQ's "inspected module" for qkv and gate/up.
at::Tensor run_branch(const Model& model, const Block& block, Site site, const at::Tensor& input,
                      const SequenceLengths& lengths);

/// Hidden states after the final norm for packed sequences: [tokens, hidden].
at::Tensor hidden_states(const Model& model, std::span<const int32_t> ids, const SequenceLengths& lengths);
/// [rows, vocab] logits of final hidden rows.
at::Tensor logits(const Model& model, const at::Tensor& hidden);

/// What computes on this machine, for the environment of a run: {"kernels": "avx512", "strip_tokens": 16,
/// ...}.
Json engine_info();

}  // namespace qbench::engine
