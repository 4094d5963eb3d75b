// AWQ: activation-aware weight quantization (Lin et al., arXiv:2306.00978).
// Kind: transform. Needs: mean |x| of the site inputs of the unquantized model, and some of its samples to
// search on. (a) Per foldable site a scale s from a one-parameter family, chosen by the error of what the
// site feeds (attention, MLP, or the linear itself) when its linears are rounded; all searches of a block see
// the original block, then the scales are folded. (b) Per slice of every linear but q and k a symmetric
// shrink of the range, chosen by the error of the slice's contribution. Differs from the official code: the
// scale search runs on whole evenly spaced samples of about `search_tokens` tokens (the official code uses
// all, search_tokens=0); v -> o takes part only where the function allows it (not under GQA).
#include <ATen/ATen.h>

#include <cmath>
#include <functional>
#include <limits>

#include "harness/core/errors.h"
#include "methods/core/registry.h"
#include "methods/primitives/fold.h"
#include "methods/primitives/gemm.h"
#include "methods/primitives/gram.h"

namespace qbench::methods {
namespace {

using models::Role;
using models::Site;

struct AwqParams {
  std::string family = "llm-awq";
  int64_t scale_steps = 20;
  bool clip = true;
  int64_t clip_steps = 20;
  double clip_shrink = 0.5;
  int64_t clip_tokens = 512;
  int64_t search_tokens = 1024;

  template <class Visitor>
  void visit(Visitor& v) {
    v("family", family, OneOf{{"llm-awq", "autoawq", "off"}},
      "scales m^r (llm-awq), m^r / v^(1-r) with the weights' own profile v (autoawq, its duo scaling), or no "
      "scale search");
    v("scale_steps", scale_steps, Range{1, 1000}, "values of r tried: i/scale_steps");
    v("clip", clip, "search a shrink of each slice's range after the scales");
    v("clip_steps", clip_steps, Range{1, 1000}, "the range shrinks by 1/clip_steps per candidate");
    v("clip_shrink", clip_shrink, Range{0.01, 1.0}, "candidates go down to 1 - clip_shrink");
    v("clip_tokens", clip_tokens, Range{1, 1000000}, "tokens of the clip search, evenly spaced");
    v("search_tokens", search_tokens, Range{0, 100000000},
      "tokens of the scale search, whole evenly spaced samples; 0 = all");
  }
};

constexpr double kScaleFloor = 1e-4;

/// The grid that AWQ rounds with inside its searches.
GridSpec search_grid(const Scheme& scheme) {
  GridSpec spec;
  spec.bits = scheme.weight_bits;
  spec.symmetric = scheme.symmetric;
  spec.family = GridFamily::kAwq;
  return spec;
}

at::Tensor fake_quantize(const at::Tensor& w, const Scheme& scheme) {
  return round_to_nearest(w.contiguous(), slices_of(scheme), search_grid(scheme), Lanes(1), false).w_hat;
}

/// v_j = mean over the rows of |W_ij| / (absmax of its slice + 1e-6): AutoAWQ's w_mean.
at::Tensor weight_profile(const std::vector<at::Tensor>& weights, const Scheme& scheme) {
  const at::Tensor stacked = at::cat(weights, 0).abs();
  const int64_t columns = stacked.size(1), width = slices_of(scheme).columns_per_slice(columns);
  at::Tensor relative = at::empty_like(stacked);
  for (int64_t begin = 0; begin < columns; begin += width) {
    const at::Tensor slice = stacked.slice(1, begin, std::min(begin + width, columns));
    relative.slice(1, begin, std::min(begin + width, columns)).copy_(slice / (slice.amax(1, true) + 1e-6));
  }
  return relative.mean(0);
}

/// s of one candidate r. @param profile  undefined for the llm-awq family.
at::Tensor candidate_scale(const at::Tensor& mean_abs, const at::Tensor& profile, double r) {
  at::Tensor s = mean_abs.pow(r);
  if (profile.defined()) s = s / (profile.pow(1.0 - r) + 1e-4);
  s = s.clamp_min(kScaleFloor);
  s = s / (s.max() * s.min()).sqrt();
  return at::where(at::isfinite(s), s, at::ones_like(s));
}

struct SearchResult {
  at::Tensor scale;  ///< undefined when nothing was searched
  std::vector<double> losses;
  double ratio = 0;
};

/// Tries every r; `loss_of` gets the candidate's s. The strictly smallest loss wins, so ties keep the first.
SearchResult search_scale(const at::Tensor& mean_abs, const std::vector<at::Tensor>& weights,
                          const AwqParams& params, const PassContext& context, const std::string& place,
                          const std::function<double(const at::Tensor&)>& loss_of) {
  const at::Tensor profile =
      params.family == "autoawq" ? weight_profile(weights, context.scheme) : at::Tensor();
  SearchResult result;
  result.losses.assign(static_cast<size_t>(params.scale_steps), 0.0);
  const auto ratio = [&](size_t i) {
    return static_cast<double>(i) / static_cast<double>(params.scale_steps);
  };
  context.lanes->run(result.losses.size(), [&](size_t i, int) {
    result.losses[i] = loss_of(candidate_scale(mean_abs, profile, ratio(i)));
  });
  double best = std::numeric_limits<double>::infinity();
  for (size_t i = 0; i < result.losses.size(); ++i) {
    if (!(result.losses[i] < best)) continue;
    best = result.losses[i];
    result.ratio = ratio(i);
  }
  if (!std::isfinite(best))
    throw NumericError(place + ": AWQ's scale search found no finite loss; the inputs or weights overflow");
  result.scale = candidate_scale(mean_abs, profile, result.ratio);
  return result;
}

at::Tensor rounded_in_scale(const at::Tensor& w, const at::Tensor& s, const Scheme& scheme) {
  return fake_quantize(w * s, scheme) / s;
}

int64_t total_tokens(const std::vector<at::Tensor>& x) {
  int64_t tokens = 0;
  for (const at::Tensor& part : x) tokens += part.size(0);
  return tokens;
}

/// mean over tokens and outputs of (x (W - W_hat)^T)^2: through the Gram matrix of x or token by token,
/// whichever is cheaper.
class LinearLoss {
 public:
  LinearLoss(const at::Tensor& w, const std::vector<at::Tensor>& x, const Lanes& lanes)
      : w_(w), x_(x), tokens_(total_tokens(x)) {
    if (tokens_ <= w.size(1)) return;
    GramAccumulator gram(w.size(1));
    gram.add(x, lanes);
    gram_ = gram.finish(1.0);
  }

