#include "harness/tokenizers/unicode.h"

#include <gtest/gtest.h>

namespace qbench::tokenizers {
namespace {

TEST(Utf8, NamesTheFirstByteThatIsWrong) {
  EXPECT_EQ(find_invalid_utf8("plain ascii, longer than eight bytes"), std::string_view::npos);
  EXPECT_EQ(find_invalid_utf8("é€😀"), std::string_view::npos);
  EXPECT_EQ(find_invalid_utf8("abcdefgh\x80"), 8U);      // a tail byte alone
  EXPECT_EQ(find_invalid_utf8("a\xC3"), 1U);             // cut
  EXPECT_EQ(find_invalid_utf8("\xC0\xAF"), 0U);          // overlong
  EXPECT_EQ(find_invalid_utf8("\xE0\x80\x80"), 0U);      // overlong
  EXPECT_EQ(find_invalid_utf8("\xED\xA0\x80"), 0U);      // surrogate
  EXPECT_EQ(find_invalid_utf8("\xF4\x90\x80\x80"), 0U);  // above U+10FFFF
}

TEST(Utf8, ReplacesEachCutCharacterByOneSign) {
  EXPECT_EQ(lossy_utf8("a\xE2\x82z"), "a\uFFFDz");  // two bytes of three: one sign
  EXPECT_EQ(lossy_utf8("\xFF\xFE"), "\uFFFD\uFFFD");
  EXPECT_EQ(lossy_utf8("\xED\xA0\x80"), "\uFFFD\uFFFD\uFFFD");  // a surrogate starts nothing
  EXPECT_EQ(lossy_utf8("\xF0\x9F\x98"), "\uFFFD");
  EXPECT_EQ(lossy_utf8("né"), "né");
}

TEST(Utf8, ReadsAndWritesCodePoints) {
  for (const char32_t c : {U'a', U'é', U'€', U'😀', char32_t{0x10FFFF}}) {
    std::string text;
    append_utf8(text, c);
    size_t pos = 0;
    EXPECT_EQ(next_code_point(text, pos), c);
    EXPECT_EQ(pos, text.size());
    EXPECT_EQ(previous_code_point("x" + text, text.size() + 1), c);
  }
}

TEST(CharClass, KnowsLettersNumbersSpacesAndSigns) {
  EXPECT_EQ(char_class(U'a') & (kLetter | kNumber | kSpace | kPunctuation), kLetter);
  EXPECT_EQ(char_class(U'½') & (kLetter | kNumber | kDigit), kNumber | kDigit);
  EXPECT_TRUE(is_space(0x3000) && is_space(0x85) && !is_space(0x200B) && !is_space(0x180E));
  EXPECT_TRUE(char_class(U'$') & kPunctuation);  // ASCII symbols count, others do not
  EXPECT_FALSE(char_class(U'€') & kPunctuation);
  EXPECT_TRUE(char_class(0x0301) & kMark);
  EXPECT_TRUE(char_class(U'_') & kWord);
}

TEST(CharClass, KnowsLettersYoungerThanItsLibraries) {
  EXPECT_TRUE(char_class(0x2EBF0) & kLetter);                   // Unicode 15.1
  EXPECT_TRUE(char_class(0x1E5F1) & kNumber);                   // 16.0
  EXPECT_EQ(char_class(0x11DE0) & (kNumber | kDigit), kDigit);  // 17.0: known to the Digits step only
}

TEST(Normalize, ComposesDecomposesAndKeepsYoungCharacters) {
  EXPECT_EQ(normalize("e\u0301", NormalForm::kNfc), "é");
  EXPECT_EQ(normalize("é", NormalForm::kNfd), "e\u0301");
  EXPECT_EQ(normalize("ﬁ２", NormalForm::kNfkc), "fi2");
  EXPECT_EQ(normalize("\u32FF", NormalForm::kNfkc), "\u32FF");  // of Unicode 12.1
}

TEST(Lowercase, GoesCharacterByCharacter) {
  EXPECT_EQ(lowercase("ÀΣΣ"), "àσσ");  // a final sigma is no special case
  EXPECT_EQ(lowercase("İ"), "i\u0307");
}

}  // namespace
}  // namespace qbench::tokenizers
