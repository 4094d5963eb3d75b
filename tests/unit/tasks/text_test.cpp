#include "tasks/core/python_text.h"
#include "tasks/core/statistics.h"
#include "tasks/core/task_support.h"
#include "tasks/core/wikitext.h"
#include "tests/unit/tasks/task_test_support.h"

namespace qbench::tasks {
namespace {

TEST(PythonText, CapitalizeLowersAllButTheFirst) {
  EXPECT_EQ(python_capitalize("hello World. FOO bar"), "Hello world. foo bar");
  EXPECT_EQ(python_capitalize("ßtraße X"), "Sstraße x");
  EXPECT_EQ(python_capitalize(""), "");
  EXPECT_EQ(lower_first("The Cat"), "the Cat");
}

TEST(PythonText, CountsWordsAsPiecesOfASplitOnWhiteSpace) {
  EXPECT_EQ(count_words(" = Robert Boulter = \n"), 6);
  EXPECT_EQ(count_words(""), 1);
  EXPECT_EQ(count_words("a\u00a0b\u3000c"), 3);
}

TEST(PythonText, StripsUnicodeSpaceAndCountsCharacters) {
  EXPECT_EQ(python_strip("\u2003 a b\u00a0\n"), "a b");
  EXPECT_EQ(python_strip(" \n"), "");
  EXPECT_EQ(code_points("été"), 3);
  EXPECT_EQ(drop_last_character("voilà"), "voil");
}

TEST(PythonText, ReplacesWithoutOverlap) {
  EXPECT_EQ(replace_all("   ", "  ", " "), "  ");  // one pass: three spaces leave two
  EXPECT_EQ(replace_all("aXbX", "X", ""), "ab");
}

TEST(WikiText, IsCutAtFirstLevelHeadings) {
  const auto pages = wikitext_pages(" \n = A = \n text \n = = B = = \n more \n = C = \n end \n");
  ASSERT_EQ(pages.size(), 2U);
  EXPECT_EQ(pages[0], " = A = \n text \n = = B = = \n more ");
  EXPECT_EQ(pages[1], " = C = \n end \n");
}

TEST(WikiText, DetokenisesInTenPasses) {
  EXPECT_EQ(wikitext_detokenize("a @-@ b 1 @,@ 000 , ( x ) \" y \" 's end"), "a-b 1,000, (x) \"y\"'s end");
  EXPECT_EQ(wikitext_detokenize(" = = T = = \n N of 3 ° C \n"), " == T ==\nN of 3°C\n");
}

TEST(Statistics, ErrorOfAShareUsesNMinusOne) {
  const std::vector<double> hits = {1, 0, 1, 1};
  EXPECT_NEAR(*mean_stderr(hits), std::sqrt(0.75 * 0.25 / 3), 1e-12);
  EXPECT_FALSE(mean_stderr(std::vector<double>{1.0}).has_value());
}

TEST(Statistics, AGroupOfTwoCopiesIsTheTask) {
  const std::vector<GroupMember> twice = {{0.5, 0.1, 50}, {0.5, 0.1, 50}};
  EXPECT_DOUBLE_EQ(group_mean(twice, true), 0.5);
  EXPECT_NEAR(*pooled_stderr(twice), 0.1 / std::sqrt(2.0), 1e-3);
}

TEST(Selection, LimitTakesTheFirstAndSubsetDrawsWithASeed) {
  EXPECT_EQ((Selection{3, 0, 0}.pick(10)), (std::vector<int64_t>{0, 1, 2}));
  EXPECT_EQ((Selection{0, 5, 1234}.pick(10)),
            (std::vector<int64_t>{0, 1, 4, 7, 9}));  // random.Random(1234).sample, sorted
  EXPECT_EQ((Selection{0, 20, 0}.pick(4)).size(), 4U);
  EXPECT_THROW((Selection{1, 1, 0}.pick(4)), ConfigError);
}

}  // namespace
}  // namespace qbench::tasks
