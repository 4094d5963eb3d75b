// Methods: kernels against the matrix product of the same shape, and whole passes over a real model.
//   bench_methods [--benchmark_filter=...]            kernels, tiny inputs made here
//   QBENCH_BENCH_MODEL=smollm2-135m QBENCH_BENCH_TEXT=CALIBRATION [QBENCH_BENCH_TEST=TEXT]
//   QBENCH_BENCH_LANES=2
//     bench_methods --benchmark_filter=Quantize      with QBENCH_BENCH_TEST also the perplexity over 8
//     windows of 2048 tokens
#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <benchmark/benchmark.h>

#include <cstdlib>

#include "harness/core/files.h"
#include "harness/engine/model.h"
#include "harness/tokenizers/tokenizer.h"
#include "methods/core/artifact.h"
#include "methods/core/registry.h"
#include "methods/core/runner.h"
#include "methods/primitives/gemm.h"
#include "methods/primitives/gram.h"

namespace qbench::methods {
namespace {

std::string environment(const char* name, const char* fallback) {
  const char* value = std::getenv(name);
  return value == nullptr ? fallback : value;
}

int lane_count() { return std::atoi(environment("QBENCH_BENCH_LANES", "2").c_str()); }

at::Tensor random_matrix(int64_t rows, int64_t columns) {
  at::manual_seed(0);
  return at::randn({rows, columns});
}

void flops(benchmark::State& state, double per_iteration) {
  state.counters["GFLOP/s"] = benchmark::Counter(
      per_iteration * 1e-9 * static_cast<double>(state.iterations()), benchmark::Counter::kIsRate);
}

/// The yardstick: x^T x as one full product, one lane.
void FullProduct(benchmark::State& state) {
  const int64_t channels = state.range(0), tokens = 4096;
  const at::Tensor xt = random_matrix(channels, tokens);
  for (auto _ : state) benchmark::DoNotOptimize(matmul_transposed(xt, xt));
  flops(state, 2.0 * static_cast<double>(channels * channels * tokens));
}
BENCHMARK(FullProduct)->Arg(576)->Arg(1536)->Unit(benchmark::kMillisecond)->UseRealTime();

/// Gram update; GFLOP/s counts the full product, so symmetric tiles may exceed the yardstick.
void GramUpdate(benchmark::State& state) {
  const int64_t channels = state.range(0), tokens = 4096;
  const std::vector<at::Tensor> x = {random_matrix(tokens / 2, channels),
                                     random_matrix(tokens / 2, channels)};
  const Lanes lanes(static_cast<int>(state.range(1)));
  GramAccumulator gram(channels);
  for (auto _ : state) gram.add(x, lanes);
  flops(state, 2.0 * static_cast<double>(channels * channels * tokens));
}
BENCHMARK(GramUpdate)
    ->Args({576, 1})
    ->Args({1536, 1})
    ->Args({1536, 2})
    ->Unit(benchmark::kMillisecond)
    ->UseRealTime();

void FactorInverse(benchmark::State& state) {
  const int64_t channels = state.range(0);
  const at::Tensor x = random_matrix(4 * channels, channels);
  const at::Tensor h = at::mm(x.t(), x);
  const Lanes lanes(static_cast<int>(state.range(1)));
  for (auto _ : state) benchmark::DoNotOptimize(factor_inverse(h, {}, "bench", lanes).u);
}
BENCHMARK(FactorInverse)
    ->Args({576, 1})
    ->Args({1536, 1})
    ->Args({1536, 2})
    ->Unit(benchmark::kMillisecond)
    ->UseRealTime();

/// The column loop alone; its work is rows * columns^2 multiply-adds.
void GptqColumnLoop(benchmark::State& state) {
  const int64_t rows = state.range(0), columns = state.range(1);
  const at::Tensor x = random_matrix(4 * columns, columns);
  const Lanes lanes(static_cast<int>(state.range(2)));
  const InverseFactor factor = factor_inverse(at::mm(x.t(), x), {}, "bench", lanes);
  const at::Tensor w = random_matrix(rows, columns);
  double loss = 0;
  for (auto _ : state) {
    QuantizedWeight result;
    std::vector<FeedbackJob> jobs = {{w, &result}};
    quantize_with_feedback(jobs, factor.u, Slices{64, false}, GridSpec{}, FeedbackOptions{}, lanes, false);
    loss = result.loss;
  }
  state.counters["loss"] = loss;
  flops(state, static_cast<double>(rows * columns * columns));
}
BENCHMARK(GptqColumnLoop)
    ->Args({576, 576, 1})
    ->Args({576, 1536, 1})
    ->Args({576, 1536, 2})
    ->Unit(benchmark::kMillisecond)
    ->UseRealTime();

void RoundToNearest(benchmark::State& state) {
  const at::Tensor w = random_matrix(1536, 576);
  GridSpec spec;
  spec.symmetric = state.range(0) != 0;
  for (auto _ : state)
    benchmark::DoNotOptimize(round_to_nearest(w, Slices{64, false}, spec, Lanes(1), false).w_hat);
  state.SetItemsProcessed(state.iterations() * w.numel());
}
BENCHMARK(RoundToNearest)->Arg(1)->Arg(0)->Unit(benchmark::kMillisecond);

struct RealModel {
  std::unique_ptr<engine::Model> model;
  std::vector<int32_t> ids;
};

RealModel& real_model() {
  static RealModel real = [] {
    const models::ModelSource source =
        models::resolve_model(environment("QBENCH_BENCH_MODEL", "smollm2-135m"));
    RealModel loaded{engine::Model::load(models::Checkpoint::open(source)), {}};
    loaded.ids = tokenizers::load_tokenizer(source)->encode(
        read_text_file(environment("QBENCH_BENCH_TEXT", "README.md")), {false, true});
    return loaded;
  }();
  return real;
}

std::vector<std::vector<int32_t>> real_samples(int64_t count, int64_t length) {
  const std::vector<int32_t>& ids = real_model().ids;
  std::vector<std::vector<int32_t>> samples;
  for (int64_t i = 0; i < count; ++i) {
    std::vector<int32_t> sample;
    for (int64_t t = 0; t < length; ++t)
      sample.push_back(ids[static_cast<size_t>(i * length + t) % ids.size()]);
    samples.push_back(std::move(sample));
  }
  return samples;
}

/// exp(mean nll) over the first windows of 2048 tokens of QBENCH_BENCH_TEST; each window stands alone.
double perplexity(const Lanes& lanes) {
  RealModel& real = real_model();
  static const std::vector<int32_t> ids =
      tokenizers::load_tokenizer(models::resolve_model(environment("QBENCH_BENCH_MODEL", "smollm2-135m")))
          ->encode(read_text_file(environment("QBENCH_BENCH_TEST", "")), {false, true});
  constexpr size_t kWindow = 2048, kWindows = 8;
  std::vector<double> nll(std::min(kWindows, ids.size() / kWindow));
  lanes.run(nll.size(), [&](size_t w, int) {
    const std::span<const int32_t> window(ids.data() + w * kWindow, kWindow);
    const at::Tensor hidden = engine::hidden_states(*real.model, window, {static_cast<int64_t>(kWindow)});
    for (size_t t = 0; t + 1 < kWindow; t += 256) {
      const auto rows = static_cast<int64_t>(std::min<size_t>(256, kWindow - 1 - t));
      const at::Tensor logits = engine::logits(*real.model, hidden.narrow(0, static_cast<int64_t>(t), rows));
      at::Tensor target = at::empty({rows, 1}, at::kLong);
      for (int64_t r = 0; r < rows; ++r)
        target.data_ptr<int64_t>()[r] = window[t + static_cast<size_t>(r) + 1];
      nll[w] += (at::logsumexp(logits, {1}, true) - logits.gather(1, target)).sum(at::kDouble).item<double>();
    }
  });
  double sum = 0;
  for (const double value : nll) sum += value;
  return std::exp(sum / static_cast<double>(nll.size() * (kWindow - 1)));
}

/// A whole recipe on the real model: state.range = samples of 512 tokens.
void quantize(benchmark::State& state, const char* recipe_text, const char* scheme_text) {
  RealModel& real = real_model();
  const auto samples = real_samples(state.range(0), 512);
  const Recipe recipe = parse_recipe(
      recipe_text != nullptr ? recipe_text : environment("QBENCH_BENCH_RECIPE", "rtn"), registered_methods());
  const Scheme scheme =
      parse_scheme(scheme_text != nullptr ? scheme_text : environment("QBENCH_BENCH_SCHEME", "w4a16g64"));
  const Lanes lanes(lane_count());
  const std::optional<FpStatistics> statistics =
      needs_fp_statistics(recipe) ? std::optional(gather_fp_statistics(*real.model, samples, lanes))
                                  : std::nullopt;
  for (auto _ : state) {
    const QuantizeResult result =
        quantize_model(*real.model, recipe, scheme, samples, statistics ? &*statistics : nullptr, 0, lanes);
    for (const auto& [phase, seconds] : result.seconds) state.counters[phase + "_s"] = seconds;
    state.counters["bits"] = result.effective_bits;
  }
  if (std::getenv("QBENCH_BENCH_TEST") != nullptr) state.counters["ppl"] = perplexity(lanes);
  real.model->restore();
}
#define QB_BENCH_QUANTIZE(name, recipe, scheme)     \
  BENCHMARK_CAPTURE(quantize, name, recipe, scheme) \
      ->Name("Quantize/" #name)                     \
      ->Unit(benchmark::kSecond)                    \
      ->UseRealTime()                               \
      ->Iterations(1)
QB_BENCH_QUANTIZE(rtn_w4g64, "rtn", "w4a16g64")->Arg(1);
QB_BENCH_QUANTIZE(gptq_w4g64, "gptq", "w4a16g64-asym")->Arg(32)->Arg(64);
QB_BENCH_QUANTIZE(awq_w4g64, "awq", "w4a16g64")->Arg(32);
QB_BENCH_QUANTIZE(awq_w3, "awq", "w3a16")->Arg(32);
/// QBENCH_BENCH_RECIPE and QBENCH_BENCH_SCHEME.
QB_BENCH_QUANTIZE(custom, nullptr, nullptr)->Arg(64);
QB_BENCH_QUANTIZE(smoothquant_gptq_w8a8, "smoothquant|gptq", "w8a8")->Arg(32);

void Statistics(benchmark::State& state) {
  const auto samples = real_samples(state.range(0), 512);
  for (auto _ : state)
    benchmark::DoNotOptimize(gather_fp_statistics(*real_model().model, samples, Lanes(lane_count())).tokens);
}
BENCHMARK(Statistics)
    ->Name("Quantize/statistics")
    ->Arg(32)
    ->Unit(benchmark::kSecond)
    ->UseRealTime()
    ->Iterations(1);

void Artifact(benchmark::State& state) {
  RealModel& real = real_model();
  const Lanes lanes(lane_count());
  quantize_model(*real.model, parse_recipe("rtn", registered_methods()), parse_scheme("w4a16g64"), {},
                 nullptr, 0, lanes);
  const auto path = std::filesystem::temp_directory_path() / "qbench-bench-artifact";
  for (auto _ : state) {
    if (state.range(0) == 0)
      save_artifact(*real.model, path, lanes);
    else
      load_artifact(*real.model, path, lanes);
  }
  state.counters["MB"] = static_cast<double>(std::filesystem::file_size(path)) * 1e-6;
  real.model->restore();
}
BENCHMARK(Artifact)
    ->Name("Quantize/artifact_save_load")
    ->Arg(0)
    ->Arg(1)
    ->Unit(benchmark::kSecond)
    ->UseRealTime()
    ->Iterations(1);

}  // namespace
}  // namespace qbench::methods

int main(int argc, char** argv) {
  at::set_num_threads(1);
  qbench::Lanes::set_thread_initializer([] { at::set_num_threads(1); });
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
