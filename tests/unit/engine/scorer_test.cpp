#include <ATen/ATen.h>
#include <gmock/gmock.h>

#include <cmath>
#include <limits>

#include "harness/core/errors.h"
#include "harness/engine/model_scorer.h"
#include "tests/unit/engine/random_model.h"

namespace qbench::engine {
namespace {

using ::testing::HasSubstr;
using testing::random_model;
using testing::small_architecture;

std::vector<ScoreResult> score(const Model& model, std::vector<ScoreRequest> requests) {
  return make_scorer(model, Lanes(1))->score(requests);
}

TEST(Scorer, EqualLogitsGiveTheUniformDistributionAndTheFirstWord) {
  const auto model = random_model(small_architecture(), 1);
  model->head = at::zeros_like(model->head);
  const auto results = score(*model, {{{3, 0, 0}, 1}, {{3, 0, 5}, 1}});
  for (const float logprob : results[0].logprobs) EXPECT_FLOAT_EQ(logprob, -std::log(77.0F));
  EXPECT_DOUBLE_EQ(results[0].total, -2.0 * std::log(77.0));
  EXPECT_TRUE(results[0].greedy);
  EXPECT_FALSE(results[1].greedy);
}

TEST(Scorer, ScoresOnlyFromTheAskedPosition) {
  const auto model = random_model(small_architecture(), 1);
  const auto results = score(*model, {{{1, 2, 3, 4}, 1}, {{1, 2, 3, 4}, 3}, {{1, 2, 3, 4}, 4}, {{1}, 1}});
  ASSERT_EQ(results[0].logprobs.size(), 3U);
  ASSERT_EQ(results[1].logprobs.size(), 1U);
  EXPECT_EQ(results[0].logprobs[2], results[1].logprobs[0]);
  EXPECT_TRUE(results[2].logprobs.empty());
  EXPECT_EQ(results[2].total, 0.0);
  EXPECT_TRUE(results[3].logprobs.empty());
}

TEST(Scorer, AnIdOutsideTheVocabularyIsALocatedError) {
  const auto model = random_model(small_architecture(), 1);
  try {
    score(*model, {{{1, 2}, 1}, {{1, 77}, 1}});
    FAIL();
  } catch (const DataError& error) {
    EXPECT_THAT(error.what(), HasSubstr("request 1"));
    EXPECT_THAT(error.what(), HasSubstr("77"));
  }
}

TEST(Scorer, ANumberThatOverflowsIsReportedAndStaysWithItsSequence) {
  const auto model = random_model(small_architecture(), 1);
  const auto before = score(*model, {{{1, 2, 3}, 1}})[0];
  model->embedding[9].fill_(std::numeric_limits<float>::infinity());
  const auto results = score(*model, {{{1, 9, 3}, 1}, {{1, 2, 3}, 1}});
  EXPECT_FALSE(results[0].finite);
  EXPECT_FALSE(results[0].greedy);
  EXPECT_TRUE(results[1].finite);
  EXPECT_EQ(results[1].logprobs, before.logprobs);
}

TEST(Scorer, DivergenceFromItselfIsExactlyZero) {
  const auto model = random_model(small_architecture(), 1);
  const std::vector<ScoreRequest> requests = {{{1, 2, 3, 4, 5}, 1}, {{1, 2, 9}, 2}};
  const auto baseline = baseline_states(*model, requests, Lanes(1));
  const auto scorer = make_scorer(*model, Lanes(1), baseline);
  ASSERT_TRUE(scorer->has_baseline());
  const auto scores = scorer->score(requests);
  const auto tokens = scorer->diverge(requests);
  for (size_t r = 0; r < requests.size(); ++r) {
    ASSERT_EQ(tokens[r].size(), scores[r].logprobs.size());
    for (size_t i = 0; i < tokens[r].size(); ++i) {
      EXPECT_EQ(tokens[r][i].kl, 0.0F);
      EXPECT_EQ(tokens[r][i].delta_p, 0.0F);
      EXPECT_TRUE(tokens[r][i].same_top);
      EXPECT_EQ(tokens[r][i].nll, -scores[r].logprobs[i]);
      EXPECT_EQ(tokens[r][i].nll, tokens[r][i].nll_base);
    }
  }
}

TEST(Scorer, DivergenceRefusesRequestsOfAnotherBaseline) {
  const auto model = random_model(small_architecture(), 1);
  const std::vector<ScoreRequest> requests = {{{1, 2, 3}, 1}}, others = {{{1, 2, 4}, 1}};
  const auto scorer = make_scorer(*model, Lanes(1), baseline_states(*model, requests, Lanes(1)));
  EXPECT_THROW(scorer->diverge(others), InternalError);
}

TEST(Generation, StopsBeforeAStopIdAndAtTheLimit) {
  const auto model = random_model(small_architecture(), 3);
  const auto scorer = make_scorer(*model, Lanes(1));
  const std::vector<GenerateRequest> free = {{{4, 5, 6}, 6, {}}, {{4, 5, 6}, 0, {}}};
  const auto all = scorer->generate(free);
  ASSERT_EQ(all[0].size(), 6U);
  EXPECT_TRUE(all[1].empty());
  const int32_t stop = all[0][3];
  const auto first = std::find(all[0].begin(), all[0].end(), stop);
  const std::vector<GenerateRequest> stopped = {{{4, 5, 6}, 6, {stop}}};
  EXPECT_EQ(scorer->generate(stopped)[0], std::vector<int32_t>(all[0].begin(), first));
}

TEST(Generation, AnEmptyPromptIsAnError) {
  const auto model = random_model(small_architecture(), 3);
  const std::vector<GenerateRequest> requests = {{{}, 3, {}}};
  EXPECT_THROW(make_scorer(*model, Lanes(1))->generate(requests), DataError);
}

TEST(BlockCursor, ALinearReplacedBetweenSitesIsTheOneThatRuns) {
  const auto model = random_model(small_architecture(), 2);
  Block block = model->load_block(0);
  const at::Tensor x = at::randn({5, 24});
  BlockCursor cursor(*model, block, x, {5});
  std::vector<Site> sites;
  for (; !cursor.done(); cursor.advance()) {
    sites.push_back(cursor.site());
    if (cursor.site() == Site::kDownIn) block.linear(Role::kDown).weight = at::zeros({24, 40});
    if (cursor.site() == Site::kOIn) block.linear(Role::kO).weight = at::zeros({24, 48});
  }
  EXPECT_EQ(sites, std::vector<Site>(models::kAllSites.begin(), models::kAllSites.end()));
  EXPECT_TRUE(at::equal(cursor.output(), x));
}

TEST(EngineInfo, NamesTheKernels) { EXPECT_FALSE(engine_info().at("kernels").get<std::string>().empty()); }

}  // namespace
}  // namespace qbench::engine