  double operator()(const at::Tensor& s, const Scheme& scheme) const {
    const at::Tensor d = (w_ - rounded_in_scale(w_, s, scheme)).contiguous();
    double sum = 0;
    if (gram_.defined()) {
      sum = trace_error(d, gram_);
    } else {
      for (const at::Tensor& part : x_)
        sum += matmul_transposed(part, d).square_().sum(at::kDouble).item<double>();
    }
    return sum / static_cast<double>(tokens_ * w_.size(0));
  }

 private:
  const at::Tensor& w_;
  const std::vector<at::Tensor>& x_;
  int64_t tokens_;
  at::Tensor gram_;
};

/// The branch of the block that a site feeds, with other weights in the site's linears.
class BranchLoss {
 public:
  BranchLoss(BlockView& view, const models::SiteSpec& site, const Lanes& lanes) : view_(view), site_(site) {
    const std::vector<at::Tensor>& inputs = view.inputs_of(site.site);
    reference_.resize(inputs.size());
    lanes.run(inputs.size(), [&](size_t p, int) {
      reference_[p] = engine::run_branch(view.model, view.block, site.site, inputs[p], view.lengths[p]);
    });
  }

  double operator()(const at::Tensor& s, const Scheme& scheme) const {
    engine::Block candidate = view_.block;
    for (const Role role : site_.consumers) {
      engine::Linear& linear = candidate.linear(role);
      linear.weight = rounded_in_scale(linear.weight, s, scheme).contiguous();
    }
    double sum = 0;
    int64_t count = 0;
    const std::vector<at::Tensor>& inputs = view_.inputs_of(site_.site);
    for (size_t p = 0; p < inputs.size(); ++p) {
      const at::Tensor output =
          engine::run_branch(view_.model, candidate, site_.site, inputs[p], view_.lengths[p]);
      sum += (output - reference_[p]).square_().sum(at::kDouble).item<double>();
      count += output.numel();
    }
    return sum / static_cast<double>(count);
  }

