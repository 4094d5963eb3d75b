#include "harness/engine/model.h"

#include <ATen/ATen.h>

#include <span>
#include <string>
#include <utility>
#include <vector>

#include "harness/core/errors.h"

namespace qbench::engine {
namespace {

at::Tensor read_tensor(const models::Checkpoint& checkpoint, const std::string& name,
                       std::vector<int64_t> shape) {
  at::Tensor tensor = at::empty(shape, at::kFloat);
  checkpoint.read(name, {tensor.data_ptr<float>(), static_cast<size_t>(tensor.numel())});
  return tensor;
}

std::string layer_prefix(int64_t layer) { return "model.layers." + std::to_string(layer); }

}  // namespace

std::unique_ptr<Model> Model::load(std::shared_ptr<const models::Checkpoint> checkpoint) {
  auto model = std::make_unique<Model>();
  const models::Architecture& a = checkpoint->architecture();
  model->checkpoint_ = checkpoint;
  model->sites_ = models::site_graph(a);
  model->embedding = read_tensor(*checkpoint, "model.embed_tokens.weight", {a.vocab_size, a.hidden_size});
  model->final_norm = {read_tensor(*checkpoint, "model.norm.weight", {a.hidden_size}), a.norm_eps};
  model->head = a.tied_embeddings ? model->embedding
                                  : read_tensor(*checkpoint, "lm_head.weight", {a.vocab_size, a.hidden_size});
  model->blocks.reserve(static_cast<size_t>(a.layers));
  for (int64_t layer = 0; layer < a.layers; ++layer) model->blocks.push_back(model->load_block(layer));
  return model;
}

Block Model::load_block(int64_t layer) const {
  const models::Architecture& a = architecture();
  QB_CHECK(layer >= 0 && layer < a.layers, "block " + std::to_string(layer));
  Block block;
  block.index = layer;
  const std::string prefix = layer_prefix(layer);
  block.attention_norm = {read_tensor(*checkpoint_, prefix + ".input_layernorm.weight", {a.hidden_size}),
                          a.norm_eps};
  block.mlp_norm = {read_tensor(*checkpoint_, prefix + ".post_attention_layernorm.weight", {a.hidden_size}),
                    a.norm_eps};
  for (const models::LinearSpec& spec : models::block_linears(a, layer)) {
    Linear& linear = block.linear(spec.role);
    linear.name = spec.name;
    linear.weight = read_tensor(*checkpoint_, spec.name + ".weight", {spec.out_features, spec.in_features});
    if (spec.bias) linear.bias = read_tensor(*checkpoint_, spec.name + ".bias", {spec.out_features});
  }
  return block;
}

void Model::restore() {
  // One block at a time: two whole models are never in memory together.
  for (Block& block : blocks) {
    const int64_t layer = block.index;
    block = Block{};
    block = load_block(layer);
  }
}

}  // namespace qbench::engine
