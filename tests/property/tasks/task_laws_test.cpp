// Laws of scoring and sampling over many seeded inputs.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <set>

#include "harness/calibration/samplers.h"
#include "harness/core/python_random.h"
#include "tasks/bigbench/metrics.h"
#include "tasks/divergence.h"
#include "tasks/multiple_choice.h"
#include "tasks/perplexity.h"
#include "tests/support/fake_tokenizer.h"

namespace qbench::tasks {
namespace {

constexpr uint64_t kSeeds = 40;

std::vector<engine::ScoreResult> random_windows(PythonRandom& random) {
  std::vector<engine::ScoreResult> windows(2 + random.randbelow(8));
  const uint64_t tokens = 1 + random.randbelow(30);
  for (auto& window : windows) {
    for (uint64_t i = 0; i < tokens; ++i) {
      window.logprobs.push_back(static_cast<float>(-6 * random.random()));
      window.total += static_cast<double>(window.logprobs.back());
    }
  }
  return windows;
}

double ppl(WindowRule rule, const std::vector<engine::ScoreResult>& windows) {
  TaskResult result;
  reduce_windows(rule, windows, result);
  return result.scores.front().value;
}

TEST(WindowLaws, OrderOfWindowsDoesNotMatterAndEqualLengthsMakeTheRulesAgree) {
  for (uint64_t seed = 0; seed < kSeeds; ++seed) {
    SCOPED_TRACE(seed);
    PythonRandom random(seed);
    auto windows = random_windows(random);
    const double before = ppl(WindowRule::kMeanOfWindows, windows);
    EXPECT_NEAR(ppl(WindowRule::kMeanOfTokens, windows), before, 1e-12 * before);
    random.shuffle(windows);
    EXPECT_NEAR(ppl(WindowRule::kMeanOfWindows, windows), before, 1e-12 * before);
  }
}

ChoiceDocument random_document(PythonRandom& random) {
  ChoiceDocument document;
  const auto n = 2 + random.randbelow(5);
  for (uint64_t i = 0; i < n; ++i) document.choices.push_back(std::string(1 + random.randbelow(20), 'x'));
  document.gold = {static_cast<int64_t>(random.randbelow(n))};
  return document;
}

TEST(ChoiceLaws, DoublingEveryLikelihoodChangesNoAnswer) {
  const std::vector<std::string> metrics = {"acc", "acc_norm", "acc_bytes"};
  for (uint64_t seed = 0; seed < kSeeds; ++seed) {
    SCOPED_TRACE(seed);
    PythonRandom random(seed);
    const ChoiceDocument document = random_document(random);
    std::vector<double> lls, twice;
    for (size_t i = 0; i < document.choices.size(); ++i) {
      lls.push_back(-50 * random.random());
      twice.push_back(2 * lls.back());
    }
    EXPECT_EQ(choice_metrics(document, lls, metrics), choice_metrics(document, twice, metrics));
  }
}

TEST(ChoiceLaws, CertaintyOnTheGoldAnswerIsRightUnderEveryMetric) {
  for (uint64_t seed = 0; seed < kSeeds; ++seed) {
    PythonRandom random(seed);
    const ChoiceDocument document = random_document(random);
    std::vector<double> lls(document.choices.size(), -1e4);
    lls[static_cast<size_t>(document.gold[0])] = 0;
    const Json metrics = choice_metrics(document, lls, choice_metric_names());
    EXPECT_EQ(metrics.at("acc"), 1.0);
    EXPECT_EQ(metrics.at("acc_norm"), 1.0);
    EXPECT_NEAR(metrics.at("brier_score").get<double>(), 0, 1e-12);
  }
}

TEST(DivergenceLaws, QuantilesAreOrderedAndInsideTheRange) {
  for (uint64_t seed = 0; seed < kSeeds; ++seed) {
    SCOPED_TRACE(seed);
    PythonRandom random(seed);
    std::vector<engine::DivergenceToken> tokens(1 + random.randbelow(300));
    for (auto& token : tokens)
      token = {static_cast<float>(9 * random.random()), static_cast<float>(9 * random.random()),
               static_cast<float>(random.random()), 0, random.random() < 0.5};
    const DivergenceStatistics s = divergence_statistics(tokens);
    const std::vector<double> order = {s.kl_min,    s.kl_p01, s.kl_p05,  s.kl_p10,
                                       s.kl_median, s.kl_p99, s.kl_p999, s.kl_max};
    EXPECT_TRUE(std::is_sorted(order.begin(), order.end(), [](double a, double b) { return a < b - 1e-6; }));
    EXPECT_LE(std::abs(s.correlation), 1 + 1e-9);
  }
}

TEST(BigBenchLaws, NormalisedProbabilitiesSumToOneAndTheChosenOneIsAMaximum) {
  for (uint64_t seed = 0; seed < kSeeds; ++seed) {
    PythonRandom random(seed);
    ChoiceSample sample;
    for (uint64_t i = 0; i < 2 + random.randbelow(6); ++i)
      sample.absolute_log_prob.push_back(-static_cast<double>(random.randbelow(4)));
    sample.log_prob = normalize_log_probs(sample.absolute_log_prob);
    double total = 0;
    for (const double value : sample.log_prob) total += std::exp(value);
    EXPECT_NEAR(total, 1, 1e-12);
    EXPECT_EQ(sample.log_prob[chosen_choice(sample)],
              *std::max_element(sample.log_prob.begin(), sample.log_prob.end()));
  }
}

TEST(SamplerLaws, EveryWindowIsASliceOfTheTextAndSeedsDiffer) {
  std::vector<int32_t> ids(500);
  std::iota(ids.begin(), ids.end(), 0);
  std::set<calibration::Samples> seen;
  for (int64_t seed = 0; seed < static_cast<int64_t>(kSeeds); ++seed) {
    const auto samples = calibration::random_windows(ids, {8, 16, seed, "law"});
    for (const auto& sample : samples) {
      for (size_t i = 1; i < sample.size(); ++i) EXPECT_EQ(sample[i], sample[i - 1] + 1);
    }
    EXPECT_TRUE(seen.insert(samples).second) << seed;
    EXPECT_EQ(samples, calibration::random_windows(ids, {8, 16, seed, "law"}));
  }
}

TEST(SamplerLaws, SamplesOfPythonAreDistinctAndInRange) {
  for (uint64_t seed = 0; seed < kSeeds; ++seed) {
    PythonRandom random(seed);
    const auto n = static_cast<int64_t>(1 + random.randbelow(200));
    const auto k = static_cast<int64_t>(random.randbelow(static_cast<uint64_t>(n) + 1));
    const auto sample = random.sample(n, k);
    EXPECT_EQ(std::set<int64_t>(sample.begin(), sample.end()).size(), static_cast<size_t>(k));
    for (const int64_t i : sample) EXPECT_TRUE(i >= 0 && i < n);
  }
}

}  // namespace
}  // namespace qbench::tasks
