#include <gtest/gtest.h>

#include "harness/core/numpy_random.h"
#include "harness/core/python_random.h"

namespace qbench {
namespace {

using Longs = std::vector<int64_t>;

Longs randints(uint64_t seed, int64_t hi, int n) {
  PythonRandom random(seed);
  Longs values;
  for (int i = 0; i < n; ++i) values.push_back(random.randint(0, hi));
  return values;
}

// Values printed by CPython 3.11 (design/eval_protocol.md, section 6, states the same).
TEST(PythonRandom, GivesCPythonsWordsForSeedZero) {
  PythonRandom random(0);
  for (const uint32_t word : {3626764237U, 1654615998U, 3255389356U, 3823568514U, 1806341205U, 173879092U}) {
    EXPECT_EQ(random.next_u32(), word);
  }
}

TEST(PythonRandom, DrawsCPythonsRandints) {
  EXPECT_EQ(randints(0, 45575, 8), (Longs{25247, 27562, 2653, 16968, 33506, 31845, 26537, 19877}));
  EXPECT_EQ(randints(20, 45575, 6), (Longs{44974, 9909, 17028, 44171, 41662, 6652}));
  EXPECT_EQ(randints(0, 339420, 6), (Longs{201979, 220500, 21225, 135746, 268055, 254766}));
  EXPECT_EQ(randints(2, 339420, 6), (Longs{29649, 48016, 44497, 189298, 88648, 161552}));
}

TEST(PythonRandom, SamplesLikeCPythonFromSmallAndLargePopulations) {
  EXPECT_EQ(PythonRandom(1234).sample(10, 5), (Longs{7, 1, 0, 9, 4}));
  PythonRandom five(1234);
  EXPECT_EQ(five.sample(1000, 5), (Longs{989, 796, 451, 119, 7}));
  EXPECT_EQ(five.sample(1000, 5), (Longs{92, 932, 965, 961, 826}));
  PythonRandom six(1234);
  EXPECT_EQ(six.sample(1000, 6), (Longs{989, 796, 451, 119, 7, 92}));
  EXPECT_EQ(six.sample(1000, 6), (Longs{932, 965, 961, 826, 596, 35}));
}

TEST(PythonRandom, ShufflesLikeCPython) {
  Longs items = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9};
  PythonRandom(42).shuffle(items);
  EXPECT_EQ(items, (Longs{7, 3, 2, 8, 5, 6, 9, 4, 0, 1}));
}

TEST(PythonRandom, ChoosesLikeCPythonThroughRandom) {
  PythonRandom random(0);
  Longs picked;
  for (int i = 0; i < 10; ++i) picked.push_back(static_cast<int64_t>(random.random() * 10));
  EXPECT_EQ(picked, (Longs{8, 7, 4, 2, 5, 4, 7, 3, 4, 5}));
}

TEST(NumpyRandomState, PermutesLikeNumpy) {
  EXPECT_EQ(NumpyRandomState(42).next_u32(), 1608637542U);
  EXPECT_EQ(NumpyRandomState(42).permutation(4), (Longs{1, 3, 0, 2}));
  EXPECT_EQ(NumpyRandomState(42).permutation(3), (Longs{0, 1, 2}));
  EXPECT_EQ(NumpyRandomState(42).permutation(2), (Longs{1, 0}));
  EXPECT_EQ(NumpyRandomState(42).choice(20, 2), (Longs{0, 17}));
}

TEST(NumpyRandomState, DrawsNothingForASingleItem) {
  NumpyRandomState random(42);
  EXPECT_EQ(random.interval(0), 0U);
  EXPECT_EQ(random.next_u32(), 1608637542U);
}

}  // namespace
}  // namespace qbench
