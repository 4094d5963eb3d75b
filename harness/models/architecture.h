// A model family as data: everything the one decoder implementation and the site graph need to know. No torch
// here.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace qbench::models {

enum class NormKind { kRms };  // others join with their families
enum class Activation { kSilu, kGelu, kGeluTanh, kRelu };
enum class RopeKind { kDefault, kLinear, kDynamic, kLlama3, kYarn };

/// Rotary position embedding, half-split layout. Frequencies and attention factor come from
/// rope_frequencies().
struct Rope {
  RopeKind kind = RopeKind::kDefault;
  double theta = 10000.0;
  double factor = 1.0;
  double low_freq_factor = 1.0, high_freq_factor = 4.0;  // llama3
  int64_t original_max_position = 0;                     // llama3, yarn, dynamic
  double beta_fast = 32.0, beta_slow = 1.0;              // yarn
  double attention_factor = 0.0;                         // yarn; 0 = derived
  double mscale = 0.0, mscale_all_dim = 0.0;             // yarn
  bool truncate = true;                                  // yarn
  std::vector<float>
      divisors;  ///< [head_dim / 2] divisors of the inverse frequencies (GGUF rope_freqs); empty = none
};

struct Architecture {
  std::string family;  ///< "llama"
  int64_t vocab_size = 0;
  int64_t hidden_size = 0;
  int64_t layers = 0;
  int64_t heads = 0;
  int64_t kv_heads = 0;
  int64_t head_dim = 0;
  int64_t intermediate_size = 0;
  int64_t max_position = 0;  ///< longest context the checkpoint declares
  NormKind norm = NormKind::kRms;
  double norm_eps = 1e-5;
  Activation activation = Activation::kSilu;
  Rope rope;
  bool tied_embeddings = false;
  bool q_bias = false, k_bias = false, v_bias = false, o_bias = false, mlp_bias = false;
  int64_t bos_id = -1, eos_id = -1;  ///< -1 = none declared

  int64_t q_size() const { return heads * head_dim; }
  int64_t kv_size() const { return kv_heads * head_dim; }
};

/// cos/sin inverse frequencies [head_dim / 2] and the factor on cos and sin, for a sequence of `length`
/// positions (only `dynamic` depends on it). Float32 arithmetic where the reference uses it.
struct RopeFrequencies {
  std::vector<float> inverse;
  float attention_factor = 1.0F;
};
RopeFrequencies rope_frequencies(const Architecture& architecture, int64_t length);

}  // namespace qbench::models
