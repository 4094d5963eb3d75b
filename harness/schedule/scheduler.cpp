#include "harness/schedule/scheduler.h"

#include <fmt/format.h>
#include <poll.h>
#include <signal.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <map>
#include <memory>
#include <optional>

#include "harness/core/errors.h"
#include "harness/core/quantity.h"
#include "harness/schedule/wire.h"
#include "harness/schedule/worker_process.h"

namespace qbench::schedule {
namespace {

using Clock = std::chrono::steady_clock;

std::atomic<int> stop_signal{0};

/// Turns SIGINT and SIGTERM into a flag for the time of a run.
class StopOnSignal {
 public:
  StopOnSignal() {
    stop_signal = 0;
    struct sigaction action {};
    action.sa_handler = [](int number) { stop_signal = number; };
    ::sigaction(SIGINT, &action, &old_int_);
    ::sigaction(SIGTERM, &action, &old_term_);
    struct sigaction ignore {};
    ignore.sa_handler = SIG_IGN;
    ::sigaction(SIGPIPE, &ignore, &old_pipe_);  // a dead worker is seen by its exit, not by a signal to us
  }
  ~StopOnSignal() {
    ::sigaction(SIGINT, &old_int_, nullptr);
    ::sigaction(SIGTERM, &old_term_, nullptr);
    ::sigaction(SIGPIPE, &old_pipe_, nullptr);
  }
  StopOnSignal(const StopOnSignal&) = delete;
  StopOnSignal& operator=(const StopOnSignal&) = delete;

 private:
  struct sigaction old_int_ {
  }, old_term_{}, old_pipe_{};
};

enum class StepState { kWaiting, kRunning, kDone, kFailed };

struct Slot {
  std::unique_ptr<WorkerProcess> process;
  std::optional<size_t> step;  // running
  Clock::time_point started;
  std::string phase, layer;  // last progress, for failure rows
  std::string weights;       // quantize key resident in the worker, "" = unquantized
  std::string model;         // model resident in the worker
  uint64_t memory = 0;       // largest estimate given to this process
  uint64_t peak_rss = 0;
};

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

std::string score_summary(const results::StepOutcome& outcome) {
  std::string text;
  for (const auto& score : outcome.scores)
    text += fmt::format("{}{} {:.4g}", text.empty() ? "" : ", ", score.metric, score.value);
  if (outcome.kind == "quantize" && !outcome.layers.empty()) {
    double bits = 0, weights = 0;
    size_t fallbacks = 0;
    for (const auto& layer : outcome.layers) {
      bits += layer.bits_effective * static_cast<double>(layer.parameters);
      weights += static_cast<double>(layer.parameters);
      fallbacks += layer.fallback.empty() ? 0 : 1;
    }
    text = fmt::format("{:.3f} effective bits", weights > 0 ? bits / weights : 0);
    if (fallbacks > 0) text += fmt::format(", {} layers with a fallback (see the ledger)", fallbacks);
  }
  return text;
}

class Run {
 public:
  Run(const plan::Plan& plan, results::Store& store, int64_t run, const ScheduleOptions& options,
      Observer& observer)
      : plan_(plan),
        store_(store),
        run_(run),
        options_(options),
        observer_(observer),
        layout_(choose_layout(plan, options)),
        budget_(options.memory_bytes > 0 ? options.memory_bytes : available_memory()),
        states_(plan.steps.size()) {
    counts_.cells = plan.cells.size();
    for (const auto& cell : plan.cells) counts_.illegal += cell.row.illegal.empty() ? 0 : 1;
    counts_.steps = plan.steps.size();
    for (size_t i = 0; i < plan.steps.size(); ++i) {
      states_[i] = plan.steps[i].done ? StepState::kDone : StepState::kWaiting;
      counts_.cached += plan.steps[i].done ? 1 : 0;
    }
    slots_.resize(static_cast<size_t>(layout_.jobs));
  }

  RunSummary execute() {
    const StopOnSignal guard;
    const auto start = Clock::now();
    observer_.run_started(plan_, counts_, layout_.jobs, layout_.threads);
    drop_stale_artifacts();
    while (stop_signal == 0) {
      fill_slots();
      if (running() == 0) break;
      wait_for_events();
      check_timeouts();
      observer_.tick(seconds_since(start), remaining_seconds());
    }
    RunSummary summary;
    summary.interrupted = stop_signal != 0;
    stop_workers();
    summary.counts = counts_;
    summary.seconds = seconds_since(start);
    observer_.run_ended(counts_, summary.seconds, summary.interrupted);
    return summary;
  }

