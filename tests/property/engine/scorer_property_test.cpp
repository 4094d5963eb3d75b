// The fast paths against the plain reference path, and the laws of scoring, over seeded architectures and
// requests.
#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "harness/engine/model_scorer.h"
#include "harness/engine/reference.h"
#include "tests/unit/engine/random_model.h"

namespace qbench::engine {
namespace {

using testing::random_model;

class OneThread final : public ::testing::Environment {
  void SetUp() override { at::set_num_threads(1); }  // tensors here are tiny
};
[[maybe_unused]] const auto* const environment = ::testing::AddGlobalTestEnvironment(new OneThread);

struct Random {
  explicit Random(uint64_t seed) : engine(seed) {}
  int64_t between(int64_t lo, int64_t hi) { return std::uniform_int_distribution<int64_t>(lo, hi)(engine); }
  bool coin() { return between(0, 1) == 1; }
  std::mt19937_64 engine;
};

models::Architecture random_architecture(Random& random) {
  models::Architecture a = testing::small_architecture();
  a.kv_heads = random.between(1, 3);
  a.heads = a.kv_heads * random.between(1, 6);
  a.head_dim = 2 * random.between(2, 12);
  a.hidden_size = random.between(8, 70);
  a.intermediate_size = random.between(5, 90);
  a.vocab_size = random.between(30, 200);
  a.layers = random.between(1, 3);
  a.tied_embeddings = random.coin();
  a.q_bias = a.k_bias = a.v_bias = random.coin();
  a.o_bias = random.coin();
  a.mlp_bias = random.coin();
  a.max_position = 64;
  a.activation = static_cast<models::Activation>(random.between(0, 3));
  if (random.between(0, 3) == 0) {
    a.rope.kind = models::RopeKind::kDynamic;
    a.rope.factor = 2.0;
  }
  return a;
}

// Requests that share prefixes of many lengths: each extends a prefix of an earlier one.
std::vector<ScoreRequest> random_requests(Random& random, int64_t vocab, int64_t count, int64_t longest) {
  std::vector<ScoreRequest> requests;
  for (int64_t i = 0; i < count; ++i) {
    std::vector<int32_t> tokens;
    if (i > 0 && random.between(0, 3) > 0) {
      const auto& earlier = requests[static_cast<size_t>(random.between(0, i - 1))].tokens;
      tokens.assign(earlier.begin(), earlier.begin() + random.between(0, std::ssize(earlier)));
    }
    for (int64_t n = random.between(1, longest); n > 0; --n)
      tokens.push_back(static_cast<int32_t>(random.between(0, vocab - 1)));
    const int64_t from = random.between(1, std::ssize(tokens));
    requests.push_back({std::move(tokens), from});
  }
  return requests;
}

at::Tensor reference_logprobs(const Model& model, const ScoreRequest& request) {
  const SequenceLengths lengths = {std::ssize(request.tokens)};
  const at::Tensor hidden = reference::hidden_states(model, request.tokens, lengths);
  return at::log_softmax(at::linear(hidden, model.head).to(at::kDouble), -1);
}

double relative_l2(const at::Tensor& a, const at::Tensor& b) {
  return ((a - b).norm() / (b.norm() + 1e-12)).item<double>();
}

TEST(ForwardLaws, FastAndPlainPathsAgreeOnPackedSequences) {
  for (uint64_t seed = 0; seed < 40; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Random random(seed);
    const auto model = random_model(random_architecture(random), seed);
    SequenceLengths lengths;
    for (int64_t n = random.between(1, 4); n > 0; --n) lengths.push_back(random.between(1, 150));
    int64_t tokens = 0;
    for (const int64_t length : lengths) tokens += length;
    at::manual_seed(seed);
    const at::Tensor x = at::randn({tokens, model->architecture().hidden_size});
    const at::Tensor fast = run_block(*model, model->blocks[0], x, lengths);
    EXPECT_LE(relative_l2(fast, reference::run_block(*model, model->blocks[0], x, lengths)), 3e-6);
    BlockCursor cursor(*model, model->blocks[0], x, lengths);
    while (!cursor.done()) cursor.advance();
    EXPECT_LE(relative_l2(cursor.output(), fast), 3e-6);
  }
}

TEST(ForwardLaws, BranchesAddUpToTheBlock) {
  Random random(3);
  const auto model = random_model(random_architecture(random), 3);
  const Block& block = model->blocks[0];
  at::manual_seed(1);
  const at::Tensor x = at::randn({20, model->architecture().hidden_size});
  const at::Tensor middle =
      x + run_branch(*model, block, Site::kQkvIn, reference::rms_norm(x, block.attention_norm), {20});
  const at::Tensor y =
      middle + run_branch(*model, block, Site::kGateUpIn, reference::rms_norm(middle, block.mlp_norm), {20});
  EXPECT_LE(relative_l2(y, run_block(*model, block, x, {20})), 3e-6);
}

TEST(ForwardLaws, QuantizedActivationsAgreeWithThePlainPath) {
  for (uint64_t seed = 0; seed < 12; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Random random(seed);
    const auto model = random_model(random_architecture(random), seed);
    Block block = model->blocks[0];
    for (ActivationQuantizer& q : block.activation) q = {8, random.coin(), random.coin()};
    at::manual_seed(seed);
    const at::Tensor x = at::randn({90, model->architecture().hidden_size});
    const SequenceLengths lengths = {33, 57};
    // A value on a tie may fall to the other side after a different rounding before it.
    EXPECT_LE(
        relative_l2(run_block(*model, block, x, lengths), reference::run_block(*model, block, x, lengths)),
        5e-3);
  }
}

TEST(ScoringLaws, ScoresAgreeWithWholeRowsOfTheReferencePath) {
  for (uint64_t seed = 0; seed < 30; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Random random(seed);
    const auto model = random_model(random_architecture(random), seed);
    const auto requests = random_requests(random, model->architecture().vocab_size, 12, 60);
    const auto results = make_scorer(*model, Lanes(2))->score(requests);
    for (size_t r = 0; r < requests.size(); ++r) {
      const at::Tensor expected = reference_logprobs(*model, requests[r]);
      const int64_t from = requests[r].scored_from;
      ASSERT_EQ(std::ssize(results[r].logprobs), std::ssize(requests[r].tokens) - from);
      for (size_t i = 0; i < results[r].logprobs.size(); ++i) {
        const int64_t position = from + static_cast<int64_t>(i);
        const double value =
            expected[position - 1][requests[r].tokens[static_cast<size_t>(position)]].item<double>();
        ASSERT_NEAR(results[r].logprobs[i], value, 2e-4) << "request " << r << " token " << i;
      }
    }
  }
}

TEST(ScoringLaws, AScoreIsAFunctionOfItsRequestAlone) {
  for (uint64_t seed = 0; seed < 8; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Random random(seed);
    const auto model = random_model(random_architecture(random), seed);
    // Long enough for several units, trunks and copied prefixes.
    const auto requests = random_requests(random, model->architecture().vocab_size, 60, 120);
    const auto together = make_scorer(*model, Lanes(1))->score(requests);
    const auto lanes = make_scorer(*model, Lanes(3))->score(requests);
    for (size_t r = 0; r < requests.size(); ++r) {
      const auto alone = make_scorer(*model, Lanes(1))->score({&requests[r], 1})[0];
      ASSERT_EQ(together[r].logprobs, alone.logprobs) << "request " << r;
      ASSERT_EQ(together[r].total, alone.total);
      ASSERT_EQ(together[r].greedy, alone.greedy);
      ASSERT_EQ(lanes[r].logprobs, alone.logprobs);
    }
  }
}

TEST(ScoringLaws, QuantizersOverWholeTensorsSeeOneSequenceAtATime) {
  Random random(11);
  const auto model = random_model(random_architecture(random), 11);
  for (Block& block : model->blocks) {
    for (ActivationQuantizer& q : block.activation) q = {8, false, true};
  }
  const auto requests = random_requests(random, model->architecture().vocab_size, 10, 40);
  const auto together = make_scorer(*model, Lanes(2))->score(requests);
  for (size_t r = 0; r < requests.size(); ++r) {
    EXPECT_EQ(together[r].logprobs, make_scorer(*model, Lanes(1))->score({&requests[r], 1})[0].logprobs);
  }
}

TEST(ScoringLaws, DivergenceAgreesWithItsFormula) {
  for (uint64_t seed = 0; seed < 10; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Random random(seed);
    const auto model = random_model(random_architecture(random), seed);
    const auto requests = random_requests(random, model->architecture().vocab_size, 8, 30);
    const auto baseline = baseline_states(*model, requests, Lanes(2));
    std::vector<at::Tensor> base;
    for (const ScoreRequest& request : requests) base.push_back(reference_logprobs(*model, request));
    for (Block& block : model->blocks)
      block.linear(Role::kDown).weight = block.linear(Role::kDown).weight * 0.9;
    const auto tokens = make_scorer(*model, Lanes(2), baseline)->diverge(requests);
    for (size_t r = 0; r < requests.size(); ++r) {
      const at::Tensor q = reference_logprobs(*model, requests[r]);
      for (size_t i = 0; i < tokens[r].size(); ++i) {
        const int64_t row = requests[r].scored_from + static_cast<int64_t>(i) - 1;
        const int64_t word = requests[r].tokens[static_cast<size_t>(row + 1)];
        const at::Tensor b = base[r][row];
        ASSERT_NEAR(tokens[r][i].kl, (b.exp() * (b - q[row])).sum().item<double>(), 1e-4);
        ASSERT_NEAR(tokens[r][i].nll, -q[row][word].item<double>(), 2e-4);
        ASSERT_NEAR(tokens[r][i].nll_base, -b[word].item<double>(), 2e-4);
        ASSERT_NEAR(tokens[r][i].delta_p, (q[row][word].exp() - b[word].exp()).item<double>(), 1e-4);
      }
    }
  }
}

TEST(GenerationLaws, CachedStepsAgreeWithFreshForwardsAndNeighboursDoNotMatter) {
  for (uint64_t seed = 0; seed < 10; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Random random(seed);
    models::Architecture architecture = random_architecture(random);
    architecture.rope.kind =
        models::RopeKind::kDefault;  // dynamic scaling: a cache and a fresh forward differ by design
    const auto model = random_model(architecture, seed);
    std::vector<GenerateRequest> requests;
    for (int i = 0; i < 21; ++i) {
      GenerateRequest request{{}, random.between(1, 12), {}};
      for (int64_t n = random.between(1, 40); n > 0; --n)
        request.prompt.push_back(static_cast<int32_t>(random.between(0, architecture.vocab_size - 1)));
      requests.push_back(std::move(request));
    }
    const auto together = make_scorer(*model, Lanes(2))->generate(requests);
    for (size_t r = 0; r < requests.size(); r += 5) {
      EXPECT_EQ(make_scorer(*model, Lanes(1))->generate({&requests[r], 1})[0], together[r]);
      std::vector<int32_t> text = requests[r].prompt;
      for (const int32_t token : together[r]) {
        const at::Tensor row = reference_logprobs(*model, {text, 1})[-1];
        // The token taken is the best one, or as good as the best one to rounding.
        EXPECT_GE(row[token].item<double>(), row.max().item<double>() - 1e-4);
        text.push_back(token);
      }
      EXPECT_EQ(std::ssize(together[r]), requests[r].max_new_tokens);
    }
  }
}

}  // namespace
}  // namespace qbench::engine
