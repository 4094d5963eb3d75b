// Time of loading a tokenizer and of encoding and decoding a text with it.
//   bench_tokenizer MODEL TEXTFILE [Google Benchmark options]
// MODEL is a folder with tokenizer.json or tokenizer.model, or a GGUF file. Compare against another library
// on the same machine at the same time, alternating, medians of several repetitions:
//   bench_tokenizer model.gguf test.txt --benchmark_repetitions=9 --benchmark_report_aggregates_only=true
#include <benchmark/benchmark.h>

#include <iostream>
#include <memory>
#include <string>

#include "harness/core/files.h"
#include "harness/tokenizers/tokenizer.h"

namespace {

using qbench::models::ModelSource;
using qbench::models::SourceKind;
using qbench::tokenizers::Tokenizer;

void load(benchmark::State& state, const ModelSource& source) {
  for (auto _ : state) benchmark::DoNotOptimize(qbench::tokenizers::load_tokenizer(source));
}

/// A new tokenizer each time: no word has been seen before.
void encode_cold(benchmark::State& state, const ModelSource& source, const std::string& text) {
  for (auto _ : state) {
    state.PauseTiming();
    auto tokenizer = qbench::tokenizers::load_tokenizer(source);
    state.ResumeTiming();
    benchmark::DoNotOptimize(tokenizer->encode(text));
    state.PauseTiming();
    tokenizer.reset();
    state.ResumeTiming();
  }
  state.SetBytesProcessed(state.iterations() * static_cast<int64_t>(text.size()));
}

void encode_warm(benchmark::State& state, const Tokenizer& tokenizer, const std::string& text) {
  size_t tokens = 0;
  for (auto _ : state) tokens = tokenizer.encode(text).size();
  state.SetBytesProcessed(state.iterations() * static_cast<int64_t>(text.size()));
  state.counters["tokens"] = static_cast<double>(tokens);
}

/// Line by line, as tasks with short documents do.
void encode_lines(benchmark::State& state, const Tokenizer& tokenizer, const std::string& text) {
  for (auto _ : state) {
    for (size_t begin = 0; begin < text.size();) {
      const size_t line = text.find('\n', begin);
      const size_t end = line == std::string::npos ? text.size() : line + 1;
      benchmark::DoNotOptimize(tokenizer.encode(std::string_view(text).substr(begin, end - begin)));
      begin = end;
    }
  }
  state.SetBytesProcessed(state.iterations() * static_cast<int64_t>(text.size()));
}

void decode(benchmark::State& state, const Tokenizer& tokenizer, const std::vector<int32_t>& ids) {
  for (auto _ : state) benchmark::DoNotOptimize(tokenizer.decode(ids));
  state.SetItemsProcessed(state.iterations() * static_cast<int64_t>(ids.size()));
}

}  // namespace

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  if (argc != 3) {
    std::cerr << "usage: bench_tokenizer MODEL TEXTFILE [--benchmark_...]\n";
    return 2;
  }
  try {
    ModelSource source{.name = argv[1], .path = argv[1]};
    if (source.path.extension() == ".gguf") source.kind = SourceKind::kGguf;
    const std::string text = qbench::read_maybe_compressed(argv[2]);
    const auto tokenizer = qbench::tokenizers::load_tokenizer(source);
    const std::vector<int32_t> ids = tokenizer->encode(text);
    const auto unit = benchmark::kMillisecond;
    benchmark::RegisterBenchmark("load", load, source)->Unit(unit);
    benchmark::RegisterBenchmark("encode_cold", encode_cold, source, text)->Unit(unit);
    benchmark::RegisterBenchmark("encode_warm", [&](benchmark::State& state) {
      encode_warm(state, *tokenizer, text);
    })->Unit(unit);
    benchmark::RegisterBenchmark("encode_lines", [&](benchmark::State& state) {
      encode_lines(state, *tokenizer, text);
    })->Unit(unit);
    benchmark::RegisterBenchmark("decode", [&](benchmark::State& state) {
      decode(state, *tokenizer, ids);
    })->Unit(unit);
    benchmark::RunSpecifiedBenchmarks();
  } catch (const std::exception& error) {
    std::cerr << error.what() << '\n';
    return 1;
  }
  return 0;
}
