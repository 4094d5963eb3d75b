#include "reports/view/names.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace qbench::reports {
namespace {

using ::testing::ElementsAre;

TEST(ShortNames, DropWhatAllHaveInCommon) {
  EXPECT_THAT(short_names({"en_wiki(samples=64,seed=0)", "code(samples=64,seed=0)"}),
              ElementsAre("en_wiki", "code"));
}

TEST(ShortNames, KeepWhatDiffersAndWhatNamesTheData) {
  EXPECT_THAT(short_names({"en_wiki(samples=64,seed=0)", "en_wiki(samples=128,seed=0)"}),
              ElementsAre("en_wiki(samples=64)", "en_wiki(samples=128)"));
  EXPECT_THAT(short_names({"bigbench(name=sports,limit=9)"}), ElementsAre("bigbench(sports)"));
  EXPECT_THAT(short_names({"perplexity(text=/data/wiki.txt,window=2048)"}),
              ElementsAre("perplexity(wiki.txt)"));
}

TEST(ShortNames, AnAbsentArgumentDiffersFromAPresentOne) {
  EXPECT_THAT(short_names({"en_wiki", "en_wiki(seed=1)"}), ElementsAre("en_wiki", "en_wiki(seed=1)"));
}

TEST(ShortNames, NeverMakeTwoNamesEqual) {
  EXPECT_THAT(short_names({"text(file=/a/x.txt)", "text(file=/b/x.txt)"}),
              ElementsAre("text(file=/a/x.txt)", "text(file=/b/x.txt)"));
}

TEST(ShortNames, LeaveWhatIsNoCall) {
  EXPECT_THAT(short_names({"smoothquant(alpha=0.5)|gptq", "a("}),
              ElementsAre("smoothquant(alpha=0.5)|gptq", "a("));
}

TEST(ShortTaskNames, AreTheirDataWhereThatIsEnough) {
  EXPECT_THAT(short_task_names({"bigbench(name=sports,limit=9)", "perplexity(text=/d/wiki.txt,window=64)"}),
              ElementsAre("sports", "wiki.txt"));
  EXPECT_THAT(short_task_names({"mc(file=/a/x.yaml)", "cloze(file=/b/x.yaml)"}),
              ElementsAre("mc(x.yaml)", "cloze(x.yaml)"));
  EXPECT_THAT(short_task_names({"lambada(limit=9)", "lambada(limit=10)"}),
              ElementsAre("lambada(limit=9)", "lambada(limit=10)"));
}

TEST(ShortModelNames, AreTheLastPartOfAPathUnlessTheyClash) {
  EXPECT_THAT(short_model_names({"/m/tiny", "hf:org/big", "plain"}), ElementsAre("tiny", "big", "plain"));
  EXPECT_THAT(short_model_names({"/a/tiny", "/b/tiny", "/a/tiny"}),
              ElementsAre("/a/tiny", "/b/tiny", "/a/tiny"));
}

TEST(Formats, Scores) {
  EXPECT_EQ(format_score("ppl", 12.3456789), "12.346");
  EXPECT_EQ(format_score("ppl", 1105.237), "1105.2");
  EXPECT_EQ(format_score("ppl", 12345678.0), "1.2346e+07");
  EXPECT_EQ(format_score("kl_mean", 0.0123456), "0.01235");
  EXPECT_EQ(format_score("acc", 0.54166), "54.17");
  EXPECT_EQ(format_score("acc", std::nan("")), "nan");
  EXPECT_EQ(format_score("ppl", std::numeric_limits<double>::infinity()), "inf");
}

TEST(Formats, DeltasAlwaysCarryASign) {
  EXPECT_EQ(format_delta("ppl", 0.5), "+0.5000");
  EXPECT_EQ(format_delta("ppl", -1.25), "-1.250");
  EXPECT_EQ(format_delta("ppl", 0), "+0");
  EXPECT_EQ(format_delta("acc", -0.01), "-1.00");
}

TEST(Formats, PAndStars) {
  EXPECT_EQ(format_p(0.0312), "0.031");
  EXPECT_EQ(format_p(0.00312), "0.0031");
  EXPECT_EQ(format_p(1e-9), "<1e-4");
  EXPECT_EQ(stars(0.04), "*");
  EXPECT_EQ(stars(0.004), "**");
  EXPECT_EQ(stars(0.0004), "***");
  EXPECT_EQ(stars(0.4), "");
  EXPECT_EQ(stars(std::nullopt), "");
}

TEST(Formats, TimesAndSizes) {
  EXPECT_EQ(format_seconds(0.421), "0.42 s");
  EXPECT_EQ(format_seconds(12.34), "12.3 s");
  EXPECT_EQ(format_seconds(185), "3 min 05 s");
  EXPECT_EQ(format_seconds(8040), "2 h 14 min");
  EXPECT_EQ(format_bytes(812), "812 B");
  EXPECT_EQ(format_bytes(73'700'000), "70.3 MiB");
}

}  // namespace
}  // namespace qbench::reports
