#include "methods/primitives/gemm.h"

#include <ATen/ATen.h>

#include <ATen/core/dispatch/Dispatcher.h>

namespace qbench::methods {
namespace {

using LinearPointwise = at::Tensor(const at::Tensor&, const at::Tensor&, const std::optional<at::Tensor>&,
                                   c10::string_view, c10::List<std::optional<at::Scalar>>,
                                   std::optional<c10::string_view>);

/// oneDNN's inner product, where this libtorch has it: up to twice as fast as the BLAS for our shapes.
const std::optional<c10::TypedOperatorHandle<LinearPointwise>>& onednn_linear() {
  static const auto handle = []() -> std::optional<c10::TypedOperatorHandle<LinearPointwise>> {
    const auto op = c10::Dispatcher::singleton().findSchema({"mkldnn::_linear_pointwise", ""});
    if (!op || !op->hasKernelForDispatchKey(c10::DispatchKey::CPU)) return std::nullopt;
    return op->typed<LinearPointwise>();
  }();
  return handle;
}

}  // namespace

at::Tensor matmul_transposed(const at::Tensor& a, const at::Tensor& b) {
  const auto& onednn = onednn_linear();
  if (!onednn || a.device().type() != at::kCPU) return at::mm(a, b.t());
  return onednn->call(a.contiguous(), b.contiguous(), std::nullopt, "none",
                      c10::List<std::optional<at::Scalar>>(), std::nullopt);
}

}  // namespace qbench::methods
