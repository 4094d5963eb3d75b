// The matrix product of the methods: one intra-op thread, whatever library is fastest on this machine.
#pragma once

#include <ATen/core/Tensor.h>

namespace qbench::methods {

/// a [m, k] times b [n, k] transposed -> [m, n], float32. Rows must be contiguous. The same shapes and values
/// always give the same bits.
at::Tensor matmul_transposed(const at::Tensor& a, const at::Tensor& b);

}  // namespace qbench::methods
