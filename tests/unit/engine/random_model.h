// A checkpoint without a file: any architecture, seeded weights. For tests and benchmarks of the engine.
#pragma once

#include <cmath>
#include <memory>
#include <random>
#include <string>

#include "harness/core/hash.h"
#include "harness/engine/model.h"
#include "harness/models/checkpoint.h"

namespace qbench::engine::testing {

class RandomCheckpoint final : public models::Checkpoint {
 public:
  RandomCheckpoint(models::Architecture architecture, uint64_t seed) : seed_(seed) {
    architecture_ = std::move(architecture);
  }

  /// Norm weights near 1, biases small, matrices with a spread that keeps activations of the order of 1.
  void read(std::string_view name, std::span<float> out) const override {
    std::mt19937_64 engine(std::hash<std::string_view>{}(name) ^ seed_);
    const bool norm = name.find("norm") != std::string_view::npos, bias = name.ends_with(".bias");
    const double spread = norm   ? 0.2
                          : bias ? 0.3
                                 : 1.2 / std::sqrt(static_cast<double>(architecture_.hidden_size));
    std::normal_distribution<float> draw(norm ? 1.0F : 0.0F, static_cast<float>(spread));
    for (float& value : out) value = draw(engine);
  }
  std::string content_hash() const override { return sha256_hex("random " + std::to_string(seed_)); }
  Json facts() const override { return {{"container", "random"}}; }

 private:
  uint64_t seed_;
};

inline models::Architecture small_architecture() {
  models::Architecture a;
  a.family = "llama";
  a.vocab_size = 77;
  a.hidden_size = 24;
  a.layers = 2;
  a.heads = 6;
  a.kv_heads = 2;
  a.head_dim = 8;
  a.intermediate_size = 40;
  a.max_position = 512;
  return a;
}

inline models::Architecture smollm_architecture(int64_t layers) {
  models::Architecture a;
  a.family = "llama";
  a.vocab_size = 49152;
  a.hidden_size = 576;
  a.layers = layers;
  a.heads = 9;
  a.kv_heads = 3;
  a.head_dim = 64;
  a.intermediate_size = 1536;
  a.max_position = 8192;
  a.rope.theta = 100000.0;
  a.tied_embeddings = true;
  return a;
}

inline std::unique_ptr<Model> random_model(const models::Architecture& architecture, uint64_t seed) {
  return Model::load(std::make_shared<RandomCheckpoint>(architecture, seed));
}

}  // namespace qbench::engine::testing