 private:
  size_t running() const {
    return static_cast<size_t>(
        std::count_if(slots_.begin(), slots_.end(), [](const Slot& s) { return s.step.has_value(); }));
  }

  bool ready(size_t index) const {
    if (states_[index] != StepState::kWaiting) return false;
    const auto& needs = plan_.steps[index].needs;
    return std::all_of(needs.begin(), needs.end(), [&](const std::string& key) {
      return states_[plan_.step_index.at(key)] == StepState::kDone;
    });
  }

  /// Prefers what the worker already holds, then what unblocks others; taking over another worker's cell
  /// comes last.
  int preference(const Slot& slot, const plan::Step& step) const {
    const std::string weights = weights_of(step);
    if (step.kind == plan::StepKind::kEvaluate) {
      if (slot.process && slot.model == step.request.at("model") && slot.weights == weights) return 0;
      const bool held_elsewhere = std::any_of(slots_.begin(), slots_.end(), [&](const Slot& other) {
        return &other != &slot && other.process && other.weights == weights &&
               other.model == step.request.at("model") && !weights.empty();
      });
      return held_elsewhere ? 4 : weights.empty() ? 1 : 2;
    }
    return step.kind == plan::StepKind::kStatistics ? 1 : 3;
  }

  std::string weights_of(const plan::Step& step) const {
    return step.kind == plan::StepKind::kEvaluate && !step.needs.empty() ? step.needs.front() : "";
  }

  void fill_slots() {
    for (Slot& slot : slots_) {
      while (!slot.step) {
        const auto choice = choose(slot);
        if (!choice) break;
        if (!start(slot, *choice)) break;
      }
    }
  }

  std::optional<size_t> choose(const Slot& slot) {
    std::optional<size_t> best;
    int best_preference = 100;
    for (size_t i = 0; i < plan_.steps.size(); ++i) {
      if (!ready(i)) continue;
      const int p = preference(slot, plan_.steps[i]);
      if (p < best_preference) {
        best_preference = p;
        best = i;
      }
    }
    return best;
  }

  /// @return false when the step has to wait for memory.
  bool start(Slot& slot, size_t index) {
    const plan::Step& step = plan_.steps[index];
    const uint64_t need = step.estimate.memory_bytes;
    if (need > budget_) {
      fail_step(slot, index, "memory",
                fmt::format(
                    "needs about {} but the budget is {}. Raise --memory, or use a machine with more memory.",
                    print_bytes(need), print_bytes(budget_)));
      return true;
    }
    uint64_t others = 0;
    for (const Slot& other : slots_) others += &other == &slot || !other.process ? 0 : other.memory;
    if (others + std::max(need, slot.memory) > budget_) {
      // An idle worker keeps its model; give that memory back before waiting for it.
      for (Slot& other : slots_) {
        if (&other != &slot && other.process && !other.step) retire(other);
      }
      others = 0;
      for (const Slot& other : slots_) others += &other == &slot || !other.process ? 0 : other.memory;
      if (others + std::max(need, slot.memory) > budget_) return false;
    }
    if (!slot.process) slot.process = std::make_unique<WorkerProcess>(options_.worker, layout_.threads);
    slot.memory = std::max(slot.memory, need);
    slot.step = index;
    slot.started = Clock::now();
    slot.phase.clear();
    slot.layer.clear();
    slot.peak_rss = 0;
    states_[index] = StepState::kRunning;
    observer_.step_started(worker_number(slot), step);
    slot.process->send(request(step));
    return true;
  }

  Json request(const plan::Step& step) const {
    Json message = step.request;
    message["op"] = plan::step_kind_name(step.kind);
    message["key"] = step.key;
    if (step.kind != plan::StepKind::kEvaluate) message["artifact"] = plan::artifact_path(step).string();
    for (const std::string& key : step.needs) {
      const plan::Step& needed = plan_.step(key);
      const char* role = needed.kind == plan::StepKind::kStatistics ? "statistics" : "weights";
      message[role] = {{"key", key}, {"artifact", plan::artifact_path(needed).string()}};
    }
    return message;
  }

