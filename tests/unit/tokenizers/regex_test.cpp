#include "harness/tokenizers/regex.h"

#include <gmock/gmock.h>

#include "harness/core/errors.h"

namespace qbench::tokenizers {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

std::vector<std::string> matches(std::string_view pattern, std::string_view text) {
  const Regex regex(pattern, "test");
  std::vector<std::string> found;
  regex.for_each(text,
                 [&](Range range) { found.emplace_back(text.substr(range.begin, range.end - range.begin)); });
  return found;
}

TEST(Regex, FindsMatchesFromLeftToRight) {
  EXPECT_THAT(matches(R"(\p{L}+|\p{N}{1,3})", "ab12345é"), ElementsAre("ab", "123", "45", "é"));
  EXPECT_THAT(matches("a*", "baac"), ElementsAre("", "aa", ""));  // none right behind "aa", one at the end
}

TEST(Regex, ReadsSpacesAsWhiteSpace) {
  EXPECT_THAT(matches(R"(\s)", "\u180E\u0085\u2003x"), ElementsAre("\u0085", "\u2003"));
  EXPECT_THAT(matches(R"(\S)", "\u180E "), ElementsAre("\u180E"));
  EXPECT_THAT(matches(R"([^\s]+)", "a\u3000b"), ElementsAre("a", "b"));
}

TEST(Regex, ReadsABracketInsideAClassAsAUnion) {
  // Bloom's pattern: "(", "|" and ")" are members of the excluded set too.
  EXPECT_THAT(matches(R"( ?[^(\s|[.,!?])]+)", "ab,c (d|e)"), ElementsAre("ab", "c", "d", "e"));
}

TEST(Regex, ReadsWordsHexDigitsAndLineEndsAsRubyDoes) {
  EXPECT_THAT(matches(R"(\w+)", "a_1é\u0301-b²"), ElementsAre("a_1é\u0301", "b²"));
  EXPECT_THAT(matches(R"(\h+)", "xyz1fG"), ElementsAre("1f"));
  EXPECT_THAT(matches("^.", "a\nb"), ElementsAre("a", "b"));
  EXPECT_THAT(matches(R"(\b)", "e\u0301"), ElementsAre("", ""));  // the mark belongs to the word
}

TEST(Regex, KnowsCharactersYoungerThanItsEngine) {
  EXPECT_THAT(matches(R"(\p{L})", "\U0002EBF0"), ElementsAre("\U0002EBF0"));
  EXPECT_THAT(matches(R"([^\p{L}])", "\U0002EBF0"), IsEmpty());
  EXPECT_THAT(matches(R"(\P{L})", "\U0002EBF0"), IsEmpty());
  EXPECT_THAT(matches(R"(\p{Han})", "\U0002EBF0"), ElementsAre("\U0002EBF0"));
}

TEST(Regex, SaysWhatIsWrongWithAPattern) {
  const auto message = [](std::string_view pattern) {
    try {
      const Regex regex(pattern, "file.pre_tokenizer.pattern");
    } catch (const DataError& error) {
      return std::string(error.what());
    }
    return std::string("accepted");
  };
  EXPECT_THAT(message("(a"),
              AllOf(HasSubstr("file.pre_tokenizer.pattern"), HasSubstr("(a"), HasSubstr("parenthes")));
  EXPECT_THAT(message("[a"), HasSubstr("not closed"));
  EXPECT_THAT(message("[a[^b]]"), HasSubstr("negated character class inside another"));
  EXPECT_THAT(message("[a&&b]"), HasSubstr("intersection"));
  EXPECT_THAT(message("[\\S]"), HasSubstr("negated class escape"));
  EXPECT_THAT(message("\\p{L"), HasSubstr("property is not closed"));
  EXPECT_THAT(message("\\"), HasSubstr("backslash"));
}

TEST(Pattern, ReplacesStringsAndExpressions) {
  EXPECT_EQ(Pattern::literal("aa").replace_all("aaaab", "x"), "xxb");
  EXPECT_EQ(Pattern::regex(" {2,}", "test").replace_all("a   b c", " "), "a b c");
  EXPECT_EQ(Pattern::literal("").replace_all("ab", "x"), "ab");
  EXPECT_EQ(Pattern::regex("x*", "test").replace_all("", "y"), "");
}

}  // namespace
}  // namespace qbench::tokenizers
