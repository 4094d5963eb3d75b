// GPTQ: second-order error compensation (Frantar et al., arXiv:2210.17323, Algorithm 1).
#include "methods/core/registry.h"

namespace qbench::methods {
namespace {

struct GptqParams {
  int64_t block = 128;
  double damp = 0.01;
  int64_t damp_steps = 6;
  bool act_order = false;
  bool static_groups = false;
  bool true_sequential = true;
  bool group_aware = false;
  std::string group_stats = "stale";
  bool mse = false;
  double mse_norm = 2.4;
  int64_t mse_steps = 100;
  double mse_shrink = 0.8;
  bool nonnegative_quirk = false;

  template <class Visitor>
  void visit(Visitor& v) {
    v("block", block, Range{1, 4096}, "columns per lazy update");
    v("damp", damp, Range{0.0, 10.0}, "fraction of mean(diag H) added to diag H");
    v("damp_steps", damp_steps, Range{1, 16}, "times the factorisation is tried, doubling the damping; then the layer fails");
    v("act_order", act_order, "visit columns by descending diag H");
    v("static_groups", static_groups, "fit the groups of the original column order before the first column is rounded");
    v("true_sequential", true_sequential, "inputs of o, gate/up and down are those behind the already quantized linears");
    v("group_aware", group_aware, "order columns within groups, and groups, by diag H; groups keep their members (GAR)");
    v("group_stats", group_stats, OneOf{{"stale", "fresh"}},
      "stale: a group's range ignores the updates of its own lazy block (official code); fresh: it includes them");
    v("mse", mse, "search the range that minimises the error instead of min and max");
    v("mse_norm", mse_norm, Range{0.5, 8.0}, "exponent of the error in that search");
    v("mse_steps", mse_steps, Range{1, 1000}, "range shrinks by 1/mse_steps per candidate");
    v("mse_shrink", mse_shrink, Range{0.0, 1.0}, "candidates go down to 1 - mse_shrink");
    v("nonnegative_quirk", nonnegative_quirk,
      "official symmetric grid: a slice without negative weights keeps 0 as its lower end and loses its upper half");
  }
};

class GptqPass final : public Pass {
 public:
  explicit GptqPass(const GptqParams&) {}
};

}  // namespace

MethodSpec gptq_method() {
  MethodInfo info;
  info.name = "gptq";
  info.kind = PassKind::kQuantize;
  info.summary = "round column by column and spread each column's error over the columns still to come";
  info.paper = "arXiv:2210.17323";
  info.needs_calibration = true;
  info.needs_weight_bits = true;
  return make_method<GptqPass, GptqParams>(std::move(info));
}

}  // namespace qbench::methods
