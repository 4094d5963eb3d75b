// The Llama family: RMSNorm before attention and MLP, rotary positions over the whole head (half-split),
// grouped queries, gated MLP. Mistral (without its sliding window) and Qwen2 (biases on q, k, v) are the same
// decoder with other defaults.
#include <fmt/format.h>

#include <array>
#include <utility>

#include "harness/core/errors.h"
#include "harness/models/arch/family.h"

namespace qbench::models {
namespace {

using A = const Architecture&;
bool q_bias(A a) { return a.q_bias; }
bool k_bias(A a) { return a.k_bias; }
bool v_bias(A a) { return a.v_bias; }
bool o_bias(A a) { return a.o_bias; }
bool mlp_bias(A a) { return a.mlp_bias; }
bool untied(A a) { return !a.tied_embeddings; }

constexpr Dim V = Dim::kVocab, H = Dim::kHidden, Q = Dim::kQ, K = Dim::kKv, I = Dim::kIntermediate,
              kVector = Dim::kNone;

constexpr std::array kTensors = {
    TensorTemplate{"model.embed_tokens.weight", "token_embd.weight", V, H, nullptr},
    TensorTemplate{"model.layers.{}.input_layernorm.weight", "blk.{}.attn_norm.weight", H, kVector, nullptr},
    TensorTemplate{"model.layers.{}.self_attn.q_proj.weight", "blk.{}.attn_q.weight", Q, H, nullptr,
                   HeadRows::kQuery},
    TensorTemplate{"model.layers.{}.self_attn.q_proj.bias", "blk.{}.attn_q.bias", Q, kVector, q_bias,
                   HeadRows::kQuery},
    TensorTemplate{"model.layers.{}.self_attn.k_proj.weight", "blk.{}.attn_k.weight", K, H, nullptr,
                   HeadRows::kKey},
    TensorTemplate{"model.layers.{}.self_attn.k_proj.bias", "blk.{}.attn_k.bias", K, kVector, k_bias,
                   HeadRows::kKey},
    TensorTemplate{"model.layers.{}.self_attn.v_proj.weight", "blk.{}.attn_v.weight", K, H, nullptr},
    TensorTemplate{"model.layers.{}.self_attn.v_proj.bias", "blk.{}.attn_v.bias", K, kVector, v_bias},
    TensorTemplate{"model.layers.{}.self_attn.o_proj.weight", "blk.{}.attn_output.weight", H, Q, nullptr},
    TensorTemplate{"model.layers.{}.self_attn.o_proj.bias", "blk.{}.attn_output.bias", H, kVector, o_bias},
    TensorTemplate{"model.layers.{}.post_attention_layernorm.weight", "blk.{}.ffn_norm.weight", H, kVector,
                   nullptr},
    TensorTemplate{"model.layers.{}.mlp.gate_proj.weight", "blk.{}.ffn_gate.weight", I, H, nullptr},
    TensorTemplate{"model.layers.{}.mlp.gate_proj.bias", "blk.{}.ffn_gate.bias", I, kVector, mlp_bias},
    TensorTemplate{"model.layers.{}.mlp.up_proj.weight", "blk.{}.ffn_up.weight", I, H, nullptr},
    TensorTemplate{"model.layers.{}.mlp.up_proj.bias", "blk.{}.ffn_up.bias", I, kVector, mlp_bias},
    TensorTemplate{"model.layers.{}.mlp.down_proj.weight", "blk.{}.ffn_down.weight", H, I, nullptr},
    TensorTemplate{"model.layers.{}.mlp.down_proj.bias", "blk.{}.ffn_down.bias", H, kVector, mlp_bias},
    TensorTemplate{"model.norm.weight", "output_norm.weight", H, kVector, nullptr},
    TensorTemplate{"lm_head.weight", "output.weight", V, H, untied},
};

// Buffers that old checkpoints stored; the frequencies follow from the config.
constexpr std::array<std::string_view, 3> kIgnored = {"rotary_emb.inv_freq", "rotary_emb.cos_cached",
                                                      "rotary_emb.sin_cached"};

constexpr int64_t kBig = int64_t{1} << 40;

Activation read_activation(ConfigReader& config) {
  const std::string word = config.string("hidden_act", "silu");
  static const std::vector<std::pair<std::string, Activation>> known = {
      {"silu", Activation::kSilu},         {"swish", Activation::kSilu},
      {"gelu", Activation::kGelu},         {"relu", Activation::kRelu},
      {"gelu_new", Activation::kGeluTanh}, {"gelu_pytorch_tanh", Activation::kGeluTanh}};
  std::vector<std::string> names;
  for (const auto& [name, activation] : known) {
    if (name == word) return activation;
    names.push_back(name);
  }
  config.problem(
      fmt::format("hidden_act: \"{}\" is not supported; expected silu, gelu, gelu_pytorch_tanh or relu.{}",
                  word, did_you_mean(word, names)));
  return Activation::kSilu;
}

struct ConfigDefaults {
  int64_t max_position;
  double norm_eps;
  double rope_theta;
  int64_t bos_id, eos_id;
  int64_t kv_heads;  ///< 0 = as many as heads
};

void read_decoder(ConfigReader& c, Architecture& a, const ConfigDefaults& defaults) {
  a.vocab_size = c.integer("vocab_size", 1, kBig);
  a.hidden_size = c.integer("hidden_size", 1, kBig);
  a.layers = c.integer("num_hidden_layers", 1, kBig);
  a.heads = c.integer("num_attention_heads", 1, kBig);
  a.kv_heads =
      c.integer("num_key_value_heads", 1, kBig, defaults.kv_heads == 0 ? a.heads : defaults.kv_heads);
  a.intermediate_size = c.integer("intermediate_size", 1, kBig);
  a.max_position = c.integer("max_position_embeddings", 1, kBig, defaults.max_position);
  if (!c.has("head_dim") && a.hidden_size % a.heads != 0) {
    c.problem(fmt::format("hidden_size {} is no multiple of {} heads and head_dim is not given",
                          a.hidden_size, a.heads));
  }
  a.head_dim = c.integer("head_dim", 1, kBig, a.hidden_size / a.heads);
  a.norm_eps = c.number("rms_norm_eps", 0.0, 1.0, defaults.norm_eps);
  a.activation = read_activation(c);
  a.tied_embeddings = c.boolean("tie_word_embeddings", false);
  a.bos_id = c.token_id("bos_token_id", defaults.bos_id);
  a.eos_id = c.token_id("eos_token_id", defaults.eos_id);
  a.rope.theta = defaults.rope_theta;
  read_rope(c, a);
}

void read_llama(ConfigReader& c, Architecture& a) {
  read_decoder(c, a, {2048, 1e-6, 10000.0, 1, 2, 0});
  a.q_bias = a.k_bias = a.v_bias = a.o_bias = c.boolean("attention_bias", false);
  a.mlp_bias = c.boolean("mlp_bias", false);
}

void refuse_window(ConfigReader& c, const Architecture& a, std::string_view family) {
  const int64_t window = c.integer("sliding_window", 1, kBig, kBig);
  if (window < a.max_position) {
    c.problem(fmt::format(
        "sliding_window: {} of {} positions is not supported for {} yet; only full attention (null) is",
        window, a.max_position, family));
  }
}

void read_mistral(ConfigReader& c, Architecture& a) {
  read_decoder(c, a, {4096 * 32, 1e-6, 10000.0, 1, 2, 8});
  refuse_window(c, a, "mistral");
}

void read_qwen2(ConfigReader& c, Architecture& a) {
  read_decoder(c, a, {32768, 1e-6, 10000.0, -1, -1, 32});
  a.q_bias = a.k_bias = a.v_bias = true;
  if (c.boolean("use_sliding_window", false)) refuse_window(c, a, "qwen2");
}

void write_llama(A a, OrderedJson& json) {
  if (a.q_bias != a.k_bias || a.q_bias != a.v_bias || a.q_bias != a.o_bias) {
    throw DataError(
        "config.json of the llama family cannot express biases on only some of q, k, v and o; the model can "
        "be "
        "evaluated but not written as a Hugging Face folder");
  }
  json["attention_bias"] = a.q_bias;
  json["mlp_bias"] = a.mlp_bias;
}

void write_mistral(A, OrderedJson& json) { json["sliding_window"] = nullptr; }

void write_qwen2(A, OrderedJson& json) {
  json["use_sliding_window"] = false;
  json["sliding_window"] = nullptr;
}

/// general.architecture names the prefix of all keys.
void read_gguf_decoder(const GgufFile& file, Architecture& a) {
  const std::string prefix = file.string("general.architecture") + ".";
  const auto refuse = [&](const std::string& key, const std::string& what) {
    throw DataError(fmt::format("{}: {}{}: {}", file.path().string(), prefix, key, what));
  };
  const auto integer = [&](const char* key) { return file.integer(prefix + key); };
  const auto maybe = [&](const char* key) { return file.maybe_integer(prefix + key); };
  a.layers = integer("block_count");
  a.max_position = integer("context_length");
  a.hidden_size = integer("embedding_length");
  a.intermediate_size = integer("feed_forward_length");
  a.heads = integer("attention.head_count");
  a.kv_heads = maybe("attention.head_count_kv").value_or(a.heads);
  if (a.heads < 1) refuse("attention.head_count", fmt::format("found {}; expected at least 1", a.heads));
  a.head_dim = maybe("attention.key_length").value_or(a.hidden_size / a.heads);
  if (const auto value = maybe("attention.value_length"); value && *value != a.head_dim) {
    refuse("attention.value_length", fmt::format("found {}; expected the key length {}", *value, a.head_dim));
  }
  if (const auto rotary = maybe("rope.dimension_count"); rotary && *rotary != a.head_dim) {
    refuse("rope.dimension_count",
           fmt::format("found {}; only rotary embeddings over the whole head ({}) are supported", *rotary,
                       a.head_dim));
  }
  if (const auto experts = maybe("expert_count"); experts && *experts > 0) {
    refuse("expert_count", fmt::format("found {}; mixture-of-experts models are not supported", *experts));
  }
  if (const auto window = maybe("attention.sliding_window");
      window && *window > 0 && *window < a.max_position) {
    refuse("attention.sliding_window", fmt::format("found {}; only full attention is supported", *window));
  }
  a.norm_eps = file.number(prefix + "attention.layer_norm_rms_epsilon");
}

void read_gguf_rope(const GgufFile& file, Architecture& a) {
  const std::string prefix = file.string("general.architecture") + ".rope.";
  const auto number = [&](const char* key, double fallback) {
    return file.maybe_number(prefix + key).value_or(fallback);
  };
  Rope& rope = a.rope;
  rope.theta = number("freq_base", 10000.0);
  const double linear = number("scale_linear", 1.0);  // the spelling of early files
  const std::string kind =
      file.maybe_string(prefix + "scaling.type").value_or(linear == 1.0 ? "none" : "linear");
  rope.factor = number("scaling.factor", linear);
  rope.original_max_position =
      file.maybe_integer(prefix + "scaling.original_context_length").value_or(a.max_position);
  if (kind == "none" || (kind == "linear" && rope.factor == 1.0)) {
    rope.factor = 1.0;
    rope.original_max_position = 0;
  } else if (kind == "linear") {
    rope.kind = RopeKind::kLinear;
    rope.original_max_position = 0;
  } else if (kind == "yarn") {
    rope.kind = RopeKind::kYarn;
    rope.beta_fast = number("scaling.yarn_beta_fast", 32.0);
    rope.beta_slow = number("scaling.yarn_beta_slow", 1.0);
  } else {
    throw DataError(fmt::format("{}: {}scaling.type: \"{}\" is not supported; expected none, linear or yarn",
                                file.path().string(), prefix, kind));
  }
  if (!(rope.theta > 1.0) || !(rope.factor > 0.0) || rope.original_max_position < 0) {
    throw DataError(fmt::format("{}: {}freq_base {} and scaling factor {} make no rotary embedding",
                                file.path().string(), prefix, rope.theta, rope.factor));
  }
}

/// Sizes and flags that a GGUF file states through its tensors.
void read_gguf_llama(const GgufFile& file, Architecture& a) {
  read_gguf_decoder(file, a);
  read_gguf_rope(file, a);
  const GgufTensor* embedding = file.find_tensor("token_embd.weight");
  if (embedding == nullptr)
    throw DataError(fmt::format("{}: tensor \"token_embd.weight\" is missing", file.path().string()));
  a.vocab_size = embedding->shape.front();
  const auto stored = [&](const char* name) { return file.find_tensor(name) != nullptr; };
  a.tied_embeddings = !stored("output.weight");
  a.q_bias = stored("blk.0.attn_q.bias");
  a.k_bias = stored("blk.0.attn_k.bias");
  a.v_bias = stored("blk.0.attn_v.bias");
  a.o_bias = stored("blk.0.attn_output.bias");
  a.mlp_bias = stored("blk.0.ffn_up.bias");
  a.bos_id = file.maybe_integer("tokenizer.ggml.bos_token_id").value_or(-1);
  a.eos_id = file.maybe_integer("tokenizer.ggml.eos_token_id").value_or(-1);
}

}  // namespace

const Family& llama_family() {
  static const Family family = {"llama",
                                "LlamaForCausalLM",
                                "Llama 1-3, SmolLM, TinyLlama and other models of that layout",
                                "llama",
                                true,
                                kTensors,
                                kIgnored,
                                read_llama,
                                read_gguf_llama,
                                write_llama};
  return family;
}

const Family& mistral_family() {
  // Mistral GGUF files call themselves "llama".
  static const Family family = {"mistral",
                                "MistralForCausalLM",
                                "Mistral with full attention",
                                "",
                                false,
                                kTensors,
                                kIgnored,
                                read_mistral,
                                nullptr,
                                write_mistral};
  return family;
}

const Family& qwen2_family() {
  static const Family family = {"qwen2",
                                "Qwen2ForCausalLM",
                                "Qwen 2 and 2.5 with full attention",
                                "qwen2",
                                false,
                                kTensors,
                                kIgnored,
                                read_qwen2,
                                read_gguf_llama,
                                write_qwen2};
  return family;
}

}  // namespace qbench::models
