// SmoothQuant: move activation outliers into the weights (Xiao et al., arXiv:2211.10438).
// Kind: transform. Needs: absmax of the site inputs of the unquantized model.
// s_j = a_j^alpha / w_j^(1-alpha) at every site that a norm produces: a_j = absmax of channel j, w_j = absmax
// of column j over the linears that read it. s is divided out of the norm and multiplied into the columns.
// Differs from the official code: powers in float32 whatever the storage type; a channel that is always zero
// keeps s = 1 instead of 1e-5.
#include <ATen/ATen.h>

#include "harness/core/errors.h"
#include "methods/core/registry.h"
#include "methods/primitives/fold.h"

namespace qbench::methods {
namespace {

constexpr double kFloor = 1e-5;  // smooth.py: clamp(min=1e-5) on w and on s

struct SmoothQuantParams {
  double alpha = 0.5;

  template <class Visitor>
  void visit(Visitor& v) {
    v("alpha", alpha, Range{0.0, 1.0}, "share of the difficulty that moves from activations to weights");
  }
};

/// @param absmax [in], weights [out, in] each. @return s [in].
at::Tensor smoothing_scale(const at::Tensor& absmax, const std::vector<at::Tensor>& weights, double alpha) {
  at::Tensor w = at::full_like(absmax, kFloor);
  for (const at::Tensor& weight : weights) w = at::maximum(w, at::amax(weight.abs(), 0));
  const at::Tensor s = at::clamp_min(absmax.pow(alpha) / w.pow(1.0 - alpha), kFloor);
  return at::where(absmax > 0, s, at::ones_like(s));
}

bool made_by_norm(const models::SiteSpec& site) {
  return site.producer == models::Producer::kAttentionNorm || site.producer == models::Producer::kMlpNorm;
}

class SmoothQuantPass final : public Transform {
 public:
  explicit SmoothQuantPass(const SmoothQuantParams& params) : params_(params) {}

  std::optional<GridFamily> family() const override { return GridFamily::kAwq; }

  Json apply(BlockView& view, const PassContext&) const override {
    Json detail = Json::object();
    for (const models::SiteSpec& site : view.model.sites()) {
      if (!made_by_norm(site) || !site.foldable) continue;
      const at::Tensor& absmax = view.statistics_of(site.site).absmax;
      QB_CHECK(absmax.defined(), "smoothquant without statistics");
      std::vector<at::Tensor> weights;
      for (const models::Role role : site.consumers) weights.push_back(view.block.linear(role).weight);
      const at::Tensor s = smoothing_scale(absmax, weights, params_.alpha);
      fold_scale(view, site, s);
      detail[std::string(models::site_name(site.site))] = {{"scale_min", s.min().item<double>()},
                                                           {"scale_max", s.max().item<double>()}};
    }
    return detail;
  }

  at::Tensor apply_to_linear(at::Tensor& weight, const at::Tensor& x, const PassContext&,
                             Json& detail) const override {
    const at::Tensor s = smoothing_scale(at::amax(x.abs(), 0), {weight}, params_.alpha);
    weight = (weight * s).contiguous();
    detail["smoothquant"] = {{"scale_min", s.min().item<double>()}, {"scale_max", s.max().item<double>()}};
    return s;
  }

 private:
  SmoothQuantParams params_;
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
