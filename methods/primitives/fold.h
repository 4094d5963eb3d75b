// Folding a per-channel scale into the producer and the consumers of a site, along the site graph.
#pragma once

#include <ATen/core/Tensor.h>

#include "methods/core/pass.h"

namespace qbench::methods {

/// Divides the site's tensor by s and multiplies the columns of the linears that read it by s, so that the
/// block computes the same function; keeps the view's statistics and inputs consistent. Tensors are replaced,
/// never written in place.
/// @param s  [channels] float32, positive. The site must be foldable.
void fold_scale(BlockView& view, const models::SiteSpec& site, const at::Tensor& s);

}  // namespace qbench::methods
