// A made-up store of a realistic size: one model, three calibration sets, four recipes, three schemes,
// perplexity and two multiple-choice tasks, with failures, fallbacks, combinations that are not legal and
// shared steps. Deterministic.
#pragma once

#include <filesystem>
#include <functional>

#include "results/store.h"

namespace qbench::testing_support {

struct SampleOptions {
  int models = 1;
  int layers = 6;   ///< blocks of the model; 7 linears each
  int items = 100;  ///< of each multiple-choice task
  int windows = 24;
  double drift = 0;  ///< added to every quantized window's nll: a second store that differs
  bool failures = true;
  int extra_recipes = 0;
};

/// Writes two runs: the first with the w8a8 cells only, the second with everything.
void write_sample_store(const std::filesystem::path& path, const SampleOptions& options = {});

}  // namespace qbench::testing_support
