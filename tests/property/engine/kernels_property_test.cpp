// Every kernel table this CPU runs, against plain loops, over seeded shapes.
#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "harness/engine/attention_plan.h"
#include "harness/engine/kernels/kernels.h"

namespace qbench::engine {
namespace {

using kernels::kStrip;
using kernels::Table;

struct alignas(64) Line {
  float values[16];
};

// Cache-line aligned floats.
class Buffer {
 public:
  explicit Buffer(int64_t floats) : lines_(static_cast<size_t>((floats + 15) / 16)) {}
  float* data() { return lines_.empty() ? nullptr : lines_[0].values; }
  float& operator[](int64_t i) { return data()[i]; }

 private:
  std::vector<Line> lines_;
};

struct Random {
  explicit Random(uint64_t seed) : engine(seed) {}
  int64_t between(int64_t lo, int64_t hi) { return std::uniform_int_distribution<int64_t>(lo, hi)(engine); }
  Buffer normal(int64_t count, float spread) {
    Buffer out(count);
    std::normal_distribution<float> draw(0.0F, spread);
    for (int64_t i = 0; i < count; ++i) out[i] = draw(engine);
    return out;
  }
  std::mt19937_64 engine;
};

std::vector<const Table*> tables() {
  std::vector<const Table*> found;
  for (const char* name : {"generic", "avx2", "avx512"}) {
    if (const Table* table = kernels::table_named(name); table != nullptr) found.push_back(table);
  }
  return found;
}

float at(Buffer& strips, int64_t rows, int64_t token, int64_t feature) {
  return strips[((token / kStrip) * rows + feature) * kStrip + token % kStrip];
}

TEST(KernelLaws, MatrixProductAgreesWithPlainSums) {
  for (uint64_t seed = 0; seed < 30; ++seed) {
    Random random(seed);
    const int64_t n = random.between(1, 90), k = random.between(1, 700), strips = random.between(1, 7);
    const int64_t x_rows = k + random.between(0, 3), out_rows = n + random.between(0, 5);
    Buffer w = random.normal(n * k, 1.0F), x = random.normal(strips * x_rows * kStrip, 1.0F),
           b = random.normal(n, 1.0F);
    for (const Table* table : tables()) {
      SCOPED_TRACE(std::string(table->name) + " seed " + std::to_string(seed));
      Buffer out = random.normal(strips * out_rows * kStrip, 1.0F), before = out;
      const bool add = seed % 2 == 1;
      table->gemm({w.data(), seed % 3 == 0 ? b.data() : nullptr, n, k, x.data(), x_rows, strips, out.data(),
                   out_rows, add});
      for (int64_t t = 0; t < strips * kStrip; ++t) {
        for (int64_t i = 0; i < n; ++i) {
          double sum = (add ? at(before, out_rows, t, i) : 0.0) + (seed % 3 == 0 ? b[i] : 0.0);
          for (int64_t j = 0; j < k; ++j) sum += static_cast<double>(w[i * k + j]) * at(x, x_rows, t, j);
          ASSERT_NEAR(at(out, out_rows, t, i), sum, 1e-6 * static_cast<double>(k) + 1e-5);
        }
      }
    }
  }
}

TEST(KernelLaws, ATokensProductDoesNotDependOnItsNeighbours) {
  Random random(5);
  const int64_t n = 45, k = 333, strips = 5;
  Buffer w = random.normal(n * k, 1.0F), x = random.normal(strips * k * kStrip, 1.0F);
  for (const Table* table : tables()) {
    Buffer all(strips * n * kStrip), one(n * kStrip);
    table->gemm({w.data(), nullptr, n, k, x.data(), k, strips, all.data(), n, false});
    for (int64_t s = 0; s < strips; ++s) {
      table->gemm({w.data(), nullptr, n, k, x.data() + s * k * kStrip, k, 1, one.data(), n, false});
      for (int64_t i = 0; i < n * kStrip; ++i) ASSERT_EQ(one[i], all[s * n * kStrip + i]) << table->name;
    }
  }
}

TEST(KernelLaws, DotIsTheMatrixProductBitForBit) {
  for (uint64_t seed = 0; seed < 20; ++seed) {
    Random random(seed);
    const int64_t n = random.between(1, 40), k = random.between(1, 700);
    Buffer w = random.normal(n * k, 1.0F), x = random.normal(k * kStrip, 1.0F), out(n * kStrip);
    for (const Table* table : tables()) {
      table->gemm({w.data(), nullptr, n, k, x.data(), k, 1, out.data(), n, false});
      for (int64_t i = 0; i < n; ++i) {
        for (int64_t t = 0; t < kStrip; ++t)
          ASSERT_EQ(table->dot(w.data() + i * k, x.data(), t, k), out[i * kStrip + t]) << table->name;
      }
    }
  }
}

TEST(KernelLaws, GatesAgreeWithTheirFormulas) {
  Random random(1);
  const float one = 1.0F;
  Buffer x = random.normal(kStrip, 4.0F);
  for (const Table* table : tables()) {
    for (const kernels::Gate gate :
         {kernels::Gate::kSilu, kernels::Gate::kGelu, kernels::Gate::kGeluTanh, kernels::Gate::kRelu}) {
      Buffer out(kStrip);
      const float up_bias = 1.0F, zero = 0.0F;  // up = 1, so the output is the gate itself
      table->gated_gemm({&one, nullptr, &zero, &up_bias, 1, 1, x.data(), 1, 1, out.data(), 1, gate});
      for (int64_t t = 0; t < kStrip; ++t) {
        const double v = x[t];
        double expected = std::max(v, 0.0);
        if (gate == kernels::Gate::kSilu) expected = v / (1.0 + std::exp(-v));
        if (gate == kernels::Gate::kGelu) expected = 0.5 * v * (1.0 + std::erf(v / std::sqrt(2.0)));
        if (gate == kernels::Gate::kGeluTanh) {
          expected = 0.5 * v * (1.0 + std::tanh(std::sqrt(2.0 / M_PI) * (v + 0.044715 * v * v * v)));
        }
        EXPECT_NEAR(out[t], expected, 2e-6 * (1.0 + std::abs(v))) << table->name;
      }
    }
  }
}

TEST(KernelLaws, HeadStatisticsAgreeWithWholeRowsOfLogits) {
  for (uint64_t seed = 0; seed < 20; ++seed) {
    Random random(seed);
    const int64_t vocab = random.between(1, 400), k = random.between(1, 60), strips = random.between(1, 4);
    Buffer w = random.normal(vocab * k, 1.5F), x = random.normal(strips * k * kStrip, 1.0F);
    for (const Table* table : tables()) {
      std::vector<kernels::LogitState> states(static_cast<size_t>(strips));
      table->head({w.data(), vocab, k, x.data(), strips, states.data()});
      for (int64_t t = 0; t < strips * kStrip; ++t) {
        const kernels::LogitState& state = states[static_cast<size_t>(t / kStrip)];
        const auto lane = static_cast<size_t>(t % kStrip);
        double sum = 0.0;
        float max = -INFINITY;
        int64_t argmax = 0;
        for (int64_t i = 0; i < vocab; ++i) {
          const float logit =
              table->dot(w.data() + i * k, x.data() + (t / kStrip) * k * kStrip, t % kStrip, k);
          if (logit > max) argmax = i;
          max = std::max(max, logit);
          sum += std::exp(static_cast<double>(logit));
        }
        ASSERT_EQ(state.max[lane], max) << table->name;
        ASSERT_EQ(state.argmax[lane], argmax);
        ASSERT_NEAR(std::log(state.sum[lane]) + state.exponent[lane] * std::log(2.0), std::log(sum), 2.5e-7)
            << "seed " << seed;
        ASSERT_EQ(state.poison[lane], 0.0F);
      }
    }
  }
}

TEST(KernelLaws, TheFirstOfEqualMaximaWins) {
  const int64_t vocab = 100;
  Buffer w(vocab), x(kStrip);
  for (const int64_t word : {int64_t{37}, int64_t{38}, int64_t{99}}) w[word] = 2.0F;
  for (int64_t t = 0; t < kStrip; ++t) x[t] = 1.0F;
  for (const Table* table : tables()) {
    kernels::LogitState state;
    table->head({w.data(), vocab, 1, x.data(), 1, &state});
    EXPECT_EQ(state.argmax[3], 37) << table->name;
  }
}

TEST(KernelLaws, LogitsThatAreNotFiniteLeaveAMark) {
  Buffer w(3), x(kStrip);
  w[1] = INFINITY;
  for (int64_t t = 0; t < kStrip; ++t) x[t] = 1.0F;
  for (const Table* table : tables()) {
    kernels::LogitState state;
    table->head({w.data(), 3, 1, x.data(), 1, &state});
    EXPECT_TRUE(std::isnan(state.poison[0])) << table->name;
  }
}

// Packed sequences of random lengths; keys reached through segments that begin anywhere in a strip.
TEST(KernelLaws, AttentionAgreesWithPlainSoftmax) {
  for (uint64_t seed = 0; seed < 24; ++seed) {
    Random random(seed);
    const int64_t kv_heads = random.between(1, 3), per_kv = random.between(1, 7), heads = kv_heads * per_kv;
    const int64_t head_dim = 2 * random.between(1, 20), rows = (heads + 2 * kv_heads) * head_dim;
    Unit unit;
    for (int64_t i = 0, start = 0; i < 3; ++i) {
      const int64_t length = random.between(1, i == 1 ? 300 : 40);
      unit.segments.push_back({start, length, 0, 0, {}});
      start += length;
      unit.tokens.resize(static_cast<size_t>(start));
    }
    const auto tokens = std::ssize(unit.tokens);
    const int64_t strips = strips_of(tokens);
    const AttentionPlan plan = plan_attention({&unit, 1}, 0);
    Buffer qkv = random.normal(strips * rows * kStrip, 1.0F);
    const int64_t k0 = heads * head_dim, v0 = k0 + kv_heads * head_dim;
    for (const Table* table : tables()) {
      SCOPED_TRACE(std::string(table->name) + " seed " + std::to_string(seed));
      Buffer out(strips * k0 * kStrip), scratch(kernels::attention_scratch(plan.block_keys, head_dim));
      const kernels::KeySource source{qkv.data() + k0 * kStrip, qkv.data() + v0 * kStrip, rows};
      table->attention({qkv.data(), rows, out.data(), k0, strips, heads, kv_heads, head_dim, &source,
                        plan.runs.data(), plan.blocks.data(), plan.strip_blocks.data(), plan.masks.data(),
                        scratch.data()});
      for (int probe = 0; probe < 40; ++probe) {
        const Segment& s = unit.segments[static_cast<size_t>(random.between(0, 2))];
        const int64_t query = s.start + random.between(0, s.length - 1), head = random.between(0, heads - 1);
        const int64_t kv = head / per_kv * head_dim, f = random.between(0, head_dim - 1);
        double sum = 0.0, value = 0.0;
        for (int64_t key = s.start; key <= query; ++key) {
          double score = 0.0;
          for (int64_t d = 0; d < head_dim; ++d)
            score += static_cast<double>(at(qkv, rows, query, head * head_dim + d)) *
                     at(qkv, rows, key, k0 + kv + d);
          sum += std::exp(score);
          value += std::exp(score) * at(qkv, rows, key, v0 + kv + f);
        }
        ASSERT_NEAR(at(out, k0, query, head * head_dim + f), value / sum, 3e-5);
      }
    }
  }
}

TEST(KernelLaws, RowsSurviveTheWayToStripsAndBack) {
  for (uint64_t seed = 0; seed < 20; ++seed) {
    Random random(seed);
    const int64_t tokens = random.between(1, 50), rows = random.between(1, 40), strips = strips_of(tokens);
    Buffer x = random.normal(tokens * rows, 1.0F);
    for (const Table* table : tables()) {
      Buffer there(strips * rows * kStrip), back(tokens * rows);
      table->to_strips(x.data(), tokens, rows, there.data(), rows);
      table->from_strips(there.data(), rows, tokens, rows, back.data());
      for (int64_t i = 0; i < tokens * rows; ++i) ASSERT_EQ(back[i], x[i]) << table->name;
      for (int64_t t = tokens; t < strips * kStrip; ++t) ASSERT_EQ(at(there, rows, t, 0), 0.0F);
    }
  }
}

}  // namespace
}  // namespace qbench::engine
