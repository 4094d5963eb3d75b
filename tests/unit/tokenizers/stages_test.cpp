// Normalizers, pre-tokenizers, decoders and post-processors, one component at a time.
#include <gmock/gmock.h>

#include "harness/core/errors.h"
#include "tests/unit/tokenizers/small_tokenizers.h"

namespace qbench::tokenizers {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::string normalized(const char* json, std::string_view text) {
  const Json node = Json::parse(json);
  return parse_normalizer(JsonNode(node, "normalizer"))->apply(text);
}

std::vector<std::string> cut(const char* json, std::string text, bool at_start = true) {
  const Json node = Json::parse(json);
  Pieces pieces;
  pieces.text = text;
  pieces.ranges = {{0, text.size()}};
  pieces.at_start = at_start;
  parse_pre_tokenizer(JsonNode(node, "pre_tokenizer"))->apply(pieces);
  std::vector<std::string> out;
  for (size_t i = 0; i < pieces.ranges.size(); ++i) out.emplace_back(pieces.piece(i));
  return out;
}

std::string decoded(const char* json, std::vector<std::string> tokens) {
  const Json node = Json::parse(json);
  parse_decoder(JsonNode(node, "decoder"))->apply(tokens);
  std::string text;
  for (const std::string& token : tokens) text += token;
  return text;
}

std::vector<std::string> split(const std::string& behavior, bool invert) {
  const Json node = {
      {"type", "Split"}, {"pattern", {{"String", "-"}}}, {"behavior", behavior}, {"invert", invert}};
  return cut(node.dump().c_str(), "a--b-c");
}

TEST(Normalizers, DoWhatTheirNamesSay) {
  EXPECT_EQ(normalized(R"({"type": "Strip", "strip_left": true, "strip_right": false})", " \u3000a "), "a ");
  EXPECT_EQ(normalized(R"({"type": "Strip"})", " \u2003 "), "");
  EXPECT_EQ(normalized(R"({"type": "StripAccents"})", "e\u0301a"), "ea");
  EXPECT_EQ(normalized(R"({"type": "Prepend", "prepend": "▁"})", ""), "");
  EXPECT_EQ(
      normalized(
          R"({"type": "Sequence", "normalizers": [{"type": "NFD"}, {"type": "StripAccents"}, {"type": "Lowercase"}]})",
          "ÉA"),
      "ea");
  EXPECT_EQ(normalized(R"({"type": "BertNormalizer", "lowercase": true})", "É\x01\t漢"), "e  漢 ");
  EXPECT_EQ(normalized(R"({"type": "BertNormalizer", "lowercase": false})", "É"), "É");
}

TEST(SplitPreTokenizer, KnowsEveryBehavior) {
  EXPECT_THAT(split("Removed", false), ElementsAre("a", "b", "c"));
  EXPECT_THAT(split("Isolated", false), ElementsAre("a", "-", "-", "b", "-", "c"));
  EXPECT_THAT(split("MergedWithPrevious", false), ElementsAre("a-", "-", "b-", "c"));
  EXPECT_THAT(split("MergedWithNext", false), ElementsAre("a", "-", "-b", "-c"));
  EXPECT_THAT(split("Contiguous", false), ElementsAre("a", "--", "b", "-", "c"));
}

TEST(SplitPreTokenizer, Inverts) {
  EXPECT_THAT(split("Removed", true), ElementsAre("-", "-", "-"));
  EXPECT_THAT(split("MergedWithPrevious", true), ElementsAre("a", "-", "-b", "-c"));
}

TEST(PreTokenizers, CutAsTheirNamesSay) {
  EXPECT_THAT(cut(R"({"type": "ByteLevel", "add_prefix_space": true})", "it's 12"),
              ElementsAre("Ġit", "'s", "Ġ12"));
  EXPECT_THAT(cut(R"({"type": "ByteLevel", "use_regex": false, "add_prefix_space": false})", "a é"),
              ElementsAre("aĠÃ©"));
  EXPECT_THAT(cut(R"({"type": "Digits", "individual_digits": true})", "a12"), ElementsAre("a", "1", "2"));
  EXPECT_THAT(cut(R"({"type": "Digits"})", "a12"), ElementsAre("a", "12"));
  EXPECT_THAT(cut(R"({"type": "Punctuation"})", "a,!b"), ElementsAre("a", ",", "!", "b"));
  EXPECT_THAT(cut(R"({"type": "Whitespace"})", "a_1 ,.é"), ElementsAre("a_1", ",.", "é"));
  EXPECT_THAT(cut(R"({"type": "WhitespaceSplit"})", " a,\u3000b "), ElementsAre("a,", "b"));
  EXPECT_THAT(cut(R"({"type": "BertPreTokenizer"})", "a, b$"), ElementsAre("a", ",", "b", "$"));
}

TEST(PreTokenizers, LeaveTheLastSpaceOfARunToTheNextWord) {
  EXPECT_THAT(cut(R"({"type": "ByteLevel", "add_prefix_space": false})", "a   b  "),
              ElementsAre("a", "ĠĠ", "Ġb", "ĠĠ"));
}

TEST(Metaspace, PrependsAsItsSchemeSays) {
  const char* first = R"({"type": "Metaspace", "prepend_scheme": "first"})";
  EXPECT_THAT(cut(first, "a b"), ElementsAre("▁a", "▁b"));
  EXPECT_THAT(cut(first, "a b", false), ElementsAre("a", "▁b"));
  EXPECT_THAT(cut(R"({"type": "Metaspace", "prepend_scheme": "always"})", " a"), ElementsAre("▁a"));
  EXPECT_THAT(cut(R"({"type": "Metaspace", "add_prefix_space": false, "split": false})", "a  b"),
              ElementsAre("a▁▁b"));
}

TEST(Decoders, UndoTheirStages) {
  EXPECT_EQ(decoded(R"({"type": "ByteLevel"})", {"Ġh", "Ã©"}), " hé");
  EXPECT_EQ(decoded(R"({"type": "ByteLevel"})", {"Ã", "x"}), "\uFFFDx");
  EXPECT_EQ(decoded(R"({"type": "ByteFallback"})", {"<0xC3>", "<0xA9>", "a"}), "éa");
  EXPECT_EQ(decoded(R"({"type": "ByteFallback"})", {"<0xFF>", "<0x41>", "a"}),
            "\uFFFD\uFFFDa");  // all of a broken run
  EXPECT_EQ(decoded(R"({"type": "Metaspace"})", {"▁a", "▁b▁"}), "a b ");
  EXPECT_EQ(decoded(R"({"type": "Metaspace", "prepend_scheme": "never"})", {"▁a"}), " a");
  EXPECT_EQ(decoded(R"({"type": "Strip", "content": "x", "start": 1, "stop": 2})", {"xxaxxx", "x"}), "xax");
  EXPECT_EQ(decoded(R"({"type": "WordPiece"})", {"un", "##able", "do", "n't", "."}), "unable don't.");
}

TEST(PostProcessors, FrameTheText) {
  const Json roberta = Json::parse(R"({"type": "Sequence", "processors": [{"type": "ByteLevel"},
    {"type": "RobertaProcessing", "sep": ["</s>", 2], "cls": ["<s>", 0]}]})");
  const SpecialFrame frame = parse_post_processor(JsonNode(roberta, "post_processor"));
  EXPECT_THAT(frame.before, ElementsAre(0));
  EXPECT_THAT(frame.after, ElementsAre(2));
}

