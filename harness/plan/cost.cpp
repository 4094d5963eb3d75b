#include "harness/plan/cost.h"

#include <algorithm>

namespace qbench::plan {
namespace {

constexpr uint64_t kRuntimeBytes = 300ULL << 20;  // libtorch, tokenizer, allocator slack of one worker

uint64_t floats(int64_t count) { return static_cast<uint64_t>(count) * sizeof(float); }

uint64_t model_bytes(const models::Architecture& a) { return floats(total_parameters(a)) + kRuntimeBytes; }

double seconds(double gflop) { return gflop / kLaneGflops; }

}  // namespace

int64_t linear_parameters(const models::Architecture& a) {
  const int64_t attention = a.hidden_size * (2 * a.q_size() + 2 * a.kv_size());
  return a.layers * (attention + 3 * a.hidden_size * a.intermediate_size);
}

int64_t total_parameters(const models::Architecture& a) {
  return linear_parameters(a) + a.vocab_size * a.hidden_size * (a.tied_embeddings ? 1 : 2) +
         a.hidden_size * (2 * a.layers + 1);
}

double forward_gflop(const models::Architecture& a, int64_t tokens, int64_t length, int64_t scored) {
  const double t = static_cast<double>(tokens);
  const double linears = 2.0 * t * static_cast<double>(linear_parameters(a));
  // Scores and weighted values over a causal triangle: half of two products of [length, head_dim].
  const double attention = 2.0 * t * static_cast<double>(length) * static_cast<double>(a.q_size() * a.layers);
  const double head = 2.0 * static_cast<double>(scored) * static_cast<double>(a.vocab_size * a.hidden_size);
  return (linears + attention + head) * 1e-9;
}

Estimate evaluate_estimate(const models::Architecture& a, const tasks::TaskCost& cost, bool divergence) {
  Estimate estimate;
  const int64_t scored = cost.scored_tokens * (divergence ? 2 : 1);
  estimate.gflop = forward_gflop(a, cost.tokens, cost.longest, scored);
  estimate.seconds = seconds(estimate.gflop);
  const int64_t widest = std::max(3 * a.intermediate_size, 4 * a.hidden_size);
  estimate.memory_bytes = model_bytes(a) + 2 * floats(std::max<int64_t>(cost.longest, 2048) * widest);
  if (divergence) estimate.memory_bytes += floats(cost.scored_tokens * a.hidden_size);
  return estimate;
}

Estimate statistics_estimate(const models::Architecture& a, CalibrationSize calibration) {
  const int64_t tokens = calibration.samples * calibration.length;
  Estimate estimate;
  estimate.gflop = forward_gflop(a, tokens, calibration.length, 0);
  estimate.seconds = seconds(estimate.gflop);
  estimate.memory_bytes = model_bytes(a) + floats(tokens * a.hidden_size * 3);
  estimate.disk_bytes = floats(a.layers * (3 * a.hidden_size + a.intermediate_size) * 2);
  return estimate;
}

Estimate quantize_estimate(const models::Architecture& a, CalibrationSize calibration, double forwards,
                           bool gram) {
  const int64_t tokens = calibration.samples * calibration.length;
  Estimate estimate;
  const double per_weight = 60.0;  // fitting and rounding a grid, a few passes over every weight
  estimate.gflop = forwards * forward_gflop(a, tokens, calibration.length, 0) +
                   per_weight * static_cast<double>(linear_parameters(a)) * 1e-9;
  estimate.memory_bytes = model_bytes(a) + floats(linear_parameters(a) / std::max<int64_t>(a.layers, 1));
  if (forwards > 0) estimate.memory_bytes += floats(tokens * (3 * a.hidden_size + a.intermediate_size));
  if (gram) {
    const double h = static_cast<double>(a.hidden_size), m = static_cast<double>(a.intermediate_size);
    const double t = static_cast<double>(tokens);
    // Gram matrices (a triangle each), factorisations, and the column loops over all rows.
    const double grams =
        t * (2 * h * h + static_cast<double>(a.q_size()) * static_cast<double>(a.q_size()) + m * m);
    const double factors = 3.0 * (3 * h * h * h + m * m * m);
    const double loops =
        h * h * static_cast<double>(2 * a.q_size() + 2 * a.kv_size()) + 2 * h * h * m + m * m * h;
    estimate.gflop += static_cast<double>(a.layers) * (grams + factors + loops) * 1e-9;
    estimate.memory_bytes += 4 * floats(a.intermediate_size * a.intermediate_size);
  }
  estimate.seconds = seconds(estimate.gflop);
  estimate.disk_bytes =
      static_cast<uint64_t>(linear_parameters(a));  // float32 on a small grid packs to about a byte
  return estimate;
}

}  // namespace qbench::plan
