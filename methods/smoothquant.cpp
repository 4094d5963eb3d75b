// SmoothQuant: move activation outliers into the weights (Xiao et al., arXiv:2211.10438).
#include "methods/core/registry.h"

namespace qbench::methods {
namespace {

struct SmoothQuantParams {
  double alpha = 0.5;

  template <class Visitor>
  void visit(Visitor& v) {
    v("alpha", alpha, Range{0.0, 1.0}, "share of the difficulty that moves from activations to weights");
  }
};

class SmoothQuantPass final : public Pass {
 public:
  explicit SmoothQuantPass(const SmoothQuantParams&) {}
};

}  // namespace

MethodSpec smoothquant_method() {
  MethodInfo info;
  info.name = "smoothquant";
  info.kind = PassKind::kTransform;
  info.summary = "divide norm outputs by a per-channel scale and multiply it into the weights that read them";
  info.paper = "arXiv:2211.10438";
  info.needs_fp_statistics = true;
  return make_method<SmoothQuantPass, SmoothQuantParams>(std::move(info));
}

}  // namespace qbench::methods
