#include "harness/tokenizers/pipeline.h"

#include <gmock/gmock.h>

#include "harness/core/errors.h"
#include "tests/unit/tokenizers/small_tokenizers.h"

namespace qbench::tokenizers {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

template <class Call>
std::string data_error(Call call) {
  try {
    call();
  } catch (const DataError& error) {
    return error.what();
  }
  return "no DataError";
}

std::string refusal(const Json& file, const TokenizerSettings& settings = {}) {
  return data_error([&] { build(file, settings); });
}

TEST(ByteLevelTokenizer, EncodesAndDecodes) {
  const auto tokenizer = build(byte_level_file());
  EXPECT_THAT(tokenizer->encode("hello world"), ElementsAre(13, 4, 14, 4, 7, 3, 8));
  EXPECT_EQ(tokenizer->decode(tokenizer->encode("hello world")), "hello world");
  EXPECT_THAT(tokenizer->encode(""), IsEmpty());
  EXPECT_EQ(tokenizer->piece(14), "Ġw");
  EXPECT_EQ(tokenizer->vocab_size(), 15);
  EXPECT_THAT(tokenizer->special_ids(), ElementsAre(0));
  EXPECT_FALSE(tokenizer->adds_bos());
}

TEST(ByteLevelTokenizer, ReadsSpecialTextOnlyWhenAsked) {
  Json file = byte_level_file();
  for (const char* sign : {"<", "|", ">", "n"}) file["model"]["vocab"][sign] = file["model"]["vocab"].size();
  const auto tokenizer = build(file);
  EXPECT_THAT(tokenizer->encode("h<|end|>o"), ElementsAre(1, 0, 4));
  EXPECT_THAT(tokenizer->encode("<|end|>", {.parse_special = false}), ElementsAre(15, 16, 2, 18, 8, 16, 17));
  EXPECT_EQ(tokenizer->decode(Ids{1, 0, 4}, true), "ho");
  EXPECT_EQ(tokenizer->decode(Ids{1, 0, 4}), "h<|end|>o");
}

TEST(MarkerTokenizer, PrependsPerSectionAndFallsBackToBytes) {
  const auto tokenizer = build(marker_file());
  EXPECT_THAT(tokenizer->encode("ab a€"), ElementsAre(1, 10, 8, 2, 3, 4));
  EXPECT_THAT(tokenizer->encode("ab<s>ab", {.add_special = false}), ElementsAre(10, 1, 10));
  EXPECT_THAT(tokenizer->encode(""), ElementsAre(1));
  EXPECT_THAT(tokenizer->encode("xyé", {.add_special = false}), ElementsAre(5, 0));
  EXPECT_EQ(tokenizer->decode(Ids{1, 10, 8, 2, 3, 4}, true), "ab a€");
  EXPECT_EQ(tokenizer->bos(), 1);  // no tokenizer_config.json: what the frame puts in front
  EXPECT_TRUE(tokenizer->adds_bos());
  EXPECT_EQ(tokenizer->unk(), 0);
}

Json with_added(Json token) {
  Json file = byte_level_file();
  token["id"] = 15;
  file["added_tokens"].push_back(token);
  return file;
}

TEST(AddedTokens, TakeWhiteSpaceOnTheSidesTheyAreToldTo) {
  EXPECT_THAT(
      build(with_added({{"content", "#"}, {"lstrip", true}, {"normalized", false}}))->encode("h \n# e"),
      ElementsAre(1, 15, 5, 2));
  EXPECT_THAT(
      build(with_added({{"content", "#"}, {"rstrip", true}, {"normalized", false}}))->encode("h # \te"),
      ElementsAre(1, 5, 15, 2));
}

TEST(AddedTokens, MatchWholeWordsOnlyIfTold) {
  const auto tokenizer =
      build(with_added({{"content", "ell"}, {"single_word", true}, {"normalized", false}}));
  EXPECT_THAT(tokenizer->encode("hello"), ElementsAre(13, 4));
  EXPECT_THAT(tokenizer->encode("ell"), ElementsAre(15));
}

TEST(AddedTokens, TakeTheLongestMatch) {
  Json file = with_added({{"content", "he"}, {"normalized", false}});
  file["added_tokens"][1]["id"] = 12;
  file["added_tokens"].push_back({{"id", 15}, {"content", "hell"}, {"normalized", false}});
  file["model"]["vocab"].erase("hell");
  file["model"]["merges"] = Json::array({"l l", "h e", "Ġ w"});
  EXPECT_THAT(build(file)->encode("hellohe"), ElementsAre(15, 4, 12));
}

TEST(AddedTokens, OfNormalizedTextAreNormalizedThemselves) {
  Json file = with_added({{"content", "HE"}, {"normalized", true}});
  file["normalizer"] = {{"type", "Lowercase"}};
  file["model"]["vocab"].erase("he");
  file["model"]["vocab"].erase("hell");
  file["model"]["merges"] = Json::array({"l l", "Ġ w"});
  const auto tokenizer = build(file);
  EXPECT_THAT(tokenizer->encode("hEl"), ElementsAre(15, 3));
  EXPECT_EQ(tokenizer->piece(15), "he");
}

TEST(Tokenizer, RefusesTextThatIsNotUtf8) {
  const auto tokenizer = build(byte_level_file());
  EXPECT_THAT(data_error([&] { tokenizer->encode("hello\xFFx"); }),
              AllOf(HasSubstr("byte 5 (0xFF)"), HasSubstr("not valid UTF-8")));
}

TEST(Tokenizer, RefusesIdsItDoesNotHave) {
  const auto tokenizer = build(byte_level_file());
  EXPECT_THAT(data_error([&] { tokenizer->decode(Ids{99}); }),
              HasSubstr("token id 99: not in the vocabulary; expected an id below 15"));
  EXPECT_THAT(data_error([&] { tokenizer->piece(-1); }), HasSubstr("token id -1"));
}

TEST(TokenizerFile, SaysWhatIsWrongWithIt) {
  Json file = byte_level_file();
  file["model"]["merges"].push_back("o x");
  EXPECT_THAT(refusal(file), AllOf(HasSubstr("tokenizer.json.model.merges[4]"),
                                   HasSubstr("\"x\", which is not in the vocabulary")));
  file = byte_level_file();
  file["model"]["merges"].push_back("o r");
  EXPECT_THAT(refusal(file), HasSubstr("names \"or\""));
  file = byte_level_file();
  file["model"]["merges"].push_back("lonely");
  EXPECT_THAT(refusal(file), HasSubstr("two tokens with one space between them"));
  file = byte_level_file();
  file["model"]["vocab"]["zzz"] = 3;
  EXPECT_THAT(refusal(file), HasSubstr("both have id 3"));
  file["model"]["vocab"]["zzz"] = -1;
  EXPECT_THAT(refusal(file), HasSubstr("expected an id in [0, 16777215]"));
  file["model"]["vocab"]["zzz"] = 1e30;
  EXPECT_THAT(refusal(file), HasSubstr("expected an integer"));
  file = byte_level_file();
  file["added_tokens"][0]["id"] = 4;
  EXPECT_THAT(refusal(file), HasSubstr("the vocabulary gives it id 0"));
  file["added_tokens"][0]["content"] = "new";
  EXPECT_THAT(refusal(file), HasSubstr("belongs to \"o\""));
  file = byte_level_file();
  file["model"]["dropout"] = 0.1;
  EXPECT_THAT(refusal(file), HasSubstr("no dropout"));
  file["model"] = {{"type", "WordLevel"}};
  EXPECT_THAT(refusal(file),
              AllOf(HasSubstr("model \"WordLevel\" is not supported"), HasSubstr("BPE, Unigram, WordPiece")));
}

TEST(TokenizerFile, IsRefusedWhenItIsCut) {
  const std::string whole = byte_level_file().dump();
  for (size_t length = 0; length < whole.size(); length += 7) {
    EXPECT_THAT(data_error([&] { parse_tokenizer_json(whole.substr(0, length), "cut.json", {}); }),
                HasSubstr("cut.json"));
  }
}

TEST(TokenizerFile, IsRefusedWhenItNestsWithoutEnd) {
  Json file = byte_level_file();
  Json node = {{"type", "NFC"}};
  for (int i = 0; i < 200; ++i) node = {{"type", "Sequence"}, {"normalizers", Json::array({node})}};
  file["normalizer"] = node;
  EXPECT_THAT(refusal(file), HasSubstr("nested deeper"));
}

TEST(TokenizerSettings, NameTokensAndAddMissingOnes) {
  TokenizerSettings settings;
  settings.bos = "<|end|>";
  settings.added = {{.content = "<extra>", .id = 20, .special = true}};
  const auto tokenizer = build(byte_level_file(), settings);
  EXPECT_EQ(tokenizer->bos(), 0);
  EXPECT_FALSE(tokenizer->adds_bos());
  EXPECT_EQ(tokenizer->vocab_size(), 21);
  EXPECT_THAT(tokenizer->encode("h<extra>"), ElementsAre(1, 20));
  settings.bos = "<nowhere>";
  EXPECT_THAT(refusal(byte_level_file(), settings), HasSubstr("bos_token \"<nowhere>\""));
}

TEST(WordPieceTokenizer, TakesTheLongestPiecesOrNothing) {
  const Json file =
      Json::parse(R"({"model": {"type": "WordPiece", "unk_token": "[UNK]", "max_input_chars_per_word": 5,
    "vocab": {"[UNK]": 0, "un": 1, "##able": 2, "##a": 3, "una": 4}}, "pre_tokenizer": {"type": "WhitespaceSplit"}})");
  const auto tokenizer = build(file);
  EXPECT_THAT(tokenizer->encode("una unaa unx unable"),
              ElementsAre(4, 4, 3, 0, 0));  // "unable" has more than 5 characters
}

TEST(UnigramTokenizer, TakesTheMostProbableCut) {
  Json file = Json::parse(R"({"model": {"type": "Unigram", "unk_id": 0,
    "vocab": [["<unk>", 0.0], ["a", -1.0], ["b", -1.0], ["ab", -2.5], ["abb", -2.0]]}})");
  EXPECT_THAT(build(file)->encode("ababb"), ElementsAre(1, 2, 4));  // a+b (-2.0) beats ab (-2.5)
  EXPECT_THAT(build(file)->encode("axya"), ElementsAre(1, 0, 1));   // neighbouring unknowns are one
  file["model"]["unk_id"] = nullptr;
  EXPECT_THAT(data_error([&] { build(file)->encode("x"); }), HasSubstr("no unk token"));
  file["model"]["vocab"].push_back({"a", -3.0});
  EXPECT_THAT(refusal(file), HasSubstr("has not been listed before"));
}

}  // namespace
}  // namespace qbench::tokenizers
