// GPTQ: second-order error compensation (Frantar et al., arXiv:2210.17323, Algorithm 1).
// Kind: quantize. Needs: calibration samples; the Gram matrix H = (2/N) X^T X of each site's inputs, taken
// behind the already quantized blocks and, with true_sequential, behind the already quantized linears of the
// block. Activations are not quantized while H is gathered, as in the official code. Differs from the
// official code: a failing factorisation doubles the damping (recorded as the layer's fallback) and then
// FAILS, no silent RTN; true_sequential is on because it costs nothing here; act_order with static_groups is
// on, as in today's implementations (llm-compressor), because it is better and costs nothing at inference:
// the paper's own setting is gptq(act_order=false,static_groups=false); symmetric slices without negative
// weights are mirrored unless nonnegative_quirk.
#include "methods/core/registry.h"
#include "methods/primitives/gram.h"

namespace qbench::methods {
namespace {

struct GptqParams {
  int64_t block = 128;
  double damp = 0.01;
  int64_t damp_steps = 6;
  bool act_order = true;
  bool static_groups = true;
  bool true_sequential = true;
  bool group_aware = false;
  std::string group_stats = "stale";
  bool mse = false;
  double mse_norm = 2.4;
  int64_t mse_steps = 100;
  double mse_shrink = 0.8;
  bool nonnegative_quirk = false;
  bool trits = false;

  template <class Visitor>
  void visit(Visitor& v) {
    v("block", block, Range{1, 4096}, "columns per lazy update");
    v("damp", damp, Range{0.0, 10.0}, "fraction of mean(diag H) added to diag H");
    v("damp_steps", damp_steps, Range{1, 16},
      "times the factorisation is tried, doubling the damping; then the layer fails");
    v("act_order", act_order, "visit columns by descending diag H");
    v("static_groups", static_groups,
      "fit the groups of the original column order before the first column is rounded");
    v("true_sequential", true_sequential,
      "inputs of o, gate/up and down are those behind the already quantized linears");
    v("group_aware", group_aware,
      "instead of act_order: order columns within groups, and groups, by diag H (GAR)");
    v("group_stats", group_stats, OneOf{{"stale", "fresh"}},
      "stale: a group's range ignores the updates of its own lazy block (official code); fresh: it includes "
      "them");
    v("mse", mse, "search the range that minimises the error instead of min and max");
    v("mse_norm", mse_norm, Range{0.5, 8.0}, "exponent of the error in that search");
    v("mse_steps", mse_steps, Range{2, 1000}, "range shrinks by 1/mse_steps per candidate");
    v("mse_shrink", mse_shrink, Range{0.01, 1.0}, "candidates go down to 1 - mse_shrink");
    v("nonnegative_quirk", nonnegative_quirk,
      "official symmetric grid: a slice without negative weights keeps 0 as its lower end and loses its "
      "upper half");
    v("trits", trits,
      "three values {min, 0, max} per slice instead of the scheme's levels (an option of the official code)");
  }
};

GridSpec grid_of(const GptqParams& params, const Scheme& scheme) {
  GridSpec spec;
  spec.bits = scheme.weight_bits;
  spec.symmetric = scheme.symmetric;
  spec.mse = params.mse;
  spec.mse_norm = params.mse_norm;
  spec.mse_steps = params.mse_steps;
  spec.mse_shrink = params.mse_shrink;
  spec.nonnegative_quirk = params.nonnegative_quirk;
  spec.trits = params.trits;
  return spec;
}

class GptqPass final : public Quantizer {
 public:
  explicit GptqPass(const GptqParams& params) : params_(params) {}

  GramInputs gram_inputs() const override {
    return params_.true_sequential ? GramInputs::kSequential : GramInputs::kBlock;
  }

  void quantize(std::span<LinearTask> linears, const at::Tensor& gram,
                const PassContext& context) const override {
    const Slices slices = slices_of(context.scheme);
    const InverseFactor factor =
        factor_inverse(gram, factor_options(slices, context), linears.front().name, *context.lanes);
    FeedbackOptions options;
    options.block = params_.block;
    options.static_groups = params_.static_groups;
    options.keep_groups = params_.group_aware;
    options.fresh_stats = params_.group_stats == "fresh";
    options.order = factor.order;
    options.dead = factor.dead;
    std::vector<FeedbackJob> jobs;
    for (LinearTask& task : linears) jobs.push_back({task.weight, &task.result});
    quantize_with_feedback(jobs, factor.u, slices, grid_of(params_, context.scheme), options, *context.lanes,
                           context.keep_codes);
    for (LinearTask& task : linears) describe(factor, task);
  }

 private:
  FactorOptions factor_options(const Slices& slices, const PassContext& context) const {
    FactorOptions options;
    options.damp = params_.damp;
    options.damp_steps = params_.damp_steps;
    options.given_order = context.given_order;
    if (params_.act_order) options.order = ColumnOrder::kActivation;
    if (params_.group_aware && slices.group > 0) {
      options.order = ColumnOrder::kGroupAware;
      options.group = slices.group;
    }
    return options;
  }

  static void describe(const InverseFactor& factor, LinearTask& task) {
    task.detail["damping"] = factor.damping;
    if (!factor.dead.empty()) task.detail["dead_columns"] = factor.dead.size();
    if (factor.attempts > 1) {
      task.fallback = "damping raised to " + print_number(factor.damping) + " (attempt " +
                      std::to_string(factor.attempts) + ")";
    }
  }

  GptqParams params_;
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
