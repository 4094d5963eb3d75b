#include "results/item_codec.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "harness/core/errors.h"
#include "tests/unit/results/store_samples.h"

namespace qbench::results {
namespace {

TEST(ItemCodec, ItemsRoundTrip) {
  const auto items = samples::step("s", 17).items;
  const auto read = unpack_items(pack_items(items));
  ASSERT_EQ(read.size(), items.size());
  for (size_t i = 0; i < items.size(); ++i) {
    EXPECT_EQ(read[i].item, items[i].item);
    EXPECT_EQ(read[i].loglikelihoods, items[i].loglikelihoods);
    EXPECT_EQ(read[i].tokens, items[i].tokens);
    EXPECT_EQ(read[i].metrics, items[i].metrics);
    EXPECT_EQ(read[i].detail, items[i].detail);
  }
}

TEST(ItemCodec, AColumnExistsOnlyIfEveryItemHasTheNumber) {
  auto items = samples::step("s", 3).items;
  items[0].nll = 1.0;
  items[1].metrics = {{"acc", true}, {"answer", "B"}};
  const ItemColumns columns = unpack_columns(pack_columns(items));
  EXPECT_TRUE(columns.nll.empty());
  EXPECT_THAT(columns.metrics, ::testing::UnorderedElementsAre(::testing::Key("acc")));
  EXPECT_THAT(columns.metrics.at("acc"), ::testing::ElementsAre(1, 1, 1));
}

TEST(ItemCodec, BlobsAreMuchSmallerThanTheTextOfTheItems) {
  const auto items = samples::step("s", 500).items;
  size_t text = 0;
  for (const auto& item : items) text += item.detail.dump().size() + item.metrics.dump().size();
  EXPECT_LT(pack_items(items).size(), text / 4);
}

TEST(ItemCodec, DamagedBlobsAreErrorsWhereverTheyWereCut) {
  const std::string items = pack_items(samples::step("s", 5).items);
  const std::string columns = pack_columns(samples::step("s", 5).items);
  for (size_t cut = 0; cut < items.size(); ++cut)
    EXPECT_THROW(unpack_items(items.substr(0, cut)), StoreError);
  for (size_t cut = 0; cut < columns.size(); ++cut)
    EXPECT_THROW(unpack_columns(columns.substr(0, cut)), StoreError);
}

TEST(ItemCodec, FlippedBitsNeverCrash) {
  const std::string blob = pack_items(samples::step("s", 5).items);
  for (size_t i = 0; i < blob.size(); ++i) {
    std::string damaged = blob;
    damaged[i] = static_cast<char>(damaged[i] ^ 0x41);
    try {
      unpack_items(damaged);
    } catch (const StoreError&) {
    }
  }
}

}  // namespace
}  // namespace qbench::results
