// The public forward pass of model.h.
#include <ATen/ATen.h>

#include "harness/core/errors.h"
#include "harness/engine/model.h"
#include "harness/engine/reference.h"

namespace qbench::engine {
namespace {

at::Tensor attention_from_qkv(const Model& model, const Block& block, const at::Tensor& x, const SequenceLengths& lengths) {
  const at::Tensor q = reference::apply(block.linear(Role::kQ), x);
  const at::Tensor k = reference::apply(block.linear(Role::kK), x);
  const at::Tensor v = reference::apply(block.linear(Role::kV), x);
  return reference::attention(model.architecture(), q, k, v, lengths);
}

at::Tensor gated_product(const Model& model, const Block& block, const at::Tensor& x) {
  return reference::gated(model.architecture().activation, reference::apply(block.linear(Role::kGate), x),
                          reference::apply(block.linear(Role::kUp), x));
}

}  // namespace

at::Tensor embed(const Model& model, std::span<const int32_t> ids) {
  const int64_t vocab = model.embedding.size(0);
  at::Tensor index = at::empty({static_cast<int64_t>(ids.size())}, at::kLong);
  int64_t* out = index.data_ptr<int64_t>();
  for (size_t i = 0; i < ids.size(); ++i) {
    if (ids[i] < 0 || ids[i] >= vocab) {
      throw DataError("token id " + std::to_string(ids[i]) + " at position " + std::to_string(i) + " is outside the model's vocabulary of " +
                      std::to_string(vocab) + " entries. Use the tokenizer that belongs to the model.");
    }
    out[i] = ids[i];
  }
  return at::embedding(model.embedding, index.to(model.embedding.device()));
}

BlockCursor::BlockCursor(const Model& model, const Block& block, at::Tensor x, SequenceLengths lengths)
    : model_(&model), block_(&block), lengths_(std::move(lengths)), residual_(std::move(x)) {
  input_ = reference::rms_norm(residual_, block.attention_norm);
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
      residual_ = residual_ + reference::apply(block_->linear(Role::kO), x);
      input_ = reference::rms_norm(residual_, block_->mlp_norm);
      site_ = Site::kGateUpIn;
      break;
    case Site::kGateUpIn:
      input_ = gated_product(*model_, *block_, x);
      site_ = Site::kDownIn;
      break;
    case Site::kDownIn:
      residual_ = residual_ + reference::apply(block_->linear(Role::kDown), x);
      input_ = at::Tensor();
      done_ = true;
      break;
  }
}

const at::Tensor& BlockCursor::output() const {
  QB_CHECK(done_, "BlockCursor::output before the last site");
  return residual_;
}

at::Tensor run_block(const Model& model, const Block& block, const at::Tensor& x, const SequenceLengths& lengths) {
  return reference::run_block(model, block, x, lengths);
}

at::Tensor run_branch(const Model& model, const Block& block, Site site, const at::Tensor& input,
                      const SequenceLengths& lengths) {
  const at::Tensor x = reference::quantize_site(input, block.act(site), lengths);
  switch (site) {
    case Site::kQkvIn:
      return run_branch(model, block, Site::kOIn, attention_from_qkv(model, block, x, lengths), lengths);
    case Site::kOIn: return reference::apply(block.linear(Role::kO), x);
    case Site::kGateUpIn: return run_branch(model, block, Site::kDownIn, gated_product(model, block, x), lengths);
    case Site::kDownIn: return reference::apply(block.linear(Role::kDown), x);
  }
  QB_CHECK(false, "unknown site");
  return {};
}

at::Tensor hidden_states(const Model& model, std::span<const int32_t> ids, const SequenceLengths& lengths) {
  return reference::hidden_states(model, ids, lengths);
}

at::Tensor logits(const Model& model, const at::Tensor& hidden) { return at::linear(hidden, model.head); }

}  // namespace qbench::engine
