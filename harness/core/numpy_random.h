// NumPy's legacy RandomState, bit for bit: BIG-bench draws its examples and shots from it.
#pragma once

#include <cstdint>
#include <random>
#include <vector>

namespace qbench {

class NumpyRandomState {
 public:
  /// RandomState(seed): MT19937 with the classic one-integer initialisation.
  explicit NumpyRandomState(uint32_t seed) : engine_(seed) {}

  uint32_t next_u32() { return static_cast<uint32_t>(engine_()); }
  /// Uniform in [0, max]: masked rejection; max = 0 draws nothing.
  uint32_t interval(uint32_t max);
  std::vector<int64_t> permutation(int64_t n);
  /// choice(n, k, replace=False) = the first k of permutation(n); k <= n.
  std::vector<int64_t> choice(int64_t n, int64_t k);

 private:
  std::mt19937 engine_;
};

}  // namespace qbench