TEST(Components, AreRefusedByNameWithThoseThatExist) {
  const auto message = [](auto parse, const char* json) {
    const Json node = Json::parse(json);
    try {
      parse(JsonNode(node, "tokenizer.json.x"));
    } catch (const DataError& error) {
      return std::string(error.what());
    }
    return std::string("accepted");
  };
  EXPECT_THAT(message(parse_normalizer, R"({"type": "Nmt"})"),
              AllOf(HasSubstr("tokenizer.json.x"), HasSubstr("normalizer \"Nmt\" is not supported"),
                    HasSubstr("NFKC")));
  EXPECT_THAT(message(parse_pre_tokenizer, R"({"type": "Digit"})"), HasSubstr("Did you mean \"Digits\"?"));
  EXPECT_THAT(message(parse_pre_tokenizer, R"({"type": "UnicodeScripts"})"),
              HasSubstr("pre-tokenizer \"UnicodeScripts\""));
  EXPECT_THAT(message(parse_decoder, R"({"type": "CTC"})"), HasSubstr("decoder \"CTC\" is not supported"));
  EXPECT_THAT(message(parse_post_processor, R"({"type": "None"})"), HasSubstr("post-processor"));
  EXPECT_THAT(
      message(parse_pre_tokenizer, R"({"type": "Split", "pattern": {"Regex": "a"}, "behavior": "Drop"})"),
      HasSubstr("found \"Drop\"; expected Removed"));
  EXPECT_THAT(message(parse_decoder, R"({"type": "Sequence"})"), HasSubstr("key \"decoders\" is missing"));
}

}  // namespace
}  // namespace qbench::tokenizers
