#include "harness/schedule/observers.h"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <map>

#include "harness/core/quantity.h"

namespace qbench::schedule {
namespace {

std::string plural(size_t n, const char* noun) { return fmt::format("{} {}{}", n, noun, n == 1 ? "" : "s"); }

std::string start_line(const RunCounts& c, int jobs, int threads) {
  return fmt::format("{} ({} not legal), {}: {} cached, {} to run; {} x {}", plural(c.cells, "cell"),
                     c.illegal, plural(c.steps, "step"), c.cached, c.steps - c.cached,
                     plural(static_cast<size_t>(jobs), "worker"),
                     plural(static_cast<size_t>(threads), "thread"));
}

std::string end_line(const RunCounts& c, double seconds, bool interrupted) {
  return fmt::format("{} in {}: {} run, {} cached, {} failed{}", interrupted ? "interrupted" : "finished",
                     print_seconds(seconds), plural(c.done, "step"), c.cached, c.failed,
                     interrupted ? ". Run the same command again to go on from here." : "");
}

class LineObserver final : public Observer {
 public:
  explicit LineObserver(std::FILE* out) : out_(out) {}
  void run_started(const plan::Plan&, const RunCounts& c, int jobs, int threads) override {
    print(start_line(c, jobs, threads));
  }
  void step_started(int, const plan::Step&) override {}
  void step_progress(int, const plan::Step&, const std::string&, int64_t, int64_t) override {}
  void step_done(int, const plan::Step& step, double seconds, const std::string& scores,
                 const RunCounts& c) override {
    print(fmt::format("[{}/{}] {}  {}  ({})", c.done + c.cached + c.failed, c.steps, step.label, scores,
                      print_seconds(seconds)));
  }
  void step_failed(int, const plan::Step& step, const std::string& message, const RunCounts& c) override {
    print(fmt::format("[{}/{}] FAILED {}: {}", c.done + c.cached + c.failed, c.steps, step.label, message));
  }
  void note(const std::string& message) override { print(message); }
  void tick(double, double) override {}
  void run_ended(const RunCounts& c, double seconds, bool interrupted) override {
    print(end_line(c, seconds, interrupted));
  }

 private:
  void print(const std::string& line) {
    fmt::print(out_, "{}\n", line);
    std::fflush(out_);
  }
  std::FILE* out_;
};

/// Finished steps scroll by; below them stays one line per worker and one with totals.
class LiveObserver final : public Observer {
 public:
  explicit LiveObserver(std::FILE* out) : out_(out) {}
  void run_started(const plan::Plan&, const RunCounts& c, int jobs, int threads) override {
    counts_ = c;
    scroll(start_line(c, jobs, threads));
  }
  void step_started(int worker, const plan::Step& step) override { workers_[worker] = step.label; }
  void step_progress(int worker, const plan::Step& step, const std::string& phase, int64_t position,
                     int64_t total) override {
    workers_[worker] = total > 0 ? fmt::format("{}  {} {}/{}", step.label, phase, position, total)
                                 : fmt::format("{}  {}", step.label, phase);
  }
  void step_done(int worker, const plan::Step& step, double seconds, const std::string& scores,
                 const RunCounts& c) override {
    counts_ = c;
    workers_.erase(worker);
    scroll(fmt::format("\033[32m✓\033[0m {}  \033[1m{}\033[0m  ({})", step.label, scores,
                       print_seconds(seconds)));
  }
  void step_failed(int worker, const plan::Step& step, const std::string& message,
                   const RunCounts& c) override {
    counts_ = c;
    workers_.erase(worker);
    scroll(fmt::format("\033[31m✗ {}\033[0m\n  {}", step.label, message));
  }
  void note(const std::string& message) override { scroll(message); }
  void tick(double elapsed, double remaining) override {
    clear();
    const size_t width = terminal_width();
    int lines = 0;
    for (const auto& [worker, text] : workers_) {
      fmt::print(out_, "\033[2m{}\033[0m\n", fmt::format("  {} {}", worker, text).substr(0, width));
      ++lines;
    }
    const size_t finished = counts_.done + counts_.cached + counts_.failed;
    const size_t bar = 24, filled = counts_.steps == 0 ? bar : bar * finished / counts_.steps;
    std::string blocks;
    for (size_t i = 0; i < bar; ++i) blocks += i < filled ? "█" : "░";
    fmt::print(out_, "{} {}/{} steps ({} cached, {} failed)  {} elapsed, about {} left\n", blocks, finished,
               counts_.steps, counts_.cached, counts_.failed, print_seconds(elapsed),
               print_seconds(remaining));
    drawn_ = lines + 1;
    std::fflush(out_);
  }
  void run_ended(const RunCounts& c, double seconds, bool interrupted) override {
    workers_.clear();
    scroll(end_line(c, seconds, interrupted));
  }

