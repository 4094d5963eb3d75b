#include "harness/core/lanes.h"

#include <gmock/gmock.h>

#include <stdexcept>
#include <vector>

namespace qbench {
namespace {

TEST(Lanes, VisitEveryItemOnceForAnyNumberOfLanes) {
  for (const int lanes : {1, 2, 7}) {
    std::vector<int> visits(101, 0);
    Lanes(lanes).run(visits.size(), [&](size_t item, int) { ++visits[item]; });
    EXPECT_THAT(visits, ::testing::Each(1)) << lanes;
  }
}

TEST(Lanes, RethrowTheFirstFailure) {
  EXPECT_THROW(Lanes(3).run(50,
                            [](size_t item, int) {
                              if (item == 7) throw std::runtime_error("seven");
                            }),
               std::runtime_error);
}

TEST(Lanes, DoNothingForNoItems) {
  Lanes(2).run(0, [](size_t, int) { FAIL(); });
}

}  // namespace
}  // namespace qbench
