#include "tasks/core/pairs.h"

#include "tests/unit/tasks/task_test_support.h"

namespace qbench::tasks {
namespace {

using Ids = std::vector<int32_t>;

Ids ids(const std::string& text) { return {text.begin(), text.end()}; }

TEST(Pairs, TrailingSpaceOfTheContextMovesToTheContinuation) {
  const ByteTokenizer tokenizer;
  const PairEncoder encoder(tokenizer, true);
  const Pair moved = encoder.encode("ab \n", "c", "x"), plain = encoder.encode("ab", " \nc", "x");
  EXPECT_EQ(moved.context, ids("ab"));
  EXPECT_EQ(moved.continuation, ids(" \nc"));
  EXPECT_EQ(moved.continuation, plain.continuation);
}

TEST(Pairs, AnEmptyContextIsThePrefixToken) {
  const ByteTokenizer tokenizer(true);
  const Pair pair = PairEncoder(tokenizer, true).encode("", " ab", "x");
  EXPECT_EQ(pair.context, Ids{256});
  EXPECT_EQ(pair.continuation, ids(" ab"));
}

TEST(Pairs, APrefixSpelledInTheTextIsNotAddedTwice) {
  const ByteTokenizer tokenizer(true);
  const PairEncoder encoder(tokenizer, true);
  EXPECT_EQ(encoder.encode("<s>ab", "c", "x").context, (Ids{256, 'a', 'b'}));
  EXPECT_EQ(encoder.encode("ab", "c", "x").context, (Ids{256, 'a', 'b'}));
  EXPECT_EQ(encoder.encode("", "<s>c", "x").continuation, Ids{'c'});
}

TEST(Pairs, WithoutTokenizerBosNothingIsAdded) {
  const ByteTokenizer tokenizer(true);
  EXPECT_EQ(PairEncoder(tokenizer, false).encode("ab", "c", "x").context, ids("ab"));
}

TEST(Pairs, AContextOfSpacesOnlyIsAnErrorThatNamesTheDocument) {
  const ByteTokenizer tokenizer;
  EXPECT_THAT(message_of([&] { PairEncoder(tokenizer, true).encode(" ", "x", "task t, document 7"); }),
              HasSubstr("document 7"));
}

TEST(PairRequests, LoseTheLeftOfTheContextFirst) {
  int64_t truncated = 0;
  const auto request = pair_request({{1, 2, 3, 4}, {5, 6}, false}, 3, truncated, "x");
  EXPECT_EQ(request.tokens, (Ids{3, 4, 5, 6}));  // three are fed, the fourth is only scored
  EXPECT_EQ(request.scored_from, 2);
  EXPECT_EQ(truncated, 1);
  EXPECT_THROW(pair_request({{1}, {2, 3, 4, 5}, false}, 3, truncated, "x"), DataError);
}

TEST(RollingRequests, CoverEveryTokenOnceForAnyLength) {
  for (int64_t n = 0; n <= 13; ++n) {
    for (int64_t length = 1; length <= 6; ++length) {
      Ids all;
      for (int32_t i = 0; i < n; ++i) all.push_back(i);
      Ids scored;
      for (const auto& request : rolling_requests(all, 99, length)) {
        EXPECT_LE(std::ssize(request.tokens), length + 1);
        EXPECT_GE(request.scored_from, 1);
        scored.insert(scored.end(), request.tokens.begin() + request.scored_from, request.tokens.end());
      }
      EXPECT_EQ(scored, all) << "n " << n << " length " << length;
    }
  }
}

}  // namespace
}  // namespace qbench::tasks
