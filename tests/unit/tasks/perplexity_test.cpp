#include <cmath>
#include <limits>

#include "tests/unit/tasks/task_test_support.h"

namespace qbench::tasks {
namespace {

/// Ten tokens "0123456789".
std::string digits_task(const std::string& arguments, const std::string& name = "ten.txt") {
  return "perplexity(text=" + write_file(name, "0123456789") + "," + arguments + ")";
}

std::vector<int32_t> scored_tokens(const FormulaScorer& scorer) {
  std::vector<int32_t> scored;
  for (const auto& request : scorer.requests) {
    scored.insert(scored.end(), request.tokens.begin() + request.scored_from, request.tokens.end());
  }
  return scored;
}

std::vector<int32_t> ids(const std::string& text) { return {text.begin(), text.end()}; }

TEST(Perplexity, OfAUniformModelIsTheVocabularyInEveryProtocol) {
  for (const char* protocol : {"gptq", "llamacpp"}) {
    FormulaScorer scorer = FormulaScorer::uniform();
    EXPECT_NEAR(
        score_named(run(digits_task(std::string("window=4,protocol=") + protocol), scorer), "ppl").value, 258,
        1e-4)
        << protocol;
  }
  FormulaScorer scorer = FormulaScorer::uniform();
  const TaskResult result = run(digits_task("window=4,protocol=rolling"), scorer);
  EXPECT_NEAR(score_named(result, "byte_perplexity").value, 258, 1e-4);
  EXPECT_NEAR(score_named(result, "bits_per_byte").value, std::log2(258), 1e-6);
  EXPECT_NEAR(score_named(result, "word_perplexity").value / std::pow(258, 10), 1,
              1e-5);  // one word of ten tokens
}

TEST(Perplexity, GptqScoresAllButTheFirstTokenOfFullWindows) {
  FormulaScorer scorer = FormulaScorer::uniform();
  run(digits_task("window=4"), scorer);
  EXPECT_EQ(scored_tokens(scorer), ids("123567"));
}

TEST(Perplexity, LlamaCppScoresTheSecondHalfOfEachWindow) {
  FormulaScorer scorer = FormulaScorer::uniform();
  run(digits_task("window=4,protocol=llamacpp"), scorer);
  EXPECT_EQ(scored_tokens(scorer), ids("37"));
}

TEST(Perplexity, LlamaCppWritesBosOverTheFirstTokenOfEachWindow) {
  FormulaScorer scorer = FormulaScorer::uniform();
  const TaskResult result = run(digits_task("window=4,protocol=llamacpp"), scorer, ByteTokenizer(true));
  for (const auto& request : scorer.requests) EXPECT_EQ(request.tokens.front(), 256);
  EXPECT_EQ(scored_tokens(scorer),
            ids("26"));  // the stream itself starts with BOS, so windows are <s>012 and 3456
  EXPECT_EQ(result.provenance.at("tokens").at("tokens"), 11);
}

TEST(Perplexity, LlamaCppStrideScoresTheLastTokensOfOverlappingWindows) {
  FormulaScorer scorer = FormulaScorer::uniform();
  run(digits_task("window=4,stride=2,protocol=llamacpp"), scorer);
  EXPECT_EQ(scored_tokens(scorer), ids("234567"));
}

TEST(Perplexity, RollingScoresEveryTokenOnceAfterThePrefix) {
  FormulaScorer scorer = FormulaScorer::uniform();
  run(digits_task("window=4,protocol=rolling"), scorer);
  EXPECT_EQ(scored_tokens(scorer), ids("0123456789"));
  EXPECT_EQ(scorer.requests[0].tokens.front(), 256);
  EXPECT_EQ(scorer.requests[1].tokens.size(), 5U);  // one token of history
  EXPECT_EQ(scorer.requests[2].tokens, ids("56789"));
  EXPECT_EQ(scorer.requests[2].scored_from, 3);  // the last window has full left context
}

TEST(Perplexity, WindowsWeighTheSameAndTheirSpreadIsTheError) {
  // Log-likelihood -1 per token in the first window, -3 in the second.
  FormulaScorer scorer(
      [](std::span<const int32_t> before, int32_t) { return before[0] == '0' ? -1.0 : -3.0; });
  const TaskResult result = run(digits_task("window=4"), scorer);
  EXPECT_NEAR(score_named(result, "nll").value, 2.0, 1e-12);
  EXPECT_NEAR(*score_named(result, "nll").stderr_, 1.0, 1e-12);  // s = sqrt 2, divided by sqrt 2
  EXPECT_NEAR(score_named(result, "ppl").value, std::exp(2.0), 1e-12);
  EXPECT_EQ(result.items.at(1).nll, 9.0);
  EXPECT_EQ(result.items.at(1).tokens, 3);
}

TEST(Perplexity, ATextShorterThanAWindowIsAnErrorAndNotANumber) {
  FormulaScorer scorer = FormulaScorer::uniform();
  EXPECT_THAT(message_of([&] { run(digits_task("window=11"), scorer); }), HasSubstr("10 tokens"));
  EXPECT_THAT(message_of([&] { run(digits_task("window=4,windows=3"), scorer); }), HasSubstr("needed: 3"));
  EXPECT_THAT(message_of([&] { run(digits_task("window=6,protocol=llamacpp"), scorer); }),
              HasSubstr("windows of 6"));
}

TEST(Perplexity, AWindowLongerThanTheModelNamesBoth) {
  FormulaScorer scorer = FormulaScorer::uniform();
  const std::string message = message_of([&] { run(digits_task("window=4096"), scorer); });
  EXPECT_THAT(message, HasSubstr("4096"));
  EXPECT_THAT(message, HasSubstr("2048"));
}

TEST(Perplexity, ParametersOfAnotherProtocolAreRefused) {
  EXPECT_THAT(message_of([&] { make_task(digits_task("stride=2")); }), HasSubstr("stride"));
  EXPECT_THAT(message_of([&] { make_task(digits_task("limit=2")); }), HasSubstr("limit"));
  EXPECT_THAT(message_of([&] { make_task(digits_task("protocol=rolling,windows=2")); }),
              HasSubstr("limit=DOCUMENTS"));
  EXPECT_THAT(message_of([&] { make_task(digits_task("protocol=gptk")); }),
              HasSubstr("Did you mean \"gptq\"?"));
}

TEST(Perplexity, AModelThatDivergedHasNoPerplexity) {
  FormulaScorer scorer(
      [](std::span<const int32_t> before, int32_t) { return before[0] == '0' ? std::nan("") : -1.0; });
  const TaskResult result = run(digits_task("window=4"), scorer);
  EXPECT_EQ(score_named(result, "ppl").value, std::numeric_limits<double>::infinity());
  EXPECT_EQ(result.provenance.at("diverged"), 1);
  EXPECT_FALSE(result.items.at(0).nll.has_value());
  EXPECT_EQ(result.items.at(0).metrics.at("diverged"), 1);
  EXPECT_TRUE(result.items.at(1).nll.has_value());
}

TEST(Perplexity, IdentityFollowsTheTextAndNotItsPlace) {
  const auto a = make_task(digits_task("window=4", "a.txt")), b = make_task(digits_task("window=4", "b.txt"));
  EXPECT_EQ(a->identity(), b->identity());
  EXPECT_NE(a->identity(), make_task(digits_task("window=5", "a.txt"))->identity());
  const auto other = make_task("perplexity(window=4,text=" + write_file("c.txt", "0123456780") + ")");
  EXPECT_NE(a->identity(), other->identity());
}

TEST(Perplexity, ProtocolNamesAFileByItsContentAndNotItsPlace) {
  const std::string protocol = make_task(digits_task("window=4", "a.txt"))->protocol();
  EXPECT_EQ(protocol.find('/', protocol.find("text=")), std::string::npos) << protocol;
  EXPECT_NE(protocol.find(".txt@"), std::string::npos) << protocol;
}

TEST(Perplexity, ProtocolNamesWhatMustNotShareAColumn) {
  EXPECT_EQ(make_task("perplexity(window=512,windows=6)")->protocol(),
            "ppl/win B S=512 windows=6 join=none text=en_wiki/test bos=default");
  EXPECT_EQ(make_task("perplexity(protocol=rolling,window=512)")->protocol(),
            "ppl/har L=512 documents=paragraphs text=en_wiki/test bos=default");
  EXPECT_EQ(make_task("perplexity(protocol=llamacpp,window=512)")->protocol(),
            "ppl/lcpp n_ctx=512 text=en_wiki/test bos=default");
}

}  // namespace
}  // namespace qbench::tasks
