// The reductions of window perplexity, for tests and reports; the task itself is reached through the
// registry.
#pragma once

#include <span>

#include "tasks/core/task.h"

namespace qbench::tasks {

enum class WindowRule {
  kMeanOfWindows,  ///< exp of the mean of window means; error: between windows
  kMeanOfTokens,   ///< exp of the mean over tokens; error: between tokens (llama.cpp's printed +-)
};

/// Appends one item per window and the scores ppl and nll (natural log per token).
/// A window with a value that is not finite makes ppl infinite and is counted in provenance["diverged"].
void reduce_windows(WindowRule rule, std::span<const engine::ScoreResult> windows, TaskResult& result);

TaskInfo perplexity_task();

}  // namespace qbench::tasks
