// THE list of model families.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>

#include "harness/core/errors.h"
#include "harness/models/arch/family.h"

namespace qbench::models {

const Family& llama_family();    // llama.cpp
const Family& mistral_family();  // llama.cpp
const Family& qwen2_family();    // llama.cpp

std::span<const Family* const> families() {
  static const std::array list = {&llama_family(), &mistral_family(), &qwen2_family()};
  return list;
}

namespace {

const Family& find_family(const std::string& name, const std::string& where, std::string_view key,
                          std::string_view Family::*field) {
  std::vector<std::string> known;
  for (const Family* family : families()) {
    const std::string_view candidate = family->*field;
    if (candidate.empty()) continue;
    if (candidate == name) return *family;
    known.emplace_back(candidate);
  }
  throw DataError(fmt::format(
      "{}: {} \"{}\" is not supported; supported are {}.{} `qbench describe architectures` says more.", where,
      key, name, fmt::join(known, ", "), did_you_mean(name, known)));
}

std::string with_layer(std::string_view pattern, int64_t layer) {
  std::string name(pattern);
  if (const size_t at = name.find("{}"); at != std::string::npos) name.replace(at, 2, std::to_string(layer));
  return name;
}

int64_t size_of(Dim dim, const Architecture& a) {
  switch (dim) {
    case Dim::kVocab:
      return a.vocab_size;
    case Dim::kHidden:
      return a.hidden_size;
    case Dim::kQ:
      return a.q_size();
    case Dim::kKv:
      return a.kv_size();
    case Dim::kIntermediate:
      return a.intermediate_size;
    case Dim::kNone:
      break;
  }
  check_failed("dimension has a size", a.family);
}

ExpectedTensor expect(const TensorTemplate& t, const Architecture& a, int64_t layer) {
  ExpectedTensor out{with_layer(t.name, layer), with_layer(t.gguf, layer), {size_of(t.rows, a)}, t.heads};
  if (t.columns != Dim::kNone) out.shape.push_back(size_of(t.columns, a));
  return out;
}

}  // namespace

const Family& family_of_model_type(const std::string& model_type, const std::string& where) {
  return find_family(model_type, where, "model_type", &Family::model_type);
}

const Family& family_of_gguf(const std::string& gguf_architecture, const std::string& where) {
  return find_family(gguf_architecture, where, "general.architecture", &Family::gguf_architecture);
}

std::vector<ExpectedTensor> expected_tensors(const Family& family, const Architecture& a) {
  // Templates are listed as: before the blocks, per block ("{}"), after the blocks.
  const auto per_block = [](const TensorTemplate& t) { return t.name.find("{}") != std::string_view::npos; };
  const auto wanted = [&](const TensorTemplate& t) { return t.present == nullptr || t.present(a); };
  const auto first = std::ranges::find_if(family.tensors, per_block);
  const auto last = std::find_if_not(first, family.tensors.end(), per_block);
  std::vector<ExpectedTensor> out;
  const auto add = [&](auto begin, auto end, int64_t layer) {
    for (auto it = begin; it != end; ++it) {
      if (wanted(*it)) out.push_back(expect(*it, a, layer));
    }
  };
  add(family.tensors.begin(), first, 0);
  for (int64_t layer = 0; layer < a.layers; ++layer) add(first, last, layer);
  add(last, family.tensors.end(), 0);
  return out;
}

bool is_ignored(const Family& family, std::string_view name) {
  return std::ranges::any_of(family.ignored, [&](std::string_view end) { return name.ends_with(end); });
}

std::string_view activation_name(Activation activation) {
  switch (activation) {
    case Activation::kSilu:
      return "silu";
    case Activation::kGelu:
      return "gelu";
    case Activation::kGeluTanh:
      return "gelu_pytorch_tanh";
    case Activation::kRelu:
      return "relu";
  }
  check_failed("activation is known", "");
}

void check_architecture(const Architecture& a, std::vector<std::string>& problems) {
  const auto bounded = [&](const char* what, int64_t value, int64_t hi) {
    if (value < 1 || value > hi)
      problems.push_back(fmt::format("{} is {}; expected 1 to {}", what, value, hi));
  };
  bounded("vocabulary size", a.vocab_size, int64_t{1} << 26);
  bounded("hidden size", a.hidden_size, int64_t{1} << 20);
  bounded("number of layers", a.layers, 8192);
  bounded("number of heads", a.heads, int64_t{1} << 16);
  bounded("number of key/value heads", a.kv_heads, int64_t{1} << 16);
  bounded("head_dim", a.head_dim, int64_t{1} << 16);
  bounded("intermediate size", a.intermediate_size, int64_t{1} << 24);
  bounded("longest context", a.max_position, int64_t{1} << 40);
  if (a.kv_heads > 0 && a.heads % a.kv_heads != 0) {
    problems.push_back(fmt::format("{} heads are no multiple of {} key/value heads", a.heads, a.kv_heads));
  }
  if (a.head_dim % 2 != 0)
    problems.push_back(fmt::format("head_dim {} is odd; rotary embeddings need an even one", a.head_dim));
}

Json architecture_json(const Architecture& a) {
  const Rope& r = a.rope;
  return {
      {"family", a.family},
      {"vocab_size", a.vocab_size},
      {"hidden_size", a.hidden_size},
      {"layers", a.layers},
      {"heads", a.heads},
      {"kv_heads", a.kv_heads},
      {"head_dim", a.head_dim},
      {"intermediate_size", a.intermediate_size},
      {"max_position", a.max_position},
      {"norm", "rms"},
      {"norm_eps", a.norm_eps},
      {"activation", activation_name(a.activation)},
      {"tied_embeddings", a.tied_embeddings},
      {"biases", {{"q", a.q_bias}, {"k", a.k_bias}, {"v", a.v_bias}, {"o", a.o_bias}, {"mlp", a.mlp_bias}}},
      {"bos_id", a.bos_id},
      {"eos_id", a.eos_id},
      {"rope",
       {{"kind", rope_kind_name(r.kind)},
        {"theta", r.theta},
        {"factor", r.factor},
        {"low_freq_factor", r.low_freq_factor},
        {"high_freq_factor", r.high_freq_factor},
        {"original_max_position", r.original_max_position},
        {"beta_fast", r.beta_fast},
        {"beta_slow", r.beta_slow},
        {"attention_factor", r.attention_factor},
        {"mscale", r.mscale},
        {"mscale_all_dim", r.mscale_all_dim},
        {"truncate", r.truncate},
        {"divisors", r.divisors}}}};
}

}  // namespace qbench::models
