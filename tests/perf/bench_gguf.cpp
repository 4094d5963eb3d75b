// GGUF dequantization: bytes of float32 written per second, per storage type, and a whole file tensor by
// tensor.
//   build/bin/bench_gguf [--benchmark_filter=Q4_1]
// QBENCH_BENCH_GGUF names the file of the last benchmark; without it that one is skipped.
#include <benchmark/benchmark.h>

#include <cstdlib>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "harness/models/checkpoint.h"
#include "harness/models/gguf_blocks.h"

namespace {

using namespace qbench::models;

/// 2^18 weights: the output (1 MB) stays in the second-level cache, so that the loop and not the memory is
/// measured.
void dequantize_blocks(benchmark::State& state, const GgufType& type) {
  constexpr size_t kWeights = 1 << 18;
  std::mt19937_64 random(1);
  std::vector<std::byte> blocks(kWeights / static_cast<size_t>(type.block_weights) * type.block_bytes);
  for (std::byte& byte : blocks) byte = static_cast<std::byte>(random());
  std::vector<float> out(kWeights);
  for (auto _ : state) {
    dequantize(type, blocks, out);
    benchmark::DoNotOptimize(out.data());
    benchmark::ClobberMemory();
  }
  state.SetBytesProcessed(static_cast<int64_t>(state.iterations() * kWeights * sizeof(float)));
  state.counters["weights/s"] =
      benchmark::Counter(static_cast<double>(state.iterations() * kWeights), benchmark::Counter::kIsRate);
}

void read_file(benchmark::State& state) {
  const char* path = std::getenv("QBENCH_BENCH_GGUF");
  if (path == nullptr) return state.SkipWithError("QBENCH_BENCH_GGUF names no file");
  const auto checkpoint = Checkpoint::open(resolve_model(path));
  std::vector<float> out;
  int64_t weights = 0;
  for (auto _ : state) {
    for (const TensorInfo& tensor : checkpoint->tensors()) {
      out.resize(static_cast<size_t>(tensor.numel()));
      checkpoint->read(tensor.name, out);
      weights += tensor.numel();
    }
  }
  state.SetBytesProcessed(weights * static_cast<int64_t>(sizeof(float)));
}

void open_file(benchmark::State& state) {
  const char* path = std::getenv("QBENCH_BENCH_GGUF");
  if (path == nullptr) return state.SkipWithError("QBENCH_BENCH_GGUF names no file");
  for (auto _ : state) benchmark::DoNotOptimize(Checkpoint::open(resolve_model(path)));
}

}  // namespace

int main(int argc, char** argv) {
  for (uint32_t id = 0; id < 64; ++id) {
    const GgufType* type = gguf_type(id);
    if (type == nullptr || !type->readable) continue;
    benchmark::RegisterBenchmark(("dequantize/" + std::string(type->name)).c_str(),
                                 [type](benchmark::State& s) { dequantize_blocks(s, *type); });
  }
  benchmark::RegisterBenchmark("open_file", open_file)->Unit(benchmark::kMillisecond);
  benchmark::RegisterBenchmark("read_file", read_file)->Unit(benchmark::kMillisecond);
  benchmark::Initialize(&argc, argv);
  benchmark::RunSpecifiedBenchmarks();
}
