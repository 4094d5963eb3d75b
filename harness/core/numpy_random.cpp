#include "harness/core/numpy_random.h"

#include <bit>
#include <numeric>
#include <utility>

#include "harness/core/errors.h"

namespace qbench {

uint32_t NumpyRandomState::interval(uint32_t max) {
  if (max == 0) return 0;
  const int bits = std::bit_width(max);
  const uint32_t mask = bits == 32 ? ~0U : (1U << bits) - 1;
  while (true) {
    const uint32_t value = next_u32() & mask;
    if (value <= max) return value;
  }
}

std::vector<int64_t> NumpyRandomState::permutation(int64_t n) {
  std::vector<int64_t> items(static_cast<size_t>(n));
  std::iota(items.begin(), items.end(), 0);
  for (size_t i = items.size(); i-- > 1;) std::swap(items[i], items[interval(static_cast<uint32_t>(i))]);
  return items;
}

std::vector<int64_t> NumpyRandomState::choice(int64_t n, int64_t k) {
  QB_CHECK(k >= 0 && k <= n, "choice larger than population");
  std::vector<int64_t> items = permutation(n);
  items.resize(static_cast<size_t>(k));
  return items;
}

}  // namespace qbench
