#include "harness/core/python_random.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <numeric>
#include <unordered_set>

#include "harness/core/errors.h"

namespace qbench {
namespace {

constexpr size_t kStateWords = 624;

/// A seed sequence that hands std::mt19937 the state which init_by_array makes, so the standard engine
/// serves.
class InitByArray {
 public:
  using result_type = uint32_t;
  explicit InitByArray(uint64_t seed) : key_{static_cast<uint32_t>(seed)} {
    if (seed >> 32 != 0) key_.push_back(static_cast<uint32_t>(seed >> 32));
  }

  template <class Iterator>
  void generate(Iterator begin, Iterator end) const {
    std::array<uint32_t, kStateWords> state{};
    state[0] = 19650218U;
    for (uint32_t i = 1; i < kStateWords; ++i) state[i] = 1812433253U * mix(state[i - 1]) + i;
    uint32_t i = 1;
    for (uint32_t step = 0, j = 0; step < kStateWords; ++step) {  // the key is never longer than the state
      state[i] = (state[i] ^ (mix(state[i - 1]) * 1664525U)) + key_[j] + j;
      advance(state, i);
      j = (j + 1) % static_cast<uint32_t>(key_.size());
    }
    for (uint32_t step = 0; step + 1 < kStateWords; ++step) {
      state[i] = (state[i] ^ (mix(state[i - 1]) * 1566083941U)) - i;
      advance(state, i);
    }
    state[0] = 0x80000000U;
    std::copy_n(state.begin(), std::distance(begin, end), begin);
  }

 private:
  static uint32_t mix(uint32_t word) { return word ^ (word >> 30); }
  static void advance(std::array<uint32_t, kStateWords>& state, uint32_t& i) {
    if (++i < kStateWords) return;
    state[0] = state[kStateWords - 1];
    i = 1;
  }
  std::vector<uint32_t> key_;
};

std::mt19937 seeded(uint64_t seed) {
  InitByArray sequence(seed);
  return std::mt19937(sequence);
}

}  // namespace

PythonRandom::PythonRandom(uint64_t seed) : engine_(seeded(seed)) {}

double PythonRandom::random() {
  const double high = next_u32() >> 5;
  const double low = next_u32() >> 6;
  return (high * 67108864.0 + low) / 9007199254740992.0;
}

uint64_t PythonRandom::randbelow(uint64_t n) {
  QB_CHECK(n >= 1, "randbelow(0)");
  const int bits = std::bit_width(n);
  while (true) {
    uint64_t value = 0;
    if (bits <= 32) {
      value = getrandbits(bits);
    } else {  // words from the lowest up, the last one shortened
      value = next_u32();
      value |= static_cast<uint64_t>(getrandbits(bits - 32)) << 32;
    }
    if (value < n) return value;
  }
}

int64_t PythonRandom::randint(int64_t lo, int64_t hi) {
  QB_CHECK(lo <= hi, "empty range");
  return lo + static_cast<int64_t>(randbelow(static_cast<uint64_t>(hi - lo) + 1));
}

std::vector<int64_t> PythonRandom::sample(int64_t n, int64_t k) {
  QB_CHECK(k >= 0 && k <= n, "sample larger than population");
  std::vector<int64_t> result;
  int64_t set_size = 21;
  if (k > 5) set_size += int64_t{1} << (2 * static_cast<int>(std::ceil(std::log(k * 3) / std::log(4))));
  if (n <= set_size) {
    std::vector<int64_t> pool(static_cast<size_t>(n));
    std::iota(pool.begin(), pool.end(), 0);
    for (int64_t i = 0; i < k; ++i) {
      const auto j = randbelow(static_cast<uint64_t>(n - i));
      result.push_back(pool[j]);
      pool[j] = pool[static_cast<size_t>(n - i - 1)];
    }
    return result;
  }
  std::unordered_set<int64_t> taken;
  while (std::ssize(result) < k) {
    const auto j = static_cast<int64_t>(randbelow(static_cast<uint64_t>(n)));
    if (taken.insert(j).second) result.push_back(j);
  }
  return result;
}

}  // namespace qbench
