// Speed of the forward pass: GFLOP/s of its parts, tokens/s of a block, and the share of a block's time that
// the bare matrix products of the same shapes would take. SmolLM2-135M shapes. One lane unless the name says
// otherwise.
//   build/bin/bench_forward --benchmark_filter=. --benchmark_repetitions=5
//   --benchmark_report_aggregates_only=true
// Scorer/* use the real model if it is in the model folder, random weights otherwise (same shapes, same
// work).
#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <benchmark/benchmark.h>

#include <chrono>
#include <random>

#include "harness/engine/model_scorer.h"
#include "harness/engine/unit_forward.h"
#include "tests/support/fixtures.h"
#include "tests/unit/engine/random_model.h"

namespace qbench::engine {
namespace {

using Clock = std::chrono::steady_clock;
using kernels::kStrip;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

const Model& block_model() {
  static const std::unique_ptr<Model> model = testing::random_model(testing::smollm_architecture(1), 1);
  return *model;
}

const Model& whole_model() {
  static const std::unique_ptr<Model> model = [] {
    const auto file = testing_support::smollm2_gguf();
    return file ? Model::load(models::Checkpoint::open(models::resolve_model(file->string())))
                : testing::random_model(testing::smollm_architecture(30), 1);
  }();
  return *model;
}

void gemms_of_block(const Block& block, const float* x, const float* inner, int64_t strips, float* out) {
  for (const Role role : {Role::kQ, Role::kK, Role::kV, Role::kO, Role::kGate, Role::kUp}) {
    apply_linear(block.linear(role), x, strips, out, block.linear(role).out_features(), false);
  }
  apply_linear(block.linear(Role::kDown), inner, strips, out, block.linear(Role::kDown).out_features(),
               false);
}

void bench_block(benchmark::State& state) {
  const Model& model = block_model();
  const int64_t tokens = state.range(0);
  const Unit unit = unit_of_lengths(model.architecture(), {tokens});
  const ArenaLease arena;
  UnitForward forward(model.architecture(), {&unit, 1}, 0, {}, *arena);
  const int64_t floats = forward.strips() * kStrip * 1536;
  float *inner = arena->floats(floats), *out = arena->floats(floats);
  std::fill_n(inner, floats, 0.01F);
  std::fill_n(forward.hidden(), forward.strips() * kStrip * 576, 0.1F);
  double block_seconds = 0, gemm_seconds = 0;
  for (auto _ : state) {
    auto start = Clock::now();
    forward.run_block(model.blocks[0], nullptr);
    const double seconds = seconds_since(start);
    state.SetIterationTime(seconds);
    block_seconds += seconds;
    start = Clock::now();
    gemms_of_block(model.blocks[0], forward.hidden(), inner, forward.strips(), out);
    gemm_seconds += seconds_since(start);
  }
  state.counters["tokens/s"] = static_cast<double>(state.iterations() * tokens) / block_seconds;
  state.counters["gemm_share"] = gemm_seconds / block_seconds;
}
BENCHMARK(bench_block)
    ->Arg(128)
    ->Arg(512)
    ->Arg(2048)
    ->UseManualTime()
    ->Unit(benchmark::kMillisecond)
    ->Name("Block");

void bench_gemm(benchmark::State& state) {
  const int64_t tokens = state.range(0), n = state.range(1), k = state.range(2), strips = strips_of(tokens);
  const Linear linear{"", at::randn({n, k}), {}};
  const ArenaLease arena;
  float *x = arena->floats(strips * kStrip * k), *out = arena->floats(strips * kStrip * n);
  std::fill_n(x, strips * kStrip * k, 0.5F);
  for (auto _ : state) apply_linear(linear, x, strips, out, n, false);
  state.counters["GFLOP/s"] = benchmark::Counter(
      2e-9 * static_cast<double>(state.iterations() * tokens * n * k), benchmark::Counter::kIsRate);
}
BENCHMARK(bench_gemm)
    ->Args({2048, 1536, 576})
    ->Args({2048, 576, 1536})
    ->Args({48, 1536, 576})
    ->Args({16, 1536, 576})
    ->Name("Gemm");

void bench_attention(benchmark::State& state) {
  const models::Architecture a = testing::smollm_architecture(1);
  const int64_t tokens = state.range(0), rows = a.q_size() + 2 * a.kv_size();
  const Unit unit = unit_of_lengths(a, {tokens});
  const AttentionPlan plan = plan_attention({&unit, 1}, 0);
  const ArenaLease arena;
  const int64_t strips = strips_of(tokens);
  float *qkv = arena->floats(strips * kStrip * rows), *out = arena->floats(strips * kStrip * a.q_size());
  std::mt19937 engine(1);
  std::normal_distribution<float> draw(0.0F, 0.5F);
  for (int64_t i = 0; i < strips * kStrip * rows; ++i) qkv[i] = draw(engine);
  float* scratch = arena->floats(kernels::attention_scratch(plan.block_keys, a.head_dim));
  const kernels::KeySource source{qkv + a.q_size() * kStrip, qkv + (a.q_size() + a.kv_size()) * kStrip, rows};
  for (auto _ : state) {
    kernels::table().attention({qkv, rows, out, a.q_size(), strips, a.heads, a.kv_heads, a.head_dim, &source,
                                plan.runs.data(), plan.blocks.data(), plan.strip_blocks.data(),
                                plan.masks.data(), scratch});
  }
  const double flops =
      2.0 * static_cast<double>(tokens * (tokens + 1) * a.q_size());  // the causal half of both products
  state.counters["GFLOP/s"] =
      benchmark::Counter(1e-9 * flops * static_cast<double>(state.iterations()), benchmark::Counter::kIsRate);
}
BENCHMARK(bench_attention)
    ->Arg(512)
    ->Arg(1024)
    ->Arg(2048)
    ->Unit(benchmark::kMillisecond)
    ->Name("CausalAttention");

void bench_head(benchmark::State& state) {
  const int64_t rows = state.range(0), strips = strips_of(rows), width = 576, vocab = 49152;
  static const at::Tensor head = at::randn({vocab, width}) * 0.05;
  const ArenaLease arena;
  float* x = arena->floats(strips * kStrip * width);
  std::fill_n(x, strips * kStrip * width, 0.5F);
  std::vector<kernels::LogitState> states(static_cast<size_t>(strips));
  for (auto _ : state)
    kernels::table().head({head.data_ptr<float>(), vocab, width, x, strips, states.data()});
  state.counters["GFLOP/s"] = benchmark::Counter(
      2e-9 * static_cast<double>(state.iterations() * rows * width * vocab), benchmark::Counter::kIsRate);
}
BENCHMARK(bench_head)->Arg(16)->Arg(256)->Arg(2048)->Unit(benchmark::kMillisecond)->Name("HeadWithLogSumExp");

ScoreRequest random_request(std::mt19937& engine, const std::vector<int32_t>& prefix, int64_t tokens) {
  ScoreRequest request{prefix, std::max<int64_t>(std::ssize(prefix), 1)};
  for (int64_t i = 0; i < tokens; ++i) request.tokens.push_back(static_cast<int32_t>(engine() % 49152));
  return request;
}

void bench_windows(benchmark::State& state) {
  std::mt19937 engine(7);
  std::vector<ScoreRequest> requests;
  for (int i = 0; i < 4; ++i) requests.push_back(random_request(engine, {}, state.range(0)));
  const auto scorer = make_scorer(whole_model(), Lanes(static_cast<int>(state.range(1))));
  for (auto _ : state) benchmark::DoNotOptimize(scorer->score(requests));
  state.counters["tokens/s"] = benchmark::Counter(
      static_cast<double>(state.iterations() * 4 * state.range(0)), benchmark::Counter::kIsRate);
}
BENCHMARK(bench_windows)
    ->Args({2048, 1})
    ->Args({2048, 2})
    ->Args({512, 2})
    ->UseRealTime()
    ->Unit(benchmark::kMillisecond)
    ->Name("Scorer/windows")
    ->Iterations(1);

// 40 items of four choices: 70 tokens of context each, 25 of choice, and a prefix that all items share.
void bench_choices(benchmark::State& state) {
  std::mt19937 engine(7);
  const std::vector<int32_t> shared = random_request(engine, {}, state.range(0)).tokens;
  std::vector<ScoreRequest> requests;
  for (int item = 0; item < 40; ++item) {
    const std::vector<int32_t> context = random_request(engine, shared, 70).tokens;
    for (int choice = 0; choice < 4; ++choice) requests.push_back(random_request(engine, context, 25));
  }
  const auto scorer = make_scorer(whole_model(), Lanes(2));
  for (auto _ : state) benchmark::DoNotOptimize(scorer->score(requests));
  state.counters["requests/s"] =
      benchmark::Counter(static_cast<double>(state.iterations()) * 160, benchmark::Counter::kIsRate);
}
BENCHMARK(bench_choices)
    ->Arg(0)
    ->Arg(600)
    ->UseRealTime()
    ->Unit(benchmark::kMillisecond)
    ->Name("Scorer/choices")
    ->Iterations(1);

void bench_generation(benchmark::State& state) {
  std::mt19937 engine(7);
  std::vector<GenerateRequest> requests;
  for (int64_t i = 0; i < state.range(0); ++i)
    requests.push_back({random_request(engine, {}, 64).tokens, 32, {}});
  const auto scorer = make_scorer(whole_model(), Lanes(2));
  for (auto _ : state) benchmark::DoNotOptimize(scorer->generate(requests));
  state.counters["tokens/s"] = benchmark::Counter(
      static_cast<double>(state.iterations() * state.range(0) * 32), benchmark::Counter::kIsRate);
}
BENCHMARK(bench_generation)
    ->Arg(1)
    ->Arg(32)
    ->UseRealTime()
    ->Unit(benchmark::kMillisecond)
    ->Name("Scorer/generate")
    ->Iterations(1);

}  // namespace
}  // namespace qbench::engine

int main(int argc, char** argv) {
  at::set_num_threads(1);
  benchmark::Initialize(&argc, argv);
  benchmark::RunSpecifiedBenchmarks();
}