  void wait_for_events() {
    std::vector<pollfd> fds;
    for (const Slot& slot : slots_) {
      if (!slot.process) continue;
      fds.push_back({slot.process->reply_fd(), POLLIN, 0});
      fds.push_back({slot.process->log_fd(), POLLIN, 0});
    }
    ::poll(fds.data(), fds.size(), 200);
    for (Slot& slot : slots_) {
      if (!slot.process) continue;
      slot.process->read_log();
      for (const Json& reply : slot.process->replies()) handle(slot, reply);
      slot.peak_rss = std::max(slot.peak_rss, slot.process->resident_bytes());
      if (slot.process->ended()) worker_died(slot, "", "");
    }
  }

  void handle(Slot& slot, const Json& reply) {
    if (!slot.step) return;
    const size_t index = *slot.step;
    const plan::Step& step = plan_.steps[index];
    const std::string event = reply.at("event");
    if (event == "progress") {
      slot.phase = reply.at("phase");
      slot.layer = reply.value("layer_name", "");
      observer_.step_progress(worker_number(slot), step, slot.phase, reply.at("position"), reply.at("total"));
    } else if (event == "failed") {
      if (reply.contains("phase")) slot.phase = reply["phase"];
      if (reply.contains("layer")) slot.layer = reply["layer"];
      fail_step(slot, index, reply.at("kind"), reply.at("message"));
      slot.weights = slot.model = "";
    } else if (event == "done") {
      finish_step(slot, index, outcome_from_json(reply.at("outcome")));
    }
  }

  void finish_step(Slot& slot, size_t index, results::StepOutcome outcome) {
    const plan::Step& step = plan_.steps[index];
    outcome.key = step.key;
    outcome.kind = plan::step_kind_name(step.kind);
    outcome.inputs = step.inputs;
    store_.commit_step(run_, outcome);
    states_[index] = StepState::kDone;
    ++counts_.done;
    spent_estimate_ += step.estimate.seconds;
    spent_seconds_ += seconds_since(slot.started);
    slot.model = step.request.at("model");
    if (step.kind != plan::StepKind::kStatistics)
      slot.weights = step.kind == plan::StepKind::kQuantize ? step.key : weights_of(step);
    else
      slot.weights = "";
    slot.step.reset();
    observer_.step_done(worker_number(slot), step, seconds_since(slot.started), score_summary(outcome),
                        counts_);
    release_artifacts(step);
  }

  void fail_step(Slot& slot, size_t index, const std::string& kind, const std::string& message,
                 const std::string& signal = "") {
    const plan::Step& step = plan_.steps[index];
    results::FailureRow failure;
    failure.step_key = step.key;
    failure.kind = kind;
    failure.message = message;
    failure.signal = signal;
    failure.phase = slot.phase;
    failure.layer = slot.layer;
    if (slot.process) {
      slot.process->read_log();
      failure.log_tail = slot.process->log_tail();
    }
    failure.wall_s = slot.step ? seconds_since(slot.started) : 0;
    store_.commit_failure(run_, failure);
    states_[index] = StepState::kFailed;
    ++counts_.failed;
    slot.step.reset();
    observer_.step_failed(worker_number(slot), step, message, counts_);
    fail_dependants(step.key);
  }

  void fail_dependants(const std::string& key) {
    for (size_t i = 0; i < plan_.steps.size(); ++i) {
      const auto& needs = plan_.steps[i].needs;
      if (states_[i] != StepState::kWaiting || std::find(needs.begin(), needs.end(), key) == needs.end())
        continue;
      states_[i] = StepState::kFailed;
      ++counts_.failed;
      fail_dependants(plan_.steps[i].key);
    }
  }

  void worker_died(Slot& slot, const std::string& kind, const std::string& reason) {
    slot.process->read_log();
    const WorkerExit exit = slot.process->wait();
    if (slot.step) {
      std::string message = reason.empty() ? fmt::format("the worker was {}", exit.describe()) : reason;
      if (reason.empty() && exit.by_signal && exit.code == SIGKILL) {
        message += fmt::format(" (out of memory? it held {}; its step was admitted with {})",
                               print_bytes(slot.peak_rss),
                               print_bytes(plan_.steps[*slot.step].estimate.memory_bytes));
      }
      if (!slot.phase.empty())
        message +=
            fmt::format("; phase {}{}{}", slot.phase, slot.layer.empty() ? "" : ", layer ", slot.layer);
      fail_step(slot, *slot.step, kind.empty() ? (exit.by_signal ? "signal" : "exit") : kind, message,
                exit.signal_name());
    }
    slot = Slot{};
  }

