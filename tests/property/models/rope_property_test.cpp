// Laws of rotary frequencies and site graphs over many seeded architectures.
#include <gmock/gmock.h>

#include <random>

#include "harness/models/arch/family.h"
#include "harness/models/site_graph.h"

namespace qbench::models {
namespace {

Architecture random_architecture(uint64_t seed) {
  std::mt19937_64 random(seed);
  const auto pick = [&](int64_t lo, int64_t hi) {
    return std::uniform_int_distribution<int64_t>(lo, hi)(random);
  };
  Architecture a;
  a.family = "llama";
  a.kv_heads = pick(1, 8);
  a.heads = a.kv_heads * pick(1, 8);
  a.head_dim = 2 * pick(2, 64);
  a.hidden_size = pick(1, 999);
  a.intermediate_size = pick(1, 999);
  a.vocab_size = pick(1, 999);
  a.layers = pick(1, 5);
  a.max_position = pick(16, 100000);
  a.rope.theta = static_cast<double>(pick(100, 1000000));
  a.rope.original_max_position = pick(16, 8192);
  a.q_bias = pick(0, 1) == 1;
  a.mlp_bias = pick(0, 1) == 1;
  a.tied_embeddings = pick(0, 1) == 1;
  return a;
}

std::vector<float> inverse(Architecture a, RopeKind kind, double factor, int64_t length = 1) {
  a.rope.kind = kind;
  a.rope.factor = factor;
  return rope_frequencies(a, length).inverse;
}

TEST(RopeLaws, PlainFrequenciesFallFromOne) {
  for (uint64_t seed = 0; seed < 100; ++seed) {
    const auto f = inverse(random_architecture(seed), RopeKind::kDefault, 1.0);
    ASSERT_EQ(f.front(), 1.0F) << seed;
    ASSERT_TRUE(std::ranges::is_sorted(f, std::greater<>())) << seed;
    ASSERT_GT(f.back(), 0.0F) << seed;
  }
}

TEST(RopeLaws, AFactorOfOneChangesNothing) {
  for (uint64_t seed = 0; seed < 100; ++seed) {
    const Architecture a = random_architecture(seed);
    const auto plain = inverse(a, RopeKind::kDefault, 1.0);
    for (const RopeKind kind : {RopeKind::kLinear, RopeKind::kDynamic, RopeKind::kLlama3, RopeKind::kYarn}) {
      const auto scaled = inverse(a, kind, 1.0, a.max_position);
      for (size_t i = 0; i < plain.size(); ++i)
        ASSERT_NEAR(scaled[i], plain[i], 4e-7F * plain[i]) << seed << " " << rope_kind_name(kind);
    }
  }
}

TEST(RopeLaws, ScalingSlowsEveryFrequencyByAtMostTheFactor) {
  for (uint64_t seed = 0; seed < 100; ++seed) {
    const Architecture a = random_architecture(seed);
    const auto plain = inverse(a, RopeKind::kDefault, 1.0);
    for (const RopeKind kind : {RopeKind::kLinear, RopeKind::kLlama3, RopeKind::kYarn}) {
      const auto scaled = inverse(a, kind, 8.0);
      for (size_t i = 0; i < plain.size(); ++i) {
        ASSERT_LE(scaled[i], plain[i] * 1.000001F) << seed << " " << rope_kind_name(kind);
        ASSERT_GE(scaled[i], plain[i] / 8.0F * 0.999999F) << seed << " " << rope_kind_name(kind);
      }
    }
  }
}

TEST(RopeLaws, OnlyDynamicScalingSeesTheLength) {
  for (uint64_t seed = 0; seed < 50; ++seed) {
    const Architecture a = random_architecture(seed);
    for (const RopeKind kind : {RopeKind::kDefault, RopeKind::kLinear, RopeKind::kLlama3, RopeKind::kYarn}) {
      ASSERT_EQ(inverse(a, kind, 4.0, 1), inverse(a, kind, 4.0, 3 * a.max_position));
    }
    ASSERT_EQ(inverse(a, RopeKind::kDynamic, 4.0, 1), inverse(a, RopeKind::kDefault, 1.0));
    ASSERT_EQ(inverse(a, RopeKind::kDynamic, 4.0, a.max_position), inverse(a, RopeKind::kDefault, 1.0));
    ASSERT_LT(inverse(a, RopeKind::kDynamic, 4.0, 3 * a.max_position).back(),
              inverse(a, RopeKind::kDefault, 1.0).back());
  }
}

TEST(RopeLaws, DivisorsDivide) {
  for (uint64_t seed = 0; seed < 50; ++seed) {
    Architecture a = random_architecture(seed);
    const auto plain = rope_frequencies(a, 1).inverse;
    a.rope.divisors.assign(plain.size(), 2.0F);
    const auto divided = rope_frequencies(a, 1).inverse;
    for (size_t i = 0; i < plain.size(); ++i) ASSERT_EQ(divided[i], plain[i] / 2.0F);
  }
}

// The tensor table, the site graph and the linears describe the same blocks.
TEST(ArchitectureLaws, EveryLinearIsAnExpectedTensorOfItsShape) {
  for (const Family* family : families()) {
    for (uint64_t seed = 0; seed < 50; ++seed) {
      const Architecture a = random_architecture(seed);
      std::map<std::string, std::vector<int64_t>> expected;
      for (const ExpectedTensor& tensor : expected_tensors(*family, a))
        ASSERT_TRUE(expected.emplace(tensor.name, tensor.shape).second);
      size_t linear_tensors = 0;
      for (int64_t layer = 0; layer < a.layers; ++layer) {
        for (const LinearSpec& linear : block_linears(a, layer)) {
          ASSERT_EQ(expected.at(linear.name + ".weight"),
                    (std::vector<int64_t>{linear.out_features, linear.in_features}));
          ASSERT_EQ(expected.contains(linear.name + ".bias"), linear.bias);
          linear_tensors += linear.bias ? 2 : 1;
        }
      }
      const size_t others = static_cast<size_t>(a.layers) * 2 + 2 + (a.tied_embeddings ? 0 : 1);
      ASSERT_EQ(expected.size(), linear_tensors + others);
    }
  }
}

}  // namespace
}  // namespace qbench::models
