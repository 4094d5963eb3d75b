#include "methods/primitives/fold.h"

#include <ATen/ATen.h>

#include "harness/core/errors.h"

namespace qbench::methods {
namespace {

void divide_rows(engine::Linear& linear, const at::Tensor& s) {
  linear.weight = (linear.weight / s.unsqueeze(1)).contiguous();
  if (linear.bias.defined()) linear.bias = linear.bias / s;
}

void divide_producer(engine::Block& block, models::Producer producer, const at::Tensor& s) {
  switch (producer) {
    case models::Producer::kAttentionNorm:
      block.attention_norm.weight = block.attention_norm.weight / s;
      break;
    case models::Producer::kMlpNorm:
      block.mlp_norm.weight = block.mlp_norm.weight / s;
      break;
    case models::Producer::kV:
      divide_rows(block.linear(models::Role::kV), s);
      break;
    case models::Producer::kUp:
      divide_rows(block.linear(models::Role::kUp), s);
      break;
  }
}

}  // namespace

void fold_scale(BlockView& view, const models::SiteSpec& site, const at::Tensor& s) {
  QB_CHECK(site.foldable, "fold_scale at a site that cannot take a scale: " + site.why_not);
  QB_CHECK(s.numel() == site.width, "fold_scale: one factor per channel");
  divide_producer(view.block, site.producer, s);
  for (const models::Role role : site.consumers) {
    engine::Linear& linear = view.block.linear(role);
    linear.weight = (linear.weight * s).contiguous();
  }
  SiteStatistics& statistics = view.statistics_of(site.site);
  if (statistics.absmax.defined()) {
    statistics.absmax = statistics.absmax / s;
    statistics.mean_abs = statistics.mean_abs / s;
  }
  for (at::Tensor& x : view.inputs_of(site.site)) x = x / s;
}

}  // namespace qbench::methods
