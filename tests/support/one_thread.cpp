// Linked into torch test programs: one intra-op thread per lane, as the worker runs.
#include <ATen/Parallel.h>

#include "harness/core/lanes.h"

namespace {

[[maybe_unused]] const bool kOneThread = [] {
  at::set_num_threads(1);
  qbench::Lanes::set_thread_initializer([] { at::set_num_threads(1); });
  return true;
}();

}  // namespace
