// RTN: round to nearest on the scheme's grid.
// Kind: quantize. Needs nothing but the weights.
// Differs from the official GPTQ repository's --nearest path: weights stay float32 unless precision=float16;
// a symmetric slice without negative weights is mirrored like any other unless nonnegative_quirk; an
// asymmetric slice that already is a grid of 2^bits levels with a real zero is returned unchanged
// (zero=auto).
#include <ATen/ATen.h>

#include "methods/core/registry.h"

namespace qbench::methods {
namespace {

struct RtnParams {
  std::string grid = "auto";
  std::string zero = "auto";
  bool mse = false;
  double mse_norm = 2.4;
  int64_t mse_steps = 100;
  double mse_shrink = 0.8;
  std::string precision = "float32";
  bool nonnegative_quirk = false;

  template <class Visitor>
  void visit(Visitor& v) {
    v("grid", grid, OneOf{{"auto", "gptq", "awq"}},
      "gptq: zero is in the range, symmetric step 2a/(2^b-1); awq: raw range, symmetric step a/(2^(b-1)-1); "
      "auto: that of the "
      "transform before it, else gptq");
    v("zero", zero, OneOf{{"auto", "integer", "real"}},
      "asymmetric zero point; auto: integer, but a slice that already is a grid of this many levels keeps "
      "its own (real) zero");
    v("mse", mse, "search the range that minimises the error instead of min and max");
    v("mse_norm", mse_norm, Range{0.5, 8.0}, "exponent of the error in that search");
    v("mse_steps", mse_steps, Range{2, 1000}, "range shrinks by 1/mse_steps per candidate");
    v("mse_shrink", mse_shrink, Range{0.01, 1.0}, "candidates go down to 1 - mse_shrink");
    v("precision", precision, OneOf{{"float32", "float16"}},
      "float16: round the weights to half precision first (the official --nearest path reads them so)");
    v("nonnegative_quirk", nonnegative_quirk,
      "official symmetric gptq grid: a slice without negative weights keeps 0 as its lower end and loses its "
      "upper half");
  }
};

ZeroKind zero_kind(const std::string& name) {
  return name == "real" ? ZeroKind::kReal : name == "integer" ? ZeroKind::kInteger : ZeroKind::kAuto;
}

GridSpec grid_of(const RtnParams& params, const PassContext& context) {
  GridSpec spec;
  spec.bits = context.scheme.weight_bits;
  spec.symmetric = context.scheme.symmetric;
  spec.family = params.grid == "auto" ? context.family.value_or(GridFamily::kGptq)
                                      : (params.grid == "awq" ? GridFamily::kAwq : GridFamily::kGptq);
  // A transform's own asymmetric grid has no real zero; plain RTN keeps a grid that is already there.
  spec.zero =
      params.zero == "auto" && spec.family == GridFamily::kAwq ? ZeroKind::kInteger : zero_kind(params.zero);
  spec.mse = params.mse;
  spec.mse_norm = params.mse_norm;
  spec.mse_steps = params.mse_steps;
  spec.mse_shrink = params.mse_shrink;
  spec.nonnegative_quirk = params.nonnegative_quirk;
  return spec;
}

class RtnPass final : public Quantizer {
 public:
  explicit RtnPass(const RtnParams& params) : params_(params) {}

  void quantize(std::span<LinearTask> linears, const at::Tensor&, const PassContext& context) const override {
    const GridSpec spec = grid_of(params_, context);
    for (LinearTask& task : linears) {
      const at::Tensor w =
          params_.precision == "float16" ? task.weight.to(at::kHalf).to(at::kFloat) : task.weight;
      task.result = round_to_nearest(w, slices_of(context.scheme), spec, *context.lanes, context.keep_codes);
    }
  }

 private:
  RtnParams params_;
};

}  // namespace

MethodSpec rtn_method() {
  MethodInfo info;
  info.name = "rtn";
  info.kind = PassKind::kQuantize;
  info.summary = "round every weight to the nearest point of its grid";
  return make_method<RtnPass, RtnParams>(std::move(info));
}

}  // namespace qbench::methods
