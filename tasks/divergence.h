// Distance to the baseline: statistics of llama.cpp's KL report (eval_protocol, section 5.1) on float32
// logits.
#pragma once

#include <span>
#include <vector>

#include "tasks/core/task.h"

namespace qbench::tasks {

struct Estimate {
  double value = 0;
  double error = 0;  ///< standard error
};

/// All over the same scored tokens; q = this model, b = baseline; natural log; probabilities as shares, not
/// percent.
struct DivergenceStatistics {
  int64_t tokens = 0;
  Estimate ppl, ppl_base;
  Estimate ln_ratio;       ///< mean nll - mean nll_base, paired
  Estimate ratio;          ///< exp of it
  Estimate difference;     ///< ppl - ppl_base, paired
  double correlation = 0;  ///< of per-token log probabilities; 1 when both have no spread
  Estimate kl;
  double kl_max = 0, kl_p999 = 0, kl_p99 = 0, kl_median = 0, kl_p10 = 0, kl_p05 = 0, kl_p01 = 0, kl_min = 0;
  Estimate delta_p, rms_delta_p;
  Estimate same_top;
};

DivergenceStatistics divergence_statistics(std::span<const engine::DivergenceToken> tokens);

/// Linear interpolation at position f (n - 1) of sorted values; the position is a float32, as in llama.cpp.
double float_quantile(std::span<const float> sorted, double fraction);

TaskInfo divergence_task();

}  // namespace qbench::tasks
