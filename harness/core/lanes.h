// Lanes: the only parallelism of the program's computations. A lane is a thread of this process with one
// intra-op thread of its own; work items are independent, so results never depend on the number of lanes.
#pragma once

#include <cstddef>
#include <functional>

namespace qbench {

class Lanes {
 public:
  /// @param count  number of lanes, >= 1; the calling thread is one of them.
  explicit Lanes(int count) : count_(count < 1 ? 1 : count) {}

  int count() const { return count_; }

  /// Calls work(item, lane) once for each item in [0, items), items handed out in order as lanes become free.
  /// `work` must write only to places that belong to its item (or to scratch that belongs to its lane).
  /// The first exception stops the hand-out and is rethrown here.
  void run(size_t items, const std::function<void(size_t item, int lane)>& work) const;

  /// Called once in every new lane thread before work (the torch side sets its thread-local modes here).
  static void set_thread_initializer(void (*initializer)());

 private:
  int count_;
};

}  // namespace qbench
