#include "harness/tokenizers/bpe.h"

#include <gmock/gmock.h>

#include "tests/unit/tokenizers/small_tokenizers.h"

namespace qbench::tokenizers {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

/// Tokens get ids in the order given; merges are pairs of tokens, best first.
std::unique_ptr<BpeModel> model_of(const std::vector<std::string>& tokens,
                                   const std::vector<std::pair<std::string, std::string>>& merges,
                                   BpeOptions options = {}) {
  Vocabulary vocabulary;
  for (const std::string& token : tokens) vocabulary.add(token, static_cast<int32_t>(vocabulary.count()));
  MergeTable table;
  uint32_t rank = 0;
  for (const auto& [left, right] : merges)
    table.add(vocabulary.find(left), vocabulary.find(right), {rank++, vocabulary.find(left + right)});
  return std::make_unique<BpeModel>(std::move(vocabulary), std::move(table), std::move(options));
}

Ids tokenize(const BpeModel& model, std::string_view piece) {
  Workspace work;
  Ids first;
  model.tokenize(piece, work, first);
  Ids again;
  model.tokenize(piece, work, again);  // from the cache
  EXPECT_EQ(first, again);
  return first;
}

TEST(ByteAlphabet, IsGpt2s) {
  EXPECT_EQ(alphabet_of_bytes(" A\n"), "ĠAĊ");
  EXPECT_EQ(alphabet_of_bytes(std::string_view("\0\xAD\xFF", 3)), "ĀŃÿ");
  EXPECT_EQ(bytes_of_alphabet("ĠAĊ"), " A\n");
  EXPECT_EQ(bytes_of_alphabet("€"), std::nullopt);
}

TEST(Bpe, MergesTheLowestRankFirstAndTheLeftmostAmongEquals) {
  const auto model = model_of({"a", "b", "c", "ab", "bc", "aa"}, {{"b", "c"}, {"a", "b"}, {"a", "a"}});
  EXPECT_THAT(tokenize(*model, "abc"), ElementsAre(0, 4));  // b+c before a+b
  EXPECT_THAT(tokenize(*model, "aaa"), ElementsAre(5, 0));  // the left pair
  EXPECT_THAT(tokenize(*model, "abab"), ElementsAre(3, 3));
  EXPECT_THAT(tokenize(*model, ""), IsEmpty());
}

TEST(Bpe, TreatsLongPiecesLikeShortOnes) {
  const auto model = model_of({"a", "b", "ab", "aab"}, {{"a", "b"}, {"a", "ab"}});
  std::string text;
  Ids expected;
  for (int i = 0; i < 500; ++i) {
    text += "aab";
    expected.push_back(3);
  }
  EXPECT_EQ(tokenize(*model, text), expected);
}

TEST(Bpe, FusesARunOfUnknownCharactersOnlyIfTold) {
  const std::vector<std::string> tokens = {"<unk>", "a"};
  EXPECT_THAT(tokenize(*model_of(tokens, {}, {.unk = 0, .fuse_unk = true}), "xyazé"), ElementsAre(0, 1, 0));
  EXPECT_THAT(tokenize(*model_of(tokens, {}, {.unk = 0}), "xyazé"), ElementsAre(0, 0, 1, 0, 0));
  EXPECT_THAT(tokenize(*model_of(tokens, {}), "xya"), ElementsAre(1));  // no unk: nothing is left of them
}

TEST(Bpe, FallsBackToBytesOnlyIfAllOfThemAreTokens) {
  const std::vector<std::string> tokens = {"<unk>", "a", "<0xC3>", "<0xA9>"};
  const BpeOptions options{.unk = 0, .byte_fallback = true};
  EXPECT_THAT(tokenize(*model_of(tokens, {}, options), "aé"), ElementsAre(1, 2, 3));
  EXPECT_THAT(tokenize(*model_of(tokens, {}, options), "aè"), ElementsAre(1, 0));
}

TEST(Bpe, TakesWholePiecesWhenMergesAreIgnored) {
  const std::vector<std::string> tokens = {"a", "b", "abb"};
  EXPECT_THAT(tokenize(*model_of(tokens, {}, {.ignore_merges = true}), "abb"), ElementsAre(2));
  EXPECT_THAT(tokenize(*model_of(tokens, {}), "abb"), ElementsAre(0, 1, 1));
}

TEST(Bpe, DecoratesCharactersWithPrefixAndSuffix) {
  const auto model =
      model_of({"a", "##b", "##c</w>", "a</w>"}, {}, {.continuing_prefix = "##", .end_suffix = "</w>"});
  EXPECT_THAT(tokenize(*model, "abc"), ElementsAre(0, 1, 2));
  EXPECT_THAT(tokenize(*model, "a"), ElementsAre(3));
}

TEST(Bpe, CutsAtMarkersWithTheSameResult) {
  // No merge has a marker behind another character, so the text may be worked on word by word.
  const auto model = model_of({"▁", "a", "▁▁", "▁a", "aa"}, {{"a", "a"}, {"▁", "a"}, {"▁", "▁"}});
  EXPECT_THAT(tokenize(*model, "▁aa▁a▁▁▁a"), ElementsAre(0, 4, 3, 2, 3));
  // Here "a▁" exists, so it must not be cut.
  const auto crossing = model_of({"▁", "a", "a▁"}, {{"a", "▁"}});
  EXPECT_THAT(tokenize(*crossing, "▁a▁a"), ElementsAre(0, 2, 1));
}

TEST(Bpe, FromScoresMergesTheBestScoredPieceFirst) {
  Vocabulary vocabulary;
  std::vector<float> scores;
  for (const auto& [text, score] : std::vector<std::pair<std::string, float>>{{"<unk>", 0.F},
                                                                              {"<s>", 0.F},
                                                                              {"a", -9.F},
                                                                              {"b", -9.F},
                                                                              {"ab", -2.F},
                                                                              {"ba", -1.F},
                                                                              {"bé", -5.F},
                                                                              {"<0xC3>", 0.F},
                                                                              {"<0xA9>", 0.F}}) {
    vocabulary.add(text, static_cast<int32_t>(scores.size()));
    scores.push_back(score);
  }
  std::vector<bool> mergeable(scores.size(), true);
  mergeable[0] = mergeable[1] = mergeable[7] = mergeable[8] = false;
  const auto model =
      BpeModel::from_scores(std::move(vocabulary), scores, mergeable, {.unk = 0, .byte_fallback = true});
  EXPECT_THAT(tokenize(*model, "aba"), ElementsAre(2, 5));     // "ba" scores better than "ab"
  EXPECT_THAT(tokenize(*model, "abé"), ElementsAre(4, 7, 8));  // "ab" before "bé"; é is no token by itself
  EXPECT_THAT(tokenize(*model, "bbé"), ElementsAre(3, 6));     // but may become part of one
  EXPECT_THAT(tokenize(*model, "<s>"), ElementsAre(0, 0, 0));  // control tokens never come out of merges
}

TEST(Vocabulary, KeepsOneTextPerIdAndOneIdPerText) {
  Vocabulary vocabulary;
  EXPECT_TRUE(vocabulary.add("x", 5));
  EXPECT_FALSE(vocabulary.add("x", 6));
  EXPECT_FALSE(vocabulary.add("y", 5));
  EXPECT_EQ(vocabulary.find("x"), 5);
  EXPECT_EQ(vocabulary.find("y"), Vocabulary::kNone);
  EXPECT_FALSE(vocabulary.has(4));
  EXPECT_EQ(vocabulary.id_limit(), 6);
  EXPECT_EQ(vocabulary.count(), 1U);
}

TEST(MergeTable, LetsALaterMergeReplaceAnEarlierOne) {
  MergeTable merges;
  for (int32_t i = 0; i < 1000; ++i) merges.add(i, i + 1, {static_cast<uint32_t>(i), 5 * i});
  merges.add(7, 8, {2000, 1});
  EXPECT_EQ(merges.count(), 1000U);
  EXPECT_EQ(merges.find(7, 8).rank, 2000U);
  EXPECT_EQ(merges.find(999, 1000).id, 4995);
  EXPECT_EQ(merges.find(8, 7).rank, Merge::kNoRank);
}

}  // namespace
}  // namespace qbench::tokenizers
