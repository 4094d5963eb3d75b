#include "harness/engine/packing.h"

#include <gtest/gtest.h>

#include <numeric>

#include "harness/engine/attention_plan.h"

namespace qbench::engine {
namespace {

using Ids = std::vector<int32_t>;

struct Texts {
  explicit Texts(std::vector<Ids> ids) : ids_(std::move(ids)) {
    for (const Ids& i : ids_) sequences.push_back({i, 0, 0});
  }
  std::vector<Sequence> sequences;

 private:
  std::vector<Ids> ids_;
};

Ids tokens_along(const Packing& packing, const std::vector<Place>& path) {
  Ids tokens;
  for (const Place& place : path) {
    const Unit& unit = packing.units[static_cast<size_t>(place.unit)];
    const Segment& s = unit.segments[static_cast<size_t>(place.segment)];
    EXPECT_EQ(s.position, std::ssize(tokens));
    tokens.insert(tokens.end(), unit.tokens.begin() + s.start, unit.tokens.begin() + s.start + s.length);
  }
  return tokens;
}

int64_t total_tokens(const Packing& packing) {
  return std::accumulate(packing.units.begin(), packing.units.end(), int64_t{0},
                         [](int64_t sum, const Unit& unit) { return sum + std::ssize(unit.tokens); });
}

Ids range(int32_t from, int32_t count) {
  Ids ids(static_cast<size_t>(count));
  std::iota(ids.begin(), ids.end(), from);
  return ids;
}

Ids joined(Ids a, const Ids& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

TEST(Packing, ComputesASharedContextOnce) {
  const Texts texts({{1, 2, 3, 4}, {1, 2, 3, 5, 6}, {1, 2, 3}, {9}});
  const Packing packing = pack(texts.sequences, {});
  ASSERT_EQ(packing.units.size(), 1U);
  EXPECT_EQ(packing.units[0].tokens, (Ids{1, 2, 3, 4, 5, 6, 9}));
  for (size_t i = 0; i < 4; ++i)
    EXPECT_TRUE(std::ranges::equal(tokens_along(packing, packing.paths[i]), texts.sequences[i].tokens));
}

TEST(Packing, KeepsFamiliesApart) {
  Texts texts({{1, 2, 3}, {1, 2, 3}});
  texts.sequences[1].family = 40;
  EXPECT_EQ(total_tokens(pack(texts.sequences, {})), 6);
}

TEST(Packing, GivesEverySequenceItsOwnUnitWhenIsolated) {
  const Texts texts({{1, 2}, {1, 2}, {1, 3}});
  PackingLimits limits;
  limits.isolate = true;
  const Packing packing = pack(texts.sequences, limits);
  EXPECT_EQ(packing.units.size(), 3U);
  EXPECT_EQ(total_tokens(packing), 6);
}

TEST(Packing, ComputesALongPrefixInAUnitWhoseKeysAreKept) {
  const Ids prefix = range(0, 100);
  const Texts texts(
      {joined(prefix, range(1000, 60)), joined(prefix, range(2000, 60)), joined(prefix, range(3000, 60))});
  PackingLimits limits;
  limits.unit_tokens = 130;
  const Packing packing = pack(texts.sequences, limits);
  ASSERT_EQ(packing.units.size(), 3U);
  EXPECT_TRUE(packing.units[0].keep_keys);
  EXPECT_EQ(packing.units[0].tokens, prefix);
  EXPECT_EQ(packing.units[1].tokens.size(), 120U);
  EXPECT_EQ(packing.units[1].segments[0].parent.unit, 0);
  EXPECT_EQ(packing.units[1].segments[0].position, 100);
  EXPECT_EQ(total_tokens(packing), 280);
}

TEST(Packing, CopiesAShortPrefixIntoEachUnit) {
  const Texts texts(
      {joined({7}, range(1000, 90)), joined({7}, range(2000, 90)), joined({7}, range(3000, 90))});
  PackingLimits limits;
  limits.unit_tokens = 100;
  const Packing packing = pack(texts.sequences, limits);
  ASSERT_EQ(packing.units.size(), 3U);
  for (const Unit& unit : packing.units) EXPECT_EQ(unit.tokens[0], 7);
  EXPECT_EQ(total_tokens(packing), 273);
}

TEST(Packing, ComputesTheNextTrunkBeforeTheBranchesOfThisOne) {
  std::vector<Ids> ids;
  for (int32_t trunk = 0; trunk < 3; ++trunk) {
    for (int32_t leaf = 0; leaf < 4; ++leaf)
      ids.push_back(joined(range(trunk * 1000, 100), range(50000 + leaf * 100, 60)));
  }
  const Texts texts(std::move(ids));
  PackingLimits limits;
  limits.unit_tokens = 130;
  const Packing packing = pack(texts.sequences, limits);
  std::vector<size_t> trunks;
  for (size_t u = 0; u < packing.units.size(); ++u) {
    if (packing.units[u].keep_keys) trunks.push_back(u);
    for (const Segment& s : packing.units[u].segments) EXPECT_LE(s.parent.unit, static_cast<int32_t>(u));
  }
  ASSERT_EQ(trunks.size(), 3U);
  EXPECT_EQ(trunks[1], 1U);
  for (size_t i = 0; i < 12; ++i)
    EXPECT_TRUE(std::ranges::equal(tokens_along(packing, packing.paths[i]), texts.sequences[i].tokens));
}

TEST(Packing, LeavesEmptySequencesOut) {
  const Texts texts({{}, {1}, {}});
  const Packing packing = pack(texts.sequences, {});
  EXPECT_EQ(total_tokens(packing), 1);
  EXPECT_TRUE(packing.paths[0].empty());
}

TEST(AttentionPlan, OneSequenceSeesItsPastInWholeGroupsAndTheDiagonalThroughMasks) {
  Unit unit;
  unit.tokens = range(0, 32);
  unit.segments = {{0, 32, 0, 0, {}}};
  const AttentionPlan plan = plan_attention({&unit, 1}, 0);
  ASSERT_EQ(plan.strip_blocks, (std::vector<int32_t>{0, 1, 2}));
  const kernels::KeyBlock second = plan.blocks[1];
  ASSERT_EQ(second.end - second.begin, 3);
  const kernels::KeyRun& past = plan.runs[static_cast<size_t>(second.begin)];
  EXPECT_EQ(past.mask, -1);
  EXPECT_EQ(past.count, 2);
  const kernels::KeyRun& diagonal = plan.runs[static_cast<size_t>(second.begin) + 1];
  ASSERT_GE(diagonal.mask, 0);
  EXPECT_EQ(plan.masks[static_cast<size_t>(diagonal.mask) * 8], 0xFFFF);  // key 16: every query of the strip
  EXPECT_EQ(plan.masks[static_cast<size_t>(diagonal.mask) * 8 + 1], 0xFFFE);  // key 17: all but query 16
}

TEST(AttentionPlan, NeighboursInAStripDoNotSeeEachOther) {
  Unit unit;
  unit.tokens = range(0, 16);
  unit.segments = {{0, 6, 0, 0, {}}, {6, 10, 0, 0, {}}};
  const AttentionPlan plan = plan_attention({&unit, 1}, 0);
  for (const kernels::KeyRun& run : plan.runs) {
    ASSERT_GE(run.mask, 0);
    for (int64_t k = 0; k < 8; ++k) {
      const int64_t key = run.group * 8 + k;
      const uint16_t mask = plan.masks[static_cast<size_t>(run.mask * 8 + k)];
      EXPECT_EQ(mask & (key < 6 ? 0xFFC0 : 0x003F), 0) << "key " << key;
    }
  }
}

}  // namespace
}  // namespace qbench::engine
