#include "reports/render/text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace qbench::reports {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

Value number(const std::string& text, const std::string& suffix = "", Tone tone = Tone::kPlain) {
  return {text, suffix, std::nullopt, tone};
}

TEST(TerminalTable, AlignsNumbersAndKeepsMarksOutOfTheAlignment) {
  const Table table{
      "T", "", {{"name"}, {"v", true}}, {{number("a"), number("1.5", "*")}, {number("bb"), number("12.5")}}};
  EXPECT_EQ(terminal_table(table, false),
            "T\n"
            "  name      v\n"
            "  ────  ─────\n"
            "  a      1.5*\n"
            "  bb    12.5\n");
}

TEST(TerminalTable, BreaksLongTitlesAtTheirSeparators) {
  const Table table{"T", "", {{"multiple_choice_grade", true}}, {{number("1")}}};
  EXPECT_EQ(terminal_table(table, false),
            "T\n"
            "     multiple_\n"
            "  choice_grade\n"
            "  ────────────\n"
            "             1\n");
}

TEST(TerminalTable, HeadsGroupsOfColumns) {
  const Table table{"T",
                    "",
                    {{"n"}, {"a", true, "some_task"}, {"b", true, "some_task"}},
                    {{number("x"), number("10.25"), number("20.5")}}};
  EXPECT_EQ(terminal_table(table, false),
            "T\n"
            "       some_task\n"
            "  n      a     b\n"
            "  ─  ─────  ────\n"
            "  x  10.25  20.5\n");
}

TEST(TerminalTable, IsColouredOnlyWhenAsked) {
  const Table table{"T", "", {{"v"}}, {{number("x", "", Tone::kBad)}}};
  EXPECT_THAT(terminal_table(table, false), Not(HasSubstr("\x1b")));
  EXPECT_THAT(terminal_table(table, true), HasSubstr("\x1b[31mx\x1b[0m"));
}

TEST(TerminalParagraph, WrapsAndIndents) {
  EXPECT_EQ(terminal_paragraph("one two"), "    one two\n");
  std::string words;
  for (int i = 0; i < 60; ++i) words += "word ";
  const std::string text = terminal_paragraph(words);
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 3);
  EXPECT_EQ(terminal_paragraph(""), "");
}

TEST(MarkdownTable, EscapesWhatWouldEndACell) {
  const Table table{"T", "", {{"a|b"}}, {{number("x|y\nz")}}};
  EXPECT_EQ(markdown_table(table, 3), "### T\n\n| a\\|b |\n| --- |\n| x\\|y z |\n\n");
}

TEST(CsvField, QuotesOnlyWhatItMust) {
  EXPECT_EQ(csv_field("plain text"), "plain text");
  EXPECT_EQ(csv_field("a,b"), "\"a,b\"");
  EXPECT_EQ(csv_field("say \"hi\""), "\"say \"\"hi\"\"\"");
  EXPECT_EQ(csv_field("two\nlines"), "\"two\nlines\"");
}

TEST(DisplayWidth, CountsCodePoints) { EXPECT_EQ(display_width("Δ–x"), 3u); }

}  // namespace
}  // namespace qbench::reports
