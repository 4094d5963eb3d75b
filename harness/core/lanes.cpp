#include "harness/core/lanes.h"

#include <algorithm>
#include <atomic>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

namespace qbench {
namespace {

void (*thread_initializer)() = nullptr;

}  // namespace

void Lanes::set_thread_initializer(void (*initializer)()) { thread_initializer = initializer; }

void Lanes::run(size_t items, const std::function<void(size_t, int)>& work) const {
  std::atomic<size_t> next{0};
  std::mutex failure_mutex;
  std::exception_ptr failure;
  const auto lane_loop = [&](int lane) {
    try {
      for (size_t item = next++; item < items; item = next++) work(item, lane);
    } catch (...) {
      next = items;
      const std::lock_guard lock(failure_mutex);
      if (!failure) failure = std::current_exception();
    }
  };
  const int lanes =
      static_cast<int>(std::min<size_t>(static_cast<size_t>(count_), std::max<size_t>(items, 1)));
  {
    std::vector<std::jthread> threads;
    for (int lane = 1; lane < lanes; ++lane) {
      threads.emplace_back([&, lane] {
        if (thread_initializer != nullptr) thread_initializer();
        lane_loop(lane);
      });
    }
    lane_loop(0);
  }
  if (failure) std::rethrow_exception(failure);
}

}  // namespace qbench
