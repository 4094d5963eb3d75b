// kill -9 at any moment: what was committed is there and whole, what was in flight is gone.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <fstream>

#include "tests/unit/results/store_samples.h"

namespace qbench::results {
namespace {

using samples::TemporaryFolder;

/// The child commits steps 0, 1, 2, ... and reports each one on the pipe after its commit returned.
[[noreturn]] void commit_for_ever(const std::filesystem::path& file, int report) {
  const auto store = Store::open(file);
  const int64_t run = store->begin_run(samples::run());
  for (int i = 0;; ++i) {
    store->commit_step(run, samples::step("r" + std::to_string(run) + "-" + std::to_string(i), 50));
    if (::write(report, &i, sizeof i) != sizeof i) ::_exit(1);
  }
}

/// @return the last step the child reported as committed.
int kill_after(const std::filesystem::path& file, int microseconds) {
  int ends[2];
  if (::pipe(ends) != 0) return -1;
  const pid_t child = ::fork();
  if (child == 0) commit_for_ever(file, ends[1]);
  ::close(ends[1]);
  int last = -1;
  // Wait for a few commits, then strike at an arbitrary moment.
  for (int i = 0; i < 3; ++i) {
    if (::read(ends[0], &last, sizeof last) != sizeof last) break;
  }
  ::usleep(static_cast<useconds_t>(microseconds));
  ::kill(child, SIGKILL);
  while (::read(ends[0], &last, sizeof last) == sizeof last) {
  }
  ::close(ends[0]);
  ::waitpid(child, nullptr, 0);
  return last;
}

TEST(StoreCrash, AKilledWriterLosesNothingThatWasCommitted) {
  TemporaryFolder folder;
  const auto file = folder / "s.sqlite";
  for (int round = 1; round <= 8; ++round) {
    const int last = kill_after(file, 700 * round);
    ASSERT_GE(last, 2);
    const auto store = Store::open(file);
    ASSERT_EQ(store->runs().size(), static_cast<size_t>(round));
    EXPECT_EQ(store->runs().back().status, "");
    for (int i = 0; i <= last; ++i) {
      const auto step = store->step("r" + std::to_string(round) + "-" + std::to_string(i));
      ASSERT_TRUE(step.has_value()) << "round " << round << " step " << i;
      EXPECT_EQ(step->items.size(), 50u);
      EXPECT_EQ(step->scores.size(), 2u);
      EXPECT_EQ(step->layers.size(), 1u);
    }
    // At most the one step whose report was cut off may follow, and it is whole.
    const auto next = store->step("r" + std::to_string(round) + "-" + std::to_string(last + 1));
    if (next) {
      EXPECT_EQ(next->items.size(), 50u);
    }
    EXPECT_FALSE(store->has_step("r" + std::to_string(round) + "-" + std::to_string(last + 2)));
  }
}

TEST(StoreCrash, AStoreKilledWhileOpenCanBeReadWithoutBeingOpenedForWritingFirst) {
  TemporaryFolder folder;
  const auto file = folder / "s.sqlite";
  const int last = kill_after(file, 1000);
  ASSERT_GE(last, 2);
  EXPECT_TRUE(Store::open_readonly(file)->has_step("r1-" + std::to_string(last)));
}

}  // namespace
}  // namespace qbench::results
