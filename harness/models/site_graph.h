// The site graph: which linears share an input, what produces that input, and what may be folded where.
// Methods work on sites and roles, never on tensor names.
#pragma once

#include <array>
#include <string>
#include <string_view>
#include <vector>

#include "harness/models/architecture.h"

namespace qbench::models {

/// The linears of a decoder block, in execution order.
enum class Role { kQ, kK, kV, kO, kGate, kUp, kDown };
inline constexpr std::array kAllRoles = {Role::kQ,    Role::kK,  Role::kV,   Role::kO,
                                         Role::kGate, Role::kUp, Role::kDown};

/// Tensors of a block that feed linears, in execution order.
enum class Site { kQkvIn, kOIn, kGateUpIn, kDownIn };
inline constexpr std::array kAllSites = {Site::kQkvIn, Site::kOIn, Site::kGateUpIn, Site::kDownIn};

std::string_view role_name(Role role);  ///< "q_proj", "down_proj", ...
std::string_view site_name(Site site);  ///< "qkv_in", ...

/// What produces a site's tensor, hence where a per-channel scale can be folded.
enum class Producer {
  kAttentionNorm,  ///< scale folds into the norm's weight
  kMlpNorm,
  kV,   ///< o_in = attention over V: folds into V's rows when every V row has exactly one o_in channel (MHA)
  kUp,  ///< down_in = act(gate) * up: folds into up's rows
};

struct SiteSpec {
  Site site;
  std::vector<Role> consumers;
  Producer producer;
  bool foldable;        ///< may a diagonal scale be folded without changing the function?
  std::string why_not;  ///< reason when not foldable ("v_proj feeds 3 query heads (GQA)")
  int64_t width;        ///< channels of the site
};

struct LinearSpec {
  Role role;
  std::string name;  ///< "model.layers.3.self_attn.q_proj"
  int64_t out_features;
  int64_t in_features;
  bool bias;
};

/// The sites of any block of the architecture (all blocks of the llama family are alike).
std::vector<SiteSpec> site_graph(const Architecture& architecture);
/// The linears of block `layer`, in Role order.
std::vector<LinearSpec> block_linears(const Architecture& architecture, int64_t layer);

}  // namespace qbench::models
