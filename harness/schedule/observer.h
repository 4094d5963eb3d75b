// What a run tells whoever watches it. Implementations: live display, plain lines, JSON lines (observers.h).
#pragma once

#include <cstdint>
#include <string>

#include "harness/core/fields.h"
#include "harness/plan/plan.h"

namespace qbench::schedule {

struct RunCounts {
  size_t cells = 0, illegal = 0;
  size_t steps = 0;   ///< of the plan
  size_t cached = 0;  ///< already in the store
  size_t done = 0;    ///< run now, successfully
  size_t failed = 0;  ///< failed now, or cannot run because what they need failed
};

class Observer {
 public:
  virtual ~Observer() = default;
  virtual void run_started(const plan::Plan& plan, const RunCounts& counts, int jobs, int threads) = 0;
  virtual void step_started(int worker, const plan::Step& step) = 0;
  virtual void step_progress(int worker, const plan::Step& step, const std::string& phase, int64_t position,
                             int64_t total) = 0;
  /// @param scores  "ppl 17.05, acc 0.52" for people
  virtual void step_done(int worker, const plan::Step& step, double seconds, const std::string& scores,
                         const RunCounts&) = 0;
  virtual void step_failed(int worker, const plan::Step& step, const std::string& message,
                           const RunCounts&) = 0;
  virtual void note(const std::string& message) = 0;
  /// Called several times a second while workers run.
  virtual void tick(double elapsed_s, double remaining_s) = 0;
  virtual void run_ended(const RunCounts& counts, double seconds, bool interrupted) = 0;
};

}  // namespace qbench::schedule
