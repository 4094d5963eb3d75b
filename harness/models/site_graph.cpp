#include "harness/models/site_graph.h"

#include <fmt/format.h>

#include "harness/core/errors.h"

namespace qbench::models {

std::string_view role_name(Role role) {
  switch (role) {
    case Role::kQ:
      return "q_proj";
    case Role::kK:
      return "k_proj";
    case Role::kV:
      return "v_proj";
    case Role::kO:
      return "o_proj";
    case Role::kGate:
      return "gate_proj";
    case Role::kUp:
      return "up_proj";
    case Role::kDown:
      return "down_proj";
  }
  check_failed("role is known", "");
}

std::string_view site_name(Site site) {
  switch (site) {
    case Site::kQkvIn:
      return "qkv_in";
    case Site::kOIn:
      return "o_in";
    case Site::kGateUpIn:
      return "gateup_in";
    case Site::kDownIn:
      return "down_in";
  }
  check_failed("site is known", "");
}

std::vector<SiteSpec> site_graph(const Architecture& a) {
  const int64_t queries_per_value = a.kv_heads > 0 ? a.heads / a.kv_heads : 0;
  const bool one_to_one = queries_per_value == 1;  // each V row feeds exactly one channel of o_in
  const std::string shared =
      one_to_one ? "" : fmt::format("v_proj feeds {} query heads (GQA)", queries_per_value);
  return {
      {Site::kQkvIn, {Role::kQ, Role::kK, Role::kV}, Producer::kAttentionNorm, true, "", a.hidden_size},
      {Site::kOIn, {Role::kO}, Producer::kV, one_to_one, shared, a.q_size()},
      {Site::kGateUpIn, {Role::kGate, Role::kUp}, Producer::kMlpNorm, true, "", a.hidden_size},
      {Site::kDownIn, {Role::kDown}, Producer::kUp, true, "", a.intermediate_size},
  };
}

std::vector<LinearSpec> block_linears(const Architecture& a, int64_t layer) {
  const auto name = [&](std::string_view part, Role role) {
    return fmt::format("model.layers.{}.{}.{}", layer, part, role_name(role));
  };
  return {
      {Role::kQ, name("self_attn", Role::kQ), a.q_size(), a.hidden_size, a.q_bias},
      {Role::kK, name("self_attn", Role::kK), a.kv_size(), a.hidden_size, a.k_bias},
      {Role::kV, name("self_attn", Role::kV), a.kv_size(), a.hidden_size, a.v_bias},
      {Role::kO, name("self_attn", Role::kO), a.hidden_size, a.q_size(), a.o_bias},
      {Role::kGate, name("mlp", Role::kGate), a.intermediate_size, a.hidden_size, a.mlp_bias},
      {Role::kUp, name("mlp", Role::kUp), a.intermediate_size, a.hidden_size, a.mlp_bias},
      {Role::kDown, name("mlp", Role::kDown), a.hidden_size, a.intermediate_size, a.mlp_bias},
  };
}

}  // namespace qbench::models