 private:
  void clear() {
    if (drawn_ > 0) fmt::print(out_, "\033[{}A\033[J", drawn_);
    drawn_ = 0;
  }
  void scroll(const std::string& line) {
    clear();
    fmt::print(out_, "{}\n", line);
    std::fflush(out_);
  }
  size_t terminal_width() const {
    winsize size{};
    return ::ioctl(::fileno(out_), TIOCGWINSZ, &size) == 0 && size.ws_col > 10 ? size.ws_col - 1U : 100U;
  }

  std::FILE* out_;
  std::map<int, std::string> workers_;
  RunCounts counts_;
  int drawn_ = 0;
};

class JsonObserver final : public Observer {
 public:
  explicit JsonObserver(std::FILE* out) : out_(out) {}
  void run_started(const plan::Plan&, const RunCounts& c, int jobs, int threads) override {
    print({{"event", "run_started"},
           {"cells", c.cells},
           {"illegal", c.illegal},
           {"steps", c.steps},
           {"cached", c.cached},
           {"jobs", jobs},
           {"threads", threads}});
  }
  void step_started(int worker, const plan::Step& step) override {
    print(base("step_started", worker, step));
  }
  void step_progress(int worker, const plan::Step& step, const std::string& phase, int64_t position,
                     int64_t total) override {
    Json event = base("step_progress", worker, step);
    event.update({{"phase", phase}, {"position", position}, {"total", total}});
    print(event);
  }
  void step_done(int worker, const plan::Step& step, double seconds, const std::string& scores,
                 const RunCounts& c) override {
    Json event = base("step_done", worker, step);
    event.update({{"seconds", seconds}, {"scores", scores}, {"done", c.done}, {"failed", c.failed}});
    print(event);
  }
  void step_failed(int worker, const plan::Step& step, const std::string& message,
                   const RunCounts& c) override {
    Json event = base("step_failed", worker, step);
    event.update({{"message", message}, {"done", c.done}, {"failed", c.failed}});
    print(event);
  }
  void note(const std::string& message) override { print({{"event", "note"}, {"message", message}}); }
  void tick(double, double) override {}
  void run_ended(const RunCounts& c, double seconds, bool interrupted) override {
    print({{"event", "run_ended"},
           {"done", c.done},
           {"cached", c.cached},
           {"failed", c.failed},
           {"seconds", seconds},
           {"interrupted", interrupted}});
  }

 private:
  static Json base(const char* event, int worker, const plan::Step& step) {
    return {{"event", event},
            {"worker", worker},
            {"step", step.key},
            {"kind", plan::step_kind_name(step.kind)},
            {"label", step.label}};
  }
  void print(const Json& event) {
    fmt::print(out_, "{}\n", event.dump());
    std::fflush(out_);
  }
  std::FILE* out_;
};

class SilentObserver final : public Observer {
  void run_started(const plan::Plan&, const RunCounts&, int, int) override {}
  void step_started(int, const plan::Step&) override {}
  void step_progress(int, const plan::Step&, const std::string&, int64_t, int64_t) override {}
  void step_done(int, const plan::Step&, double, const std::string&, const RunCounts&) override {}
  void step_failed(int, const plan::Step&, const std::string&, const RunCounts&) override {}
  void note(const std::string&) override {}
  void tick(double, double) override {}
  void run_ended(const RunCounts&, double, bool) override {}
};

}  // namespace

std::unique_ptr<Observer> make_observer(ObserverKind kind, std::FILE* out) {
  switch (kind) {
    case ObserverKind::kLive:
      return std::make_unique<LiveObserver>(out);
    case ObserverKind::kLines:
      return std::make_unique<LineObserver>(out);
    case ObserverKind::kJson:
      return std::make_unique<JsonObserver>(out);
    case ObserverKind::kSilent:
      break;
  }
  return std::make_unique<SilentObserver>();
}

}  // namespace qbench::schedule
