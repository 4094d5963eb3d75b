#include "harness/engine/kernels/kernels.h"

#include <cstdlib>
#include <string_view>

namespace qbench::engine::kernels {

extern const Table kGenericTable;
#if defined(__x86_64__)
extern const Table kAvx2Table;
extern const Table kAvx512Table;
#endif

namespace {

struct Candidate {
  const Table* table;
  bool usable;
};

// Best first. Decided from CPU features alone, so that a machine always computes the same bits.
template <class Visitor>
const Table* find_table(const Visitor& accept) {
#if defined(__x86_64__)
  const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  const bool avx512 = avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
                      __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512bw");
  const Candidate candidates[] = {{&kAvx512Table, avx512}, {&kAvx2Table, avx2}, {&kGenericTable, true}};
#else
  const Candidate candidates[] = {{&kGenericTable, true}};
#endif
  for (const Candidate& candidate : candidates) {
    if (candidate.usable && accept(*candidate.table)) return candidate.table;
  }
  return nullptr;
}

const Table& choose() {
  if (const char* wanted = std::getenv("QBENCH_KERNELS"); wanted != nullptr) {
    if (const Table* named = table_named(wanted); named != nullptr) return *named;
  }
  return *find_table([](const Table&) { return true; });
}

}  // namespace

int64_t attention_scratch(int64_t block_rows, int64_t head_dim) {
  constexpr int64_t kMostVectors = 3;
  return (block_rows + head_dim) * kMostVectors * kStrip;
}

const Table* table_named(const char* name) {
  return find_table([name](const Table& candidate) { return std::string_view(candidate.name) == name; });
}

const Table& table() {
  static const Table& chosen = choose();
  return chosen;
}

}  // namespace qbench::engine::kernels