 private:
  BlockView& view_;
  const models::SiteSpec& site_;
  std::vector<at::Tensor> reference_;
};

/// A site whose branch is its single linear (o, down): no nonlinearity between the rounded weight and the
/// inspected output.
bool branch_is_the_linear(Site site) { return site == Site::kOIn || site == Site::kDownIn; }

SearchResult search_site(BlockView& view, const models::SiteSpec& site, const AwqParams& params,
                         const PassContext& context) {
  std::vector<at::Tensor> weights;
  for (const Role role : site.consumers) weights.push_back(view.block.linear(role).weight);
  const std::string place = view.block.linear(site.consumers.front()).name;
  const at::Tensor& mean_abs = view.statistics_of(site.site).mean_abs;
  QB_CHECK(mean_abs.defined(), "awq without statistics");
  if (branch_is_the_linear(site.site)) {
    const LinearLoss loss(weights.front(), view.inputs_of(site.site), *context.lanes);
    return search_scale(mean_abs, weights, params, context, place,
                        [&](const at::Tensor& s) { return loss(s, context.scheme); });
  }
  const BranchLoss loss(view, site, *context.lanes);
  return search_scale(mean_abs, weights, params, context, place,
                      [&](const at::Tensor& s) { return loss(s, context.scheme); });
}

/// About `wanted` rows, evenly spaced, as the official code takes them (every n/wanted-th).
at::Tensor spaced_tokens(const std::vector<at::Tensor>& x, int64_t wanted) {
  const at::Tensor all = at::cat(x, 0);
  return all.slice(0, 0, std::nullopt, std::max<int64_t>(1, all.size(0) / wanted)).contiguous();
}

/// Sum over the slice of x d, squared, mean over tokens: d [rows, width] -> [rows].
class SliceError {
 public:
  explicit SliceError(const at::Tensor& x) : tokens_(x.size(0)), by_gram_(x.size(1) < x.size(0)) {
    // Either through the slice's Gram matrix or token by token, whichever is the smaller product.
    factor_ = by_gram_ ? matmul_transposed(x.t().contiguous(), x.t().contiguous()) : x.contiguous();
  }

  at::Tensor operator()(const at::Tensor& d) const {
    const at::Tensor product = matmul_transposed(d, factor_);
    return (by_gram_ ? (product * d).sum(1) : product.square().sum(1)) / static_cast<double>(tokens_);
  }

 private:
  int64_t tokens_;
  bool by_gram_;
  at::Tensor factor_;
};

/// The limits of a few rows of one slice. @param part [rows, width]. @return [rows].
at::Tensor search_slice_limits(const at::Tensor& part, const SliceError& error_of, const AwqParams& params,
                               const Scheme& scheme) {
  const auto candidates = static_cast<int64_t>(params.clip_shrink * static_cast<double>(params.clip_steps));
  const at::Tensor absmax = part.abs().amax(1, true);
  at::Tensor best_error = at::full({part.size(0)}, std::numeric_limits<float>::infinity(), part.options());
  at::Tensor best_limit = absmax.squeeze(1).clone();
  for (int64_t i = 0; i < std::max<int64_t>(candidates, 1); ++i) {
    const at::Tensor limit = absmax * (1.0 - static_cast<double>(i) / static_cast<double>(params.clip_steps));
    const at::Tensor clipped = at::minimum(at::maximum(part, -limit), limit).contiguous();
    const at::Tensor rounded =
        round_to_nearest(clipped, Slices{}, search_grid(scheme), Lanes(1), false).w_hat;
    const at::Tensor error = error_of((rounded - part).contiguous());
    const at::Tensor better = error < best_error;
    best_error = at::where(better, error, best_error);
    best_limit = at::where(better, limit.squeeze(1), best_limit);
  }
  return best_limit;
}

constexpr int64_t kClipRows = 192;

/// @return per row and slice the largest magnitude to keep, [rows, slices].
at::Tensor search_clip(const at::Tensor& w, const at::Tensor& x, const AwqParams& params,
                       const PassContext& context) {
  const int64_t rows = w.size(0), columns = w.size(1);
  const Slices slices = slices_of(context.scheme);
  const int64_t width = slices.columns_per_slice(columns), count = slices.count(columns);
  const int64_t chunks = (rows + kClipRows - 1) / kClipRows;
  std::vector<std::optional<SliceError>> errors(static_cast<size_t>(count));
  context.lanes->run(errors.size(), [&](size_t slice, int) {
    const int64_t begin = static_cast<int64_t>(slice) * width;
    errors[slice].emplace(x.slice(1, begin, std::min(begin + width, columns)));
  });
  at::Tensor limits = at::empty({rows, count}, w.options());
  context.lanes->run(static_cast<size_t>(count * chunks), [&](size_t item, int) {
    const int64_t slice = static_cast<int64_t>(item) / chunks,
                  first = static_cast<int64_t>(item) % chunks * kClipRows;
    const int64_t last = std::min(first + kClipRows, rows), begin = slice * width;
    const at::Tensor part =
        w.slice(0, first, last).slice(1, begin, std::min(begin + width, columns)).contiguous();
    limits.select(1, slice)
        .slice(0, first, last)
        .copy_(search_slice_limits(part, *errors[static_cast<size_t>(slice)], params, context.scheme));
  });
  return limits;
}

at::Tensor clip_weight(const at::Tensor& w, const at::Tensor& limit, const Scheme& scheme) {
  const int64_t width = slices_of(scheme).columns_per_slice(w.size(1));
  const at::Tensor wide = limit.repeat_interleave(width, 1).slice(1, 0, w.size(1));
  return at::minimum(at::maximum(w, -wide), wide).contiguous();
}

Json search_facts(const SearchResult& result) { return {{"ratio", result.ratio}, {"losses", result.losses}}; }

class AwqPass final : public Transform {
 public:
  explicit AwqPass(const AwqParams& params) : params_(params) {}

