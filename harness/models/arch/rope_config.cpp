// The rotary keys of config.json, in the spelling of transformers 4 (rope_theta, rope_scaling) and 5
// (rope_parameters).
#include <fmt/format.h>

#include <array>
#include <limits>

#include "harness/core/errors.h"
#include "harness/models/arch/config_reader.h"
#include "harness/models/arch/family.h"

namespace qbench::models {
namespace {

constexpr double kHuge = 1e12;
constexpr int64_t kMaxContext = int64_t{1} << 40;

struct KindName {
  std::string_view name;
  RopeKind kind;
};
constexpr std::array kKinds = {KindName{"default", RopeKind::kDefault}, KindName{"linear", RopeKind::kLinear},
                               KindName{"dynamic", RopeKind::kDynamic}, KindName{"llama3", RopeKind::kLlama3},
                               KindName{"yarn", RopeKind::kYarn}};

void read_kind(ConfigReader& scaling, Rope& rope) {
  const std::string word = scaling.string("rope_type", scaling.string("type", "default"));
  for (const KindName& entry : kKinds) {
    if (entry.name == word) {
      rope.kind = entry.kind;
      return;
    }
  }
  std::vector<std::string> known;
  for (const KindName& entry : kKinds) known.emplace_back(entry.name);
  scaling.problem(
      fmt::format("rope_type: \"{}\" is not supported; expected default, linear, dynamic, llama3 or yarn.{}",
                  word, did_you_mean(word, known)));
}

void read_yarn(ConfigReader& scaling, Rope& rope, int64_t max_position) {
  const double ratio = static_cast<double>(max_position) /
                       static_cast<double>(std::max<int64_t>(rope.original_max_position, 1));
  rope.factor = scaling.number("factor", 1e-6, kHuge, ratio);
  rope.attention_factor = scaling.number("attention_factor", 0.0, kHuge, 0.0);
  // A zero means "not given", as in the reference.
  const double fast = scaling.number("beta_fast", 0.0, kHuge, 32.0),
               slow = scaling.number("beta_slow", 0.0, kHuge, 1.0);
  rope.beta_fast = fast == 0.0 ? 32.0 : fast;
  rope.beta_slow = slow == 0.0 ? 1.0 : slow;
  rope.mscale = scaling.number("mscale", -kHuge, kHuge, 0.0);
  rope.mscale_all_dim = scaling.number("mscale_all_dim", -kHuge, kHuge, 0.0);
  rope.truncate = scaling.boolean("truncate", true);
}

void read_scaling(ConfigReader& config, ConfigReader& scaling, Architecture& a) {
  Rope& rope = a.rope;
  read_kind(scaling, rope);
  if (scaling.has("rope_theta")) rope.theta = scaling.number("rope_theta", 1.0 + 1e-9, kHuge);
  if (scaling.number("partial_rotary_factor", 0.0, 1.0, 1.0) != 1.0) {
    scaling.problem("partial_rotary_factor: only full rotary embeddings are supported by this family");
  }
  // A top-level original_max_position_embeddings overrules the nested one.
  const int64_t nested = scaling.integer("original_max_position_embeddings", 1, kMaxContext, a.max_position);
  rope.original_max_position = config.integer("original_max_position_embeddings", 1, kMaxContext, nested);
  if (rope.kind == RopeKind::kDefault) {
    rope.original_max_position = 0;
  } else if (rope.kind == RopeKind::kYarn) {
    read_yarn(scaling, rope, a.max_position);
  } else {
    rope.factor = scaling.number("factor", 1e-6, kHuge);
  }
  if (rope.kind == RopeKind::kLlama3) {
    rope.low_freq_factor = scaling.number("low_freq_factor", 1e-6, kHuge);
    rope.high_freq_factor = scaling.number("high_freq_factor", 1e-6, kHuge);
    if (rope.low_freq_factor == rope.high_freq_factor)
      scaling.problem("low_freq_factor equals high_freq_factor");
  }
  if (rope.kind == RopeKind::kDynamic && a.head_dim <= 2)
    scaling.problem("dynamic scaling needs a head_dim above 2");
}

OrderedJson scaling_json(const Rope& rope) {
  OrderedJson out;
  out["rope_type"] = rope_kind_name(rope.kind);
  if (rope.kind == RopeKind::kDefault) return out;
  out["factor"] = rope.factor;
  if (rope.kind == RopeKind::kLlama3) {
    out["low_freq_factor"] = rope.low_freq_factor;
    out["high_freq_factor"] = rope.high_freq_factor;
  }
  if (rope.kind == RopeKind::kLlama3 || rope.kind == RopeKind::kYarn) {
    out["original_max_position_embeddings"] = rope.original_max_position;
  }
  if (rope.kind == RopeKind::kYarn) {
    out["beta_fast"] = rope.beta_fast;
    out["beta_slow"] = rope.beta_slow;
    if (rope.attention_factor != 0.0) out["attention_factor"] = rope.attention_factor;
    if (rope.mscale != 0.0) out["mscale"] = rope.mscale;
    if (rope.mscale_all_dim != 0.0) out["mscale_all_dim"] = rope.mscale_all_dim;
    if (!rope.truncate) out["truncate"] = false;
  }
  return out;
}

}  // namespace

std::string_view rope_kind_name(RopeKind kind) {
  for (const KindName& entry : kKinds) {
    if (entry.kind == kind) return entry.name;
  }
  check_failed("rope kind is known", "");
}

void read_rope(ConfigReader& config, Architecture& architecture) {
  architecture.rope.theta = config.number("rope_theta", 1.0 + 1e-9, kHuge, 10000.0);
  const OrderedJson* scaling = config.object("rope_scaling");
  const char* prefix = "rope_scaling.";
  if (scaling == nullptr || scaling->empty()) {
    scaling = config.object("rope_parameters");
    prefix = "rope_parameters.";
  } else if (const OrderedJson* parameters = config.object("rope_parameters");
             parameters != nullptr && !config.has("rope_theta") && parameters->contains("rope_theta")) {
    ConfigReader nested(config, *parameters, "rope_parameters.");
    architecture.rope.theta = nested.number("rope_theta", 1.0 + 1e-9, kHuge);
  }
  if (scaling == nullptr) return;
  ConfigReader reader(config, *scaling, prefix);
  read_scaling(config, reader, architecture);
}

void write_rope(const Architecture& architecture, OrderedJson& json) {
  const Rope& rope = architecture.rope;
  if (!rope.divisors.empty()) {
    throw DataError(
        "config.json cannot express this model's rotary frequencies (a rope_freqs tensor that follows no "
        "known "
        "scaling rule); it can be evaluated but not written as a Hugging Face folder");
  }
  json["rope_theta"] = rope.theta;
  OrderedJson scaling = scaling_json(rope);
  json["rope_scaling"] = rope.kind == RopeKind::kDefault ? OrderedJson() : scaling;
  scaling["rope_theta"] = rope.theta;
  json["rope_parameters"] = scaling;
}

}  // namespace qbench::models
