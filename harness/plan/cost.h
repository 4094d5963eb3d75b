// The cost model: arithmetic, memory and disk of a step, from the architecture and the sizes in its specs.
#pragma once

#include "harness/models/architecture.h"
#include "harness/plan/plan.h"
#include "tasks/core/task.h"

namespace qbench::plan {

/// Assumed speed of one lane, GFLOP/s. Only estimates depend on it; `qbench plan` prints it beside them.
inline constexpr double kLaneGflops = 100.0;

/// Weights of the linears of all blocks, and of everything.
int64_t linear_parameters(const models::Architecture& a);
int64_t total_parameters(const models::Architecture& a);

/// Forward of `tokens` tokens in sequences of `length`, head applied to `scored` rows.
double forward_gflop(const models::Architecture& a, int64_t tokens, int64_t length, int64_t scored);

/// @param divergence  the task compares with the baseline: two heads per scored row
Estimate evaluate_estimate(const models::Architecture& a, const tasks::TaskCost& cost, bool divergence);

struct CalibrationSize {
  int64_t samples = 0, length = 0;
};
Estimate statistics_estimate(const models::Architecture& a, CalibrationSize calibration);
/// @param forwards  passes of every block over the calibration tokens that the recipe's methods declare
Estimate quantize_estimate(const models::Architecture& a, CalibrationSize calibration, double forwards,
                           bool gram);

}  // namespace qbench::plan