  std::optional<GridFamily> family() const override { return GridFamily::kAwq; }
  std::optional<int64_t> search_tokens() const override { return params_.search_tokens; }

  Json apply(BlockView& view, const PassContext& context) const override {
    Json detail = Json::object();
    if (params_.family != "off") scale_sites(view, context, detail);
    if (params_.clip) clip_linears(view, context, detail);
    return detail;
  }

  at::Tensor apply_to_linear(at::Tensor& weight, const at::Tensor& x, const PassContext& context,
                             Json& detail) const override {
    at::Tensor s, input = x;
    if (params_.family != "off") {
      const std::vector<at::Tensor> inputs = {x};
      const LinearLoss loss(weight, inputs, *context.lanes);
      const SearchResult result = search_scale(x.abs().mean(0), {weight}, params_, context, "W",
                                               [&](const at::Tensor& c) { return loss(c, context.scheme); });
      s = result.scale;
      weight = (weight * s).contiguous();
      input = x / s;
      detail["awq"] = search_facts(result);
    }
    if (params_.clip) {
      const at::Tensor limit =
          search_clip(weight, spaced_tokens({input}, params_.clip_tokens), params_, context);
      weight = clip_weight(weight, limit, context.scheme);
    }
    return s;
  }

 private:
  /// All searches see the original block; only then are the scales folded.
  void scale_sites(BlockView& view, const PassContext& context, Json& detail) const {
    std::vector<std::pair<const models::SiteSpec*, SearchResult>> found;
    for (const models::SiteSpec& site : view.model.sites()) {
      const std::string key(models::site_name(site.site));
      if (!site.foldable) {
        detail[key] = {{"skipped", site.why_not}};
        continue;
      }
      found.emplace_back(&site, search_site(view, site, params_, context));
      detail[key] = search_facts(found.back().second);
    }
    for (const auto& [site, result] : found) fold_scale(view, *site, result.scale);
  }

  void clip_linears(BlockView& view, const PassContext& context, Json& detail) const {
    double clipped = 0, weights = 0;
    for (const models::SiteSpec& site : view.model.sites()) {
      const at::Tensor x = spaced_tokens(view.inputs_of(site.site), params_.clip_tokens);
      for (const Role role : site.consumers) {
        // The official code leaves the weights alone whose outputs meet in a product.
        if (role == Role::kQ || role == Role::kK) continue;
        engine::Linear& linear = view.block.linear(role);
        const at::Tensor limit = search_clip(linear.weight, x, params_, context);
        const at::Tensor after = clip_weight(linear.weight, limit, context.scheme);
        clipped += (after != linear.weight).sum().item<double>();
        weights += static_cast<double>(after.numel());
        linear.weight = after;
      }
    }
    detail["clipped_fraction"] = weights > 0 ? clipped / weights : 0.0;
  }

  AwqParams params_;
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