  void check_timeouts() {
    for (Slot& slot : slots_) {
      if (!slot.step || seconds_since(slot.started) < options_.timeout_s) continue;
      slot.process->signal(SIGKILL);
      worker_died(slot, "timeout",
                  fmt::format("no result after {} (limits.timeout); the worker was ended",
                              print_seconds(options_.timeout_s)));
    }
  }

  void retire(Slot& slot) {
    slot.process->send({{"op", "exit"}});
    slot.process->wait();
    slot = Slot{};
  }

  void stop_workers() {
    for (Slot& slot : slots_) {
      if (!slot.process) continue;
      if (slot.step)
        slot.process->signal(SIGKILL);  // its step is not committed and runs again next time
      else
        slot.process->send({{"op", "exit"}});
      slot.process->wait();
    }
    slots_.clear();
  }

  /// Weights are kept until the last evaluation that reads them is stored; a failed one keeps them for the
  /// next try.
  void release_artifacts(const plan::Step& finished) {
    if (options_.keep_artifacts || finished.kind != plan::StepKind::kEvaluate) return;
    for (const std::string& key : finished.needs) {
      const bool still_needed =
          std::any_of(plan_.steps.begin(), plan_.steps.end(), [&](const plan::Step& step) {
            return std::find(step.needs.begin(), step.needs.end(), key) != step.needs.end() &&
                   states_[plan_.step_index.at(step.key)] != StepState::kDone;
          });
      std::error_code ignored;
      if (!still_needed) std::filesystem::remove(plan::artifact_path(plan_.step(key)), ignored);
    }
  }

  /// A run that was killed between the last commit and the removal leaves weights that nothing needs any
  /// more.
  void drop_stale_artifacts() {
    for (const plan::Step& step : plan_.steps) {
      if (step.done) release_artifacts(step);
    }
  }

  double remaining_seconds() const {
    double estimate = 0;
    for (size_t i = 0; i < plan_.steps.size(); ++i) {
      if (states_[i] == StepState::kWaiting || states_[i] == StepState::kRunning)
        estimate += plan_.steps[i].estimate.seconds;
    }
    const double pace = spent_estimate_ > 0 ? spent_seconds_ / spent_estimate_ : 1.0 / layout_.threads;
    return estimate * pace / layout_.jobs;
  }

  int worker_number(const Slot& slot) const { return static_cast<int>(&slot - slots_.data()) + 1; }

  const plan::Plan& plan_;
  results::Store& store_;
  int64_t run_;
  const ScheduleOptions& options_;
  Observer& observer_;
  Layout layout_;
  uint64_t budget_;
  std::vector<StepState> states_;
  std::vector<Slot> slots_;
  RunCounts counts_;
  double spent_estimate_ = 0, spent_seconds_ = 0;
};

}  // namespace

Layout choose_layout(const plan::Plan& plan, const ScheduleOptions& options) {
  const int processors = hardware_threads();
  uint64_t largest = 1;
  int pending = 0;
  for (const plan::Step& step : plan.steps) {
    if (step.done) continue;
    ++pending;
    largest = std::max(largest, step.estimate.memory_bytes);
  }
  const uint64_t budget = options.memory_bytes > 0 ? options.memory_bytes : available_memory();
  Layout layout;
  if (options.jobs > 0) {
    layout.jobs = options.jobs;
  } else {
    const int fit = static_cast<int>(std::min<uint64_t>(budget / largest, 4096));
    const int wanted = options.threads > 0 ? std::max(1, processors / options.threads) : processors;
    layout.jobs = std::max(1, std::min({wanted, fit, std::max(pending, 1)}));
  }
  layout.threads = options.threads > 0 ? options.threads : std::max(1, processors / layout.jobs);
  return layout;
}

RunSummary run_plan(const plan::Plan& plan, results::Store& store, int64_t run,
                    const ScheduleOptions& options, Observer& observer) {
  return Run(plan, store, run, options, observer).execute();
}

}  // namespace qbench::schedule
