// AWQ: activation-aware weight quantization (Lin et al., arXiv:2306.00978).
#include "methods/core/registry.h"

namespace qbench::methods {
namespace {

struct AwqParams {
  std::string family = "llm-awq";
  int64_t scale_steps = 20;
  bool clip = true;
  int64_t clip_steps = 20;
  double clip_shrink = 0.5;
  int64_t clip_tokens = 512;
  int64_t search_tokens = 2048;

  template <class Visitor>
  void visit(Visitor& v) {
    v("family", family, OneOf{{"llm-awq", "autoawq", "off"}},
      "scales m^r (llm-awq), m^r / v^(1-r) with the weights' own profile v (autoawq, its duo scaling), or no scale search");
    v("scale_steps", scale_steps, Range{1, 1000}, "values of r tried: i/scale_steps");
    v("clip", clip, "search a shrink of each group's range after the scales");
    v("clip_steps", clip_steps, Range{1, 1000}, "the range shrinks by 1/clip_steps per candidate");
    v("clip_shrink", clip_shrink, Range{0.0, 1.0}, "candidates go down to 1 - clip_shrink");
    v("clip_tokens", clip_tokens, Range{1, 1000000}, "tokens of the clip search, evenly spaced");
    v("search_tokens", search_tokens, Range{0, 100000000}, "tokens of the scale search, whole evenly spaced samples; 0 = all");
  }
};

class AwqPass final : public Pass {
 public:
  explicit AwqPass(const AwqParams&) {}
};

}  // namespace

MethodSpec awq_method() {
  MethodInfo info;
  info.name = "awq";
  info.kind = PassKind::kTransform;
  info.summary = "scale the input channels that matter before rounding, then clip each group; both by search";
  info.paper = "arXiv:2306.00978";
  info.needs_fp_statistics = true;
  info.needs_calibration = true;
  info.needs_weight_bits = true;
  return make_method<AwqPass, AwqParams>(std::move(info));
}

}  // namespace qbench::methods
