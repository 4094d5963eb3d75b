// Python's random.Random, bit for bit (CPython Lib/random.py and _randommodule.c): samplers of the PTQ papers
// and of evaluation harnesses draw from it, so equal seeds must give equal documents.
#pragma once

#include <cstdint>
#include <random>
#include <utility>
#include <vector>

namespace qbench {

class PythonRandom {
 public:
  /// random.Random(seed): MT19937 through init_by_array over the 32-bit words of `seed`.
  explicit PythonRandom(uint64_t seed);

  uint32_t next_u32() { return static_cast<uint32_t>(engine_()); }
  /// @param bits  1..32
  uint32_t getrandbits(int bits) { return next_u32() >> (32 - bits); }
  /// Uniform in [0, 1) with 53 bits.
  double random();
  /// Uniform in [0, n), n >= 1.
  uint64_t randbelow(uint64_t n);
  /// Uniform in [lo, hi], both ends included; lo <= hi.
  int64_t randint(int64_t lo, int64_t hi);
  /// sample(range(n), k): k distinct indices in the order drawn; k <= n.
  std::vector<int64_t> sample(int64_t n, int64_t k);

  template <class T>
  void shuffle(std::vector<T>& items) {
    for (size_t i = items.size(); i-- > 1;) std::swap(items[i], items[randbelow(i + 1)]);
  }

 private:
  std::mt19937 engine_;
};

}  // namespace qbench
