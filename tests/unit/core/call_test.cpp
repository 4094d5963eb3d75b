#include "harness/core/call.h"

#include <gmock/gmock.h>

#include "harness/core/errors.h"

namespace qbench {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

TEST(Call, ParsesNameAndArguments) {
  const Call call = parse_call(" perplexity(protocol=gptq, text=\"a, b.txt\" ,window=2048)", "task");
  EXPECT_EQ(call.name, "perplexity");
  ASSERT_EQ(call.args.size(), 3U);
  EXPECT_EQ(*call.find("text"), "a, b.txt");
  EXPECT_EQ(call.find("nothing"), nullptr);
}

TEST(Call, PrintsTextThatParsesBackToTheSameCall) {
  for (const char* text :
       {"rtn", "gptq(block=128,damp=0.01)", "text(file=\"a b,(c)\\\"d\\\\\")", "x(y=\"\")"}) {
    const Call call = parse_call(text, "call");
    EXPECT_EQ(parse_call(call.print(), "call"), call) << text;
  }
}

TEST(Call, RefusesBadSyntaxWithItsColumn) {
  EXPECT_THAT([] { parse_call("a(b)", "task"); },
              ThrowsMessage<ConfigError>(HasSubstr("column 4: expected '='")));
  EXPECT_THAT([] { parse_call("a(b=1,b=2)", "task"); }, ThrowsMessage<ConfigError>(HasSubstr("given twice")));
  EXPECT_THAT([] { parse_call("a(b=1) c", "task"); },
              ThrowsMessage<ConfigError>(HasSubstr("nothing may follow")));
  EXPECT_THAT([] { parse_call("", "task"); }, ThrowsMessage<ConfigError>(HasSubstr("expected a name")));
  EXPECT_THAT([] { parse_call("a(b=\"x)", "task"); }, ThrowsMessage<ConfigError>(HasSubstr("not closed")));
}

TEST(SplitOutside, IgnoresSeparatorsInsideParenthesesAndQuotes) {
  EXPECT_THAT(split_outside("a(x=1|2) | b(y=\"|\")|c", '|'), ElementsAre("a(x=1|2)", "b(y=\"|\")", "c"));
}

TEST(GlobMatch, FollowsShellRules) {
  EXPECT_TRUE(glob_match("*gptq*w4*", "smollm2/gptq/w4a16g64"));
  EXPECT_TRUE(glob_match("?bc", "abc"));
  EXPECT_FALSE(glob_match("?bc", "bc"));
  EXPECT_FALSE(glob_match("a*b", "abc"));
}

}  // namespace
}  // namespace qbench
