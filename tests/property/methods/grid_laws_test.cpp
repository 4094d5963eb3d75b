// Laws of the grids (rounding alone) over many seeded shapes.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>

#include "methods/primitives/quantized_weight.h"

namespace qbench::methods {
namespace {

struct Shape {
  int64_t rows, columns, group, bits;
  bool symmetric;
  GridFamily family;
};

/// Sixty shapes from one seed, ragged groups included.
template <class Check>
void for_shapes(const Check& check) {
  at::manual_seed(20240521);
  for (int i = 0; i < 60; ++i) {
    const auto draw = [](int64_t lo, int64_t hi) {
      return at::randint(lo, hi + 1, {1}, at::kLong).item<int64_t>();
    };
    const int64_t columns = draw(1, 150);
    const Shape s{draw(1, 90), columns,         draw(0, 1) == 0 ? 0 : draw(1, columns),
                  draw(2, 8),  draw(0, 1) == 0, draw(0, 1) == 0 ? GridFamily::kGptq : GridFamily::kAwq};
    SCOPED_TRACE("seed 20240521, shape " + std::to_string(i) + ": " + std::to_string(s.rows) + "x" +
                 std::to_string(s.columns) + " g" + std::to_string(s.group) + " b" + std::to_string(s.bits) +
                 (s.symmetric ? " sym" : " asym") + (s.family == GridFamily::kGptq ? " gptq" : " awq"));
    check(s, at::randn({s.rows, s.columns}) * at::exp(at::randn({s.rows, 1})));
  }
}

GridSpec spec_of(const Shape& s) {
  GridSpec spec;
  spec.bits = s.bits;
  spec.symmetric = s.symmetric;
  spec.family = s.family;
  return spec;
}

QuantizedWeight quantize(const at::Tensor& w, const Shape& s, const GridSpec& spec, int lanes = 1) {
  return round_to_nearest(w.contiguous(), Slices{s.group, false}, spec, Lanes(lanes), true);
}

at::Tensor per_column(const at::Tensor& values, const QuantizedWeight& q) {
  return values.index_select(1, q.g_idx.to(at::kLong));
}

TEST(GridLaws, CodesRebuildTheWeightAndLanesDoNotMatter) {
  for_shapes([](const Shape& s, const at::Tensor& w) {
    const QuantizedWeight q = quantize(w, s, spec_of(s)), again = quantize(w, s, spec_of(s), 3);
    EXPECT_TRUE(
        at::equal(per_column(q.scale, q) * (q.codes.to(at::kFloat) - per_column(q.zero, q)), q.w_hat));
    EXPECT_LE(q.codes.max().item<int64_t>(), (int64_t{1} << s.bits) - 1);
    EXPECT_TRUE(at::equal(q.w_hat, again.w_hat));
    EXPECT_EQ(q.bits.effective(), again.bits.effective());
  });
}

TEST(GridLaws, TheRowKernelGivesTheBitsOfTheTransposedOne) {
  for_shapes([](const Shape& s, const at::Tensor& w) {
    const QuantizedWeight with_codes = quantize(w, s, spec_of(s));
    const QuantizedWeight without =
        round_to_nearest(w.contiguous(), Slices{s.group, false}, spec_of(s), Lanes(2), false);
    EXPECT_TRUE(at::equal(with_codes.w_hat, without.w_hat));
    EXPECT_TRUE(at::equal(with_codes.scale, without.scale));
    EXPECT_TRUE(at::equal(with_codes.zero, without.zero));
  });
}

TEST(GridLaws, ErrorIsAtMostHalfAStepWhereNothingIsClipped) {
  for_shapes([](const Shape& s, const at::Tensor& w) {
    const QuantizedWeight q = quantize(w, s, spec_of(s));
    const at::Tensor step = per_column(q.scale, q), zero = per_column(q.zero, q);
    const at::Tensor low = -step * (zero + 0.5),
                     high = step * (static_cast<double>((1 << s.bits) - 1) - zero + 0.5);
    const at::Tensor inside = (w > low) & (w < high);
    EXPECT_FALSE((((w - q.w_hat).abs() > step * 0.50001) & inside).any().item<bool>());
  });
}

TEST(GridLaws, RoundingTwiceIsRoundingOnce) {
  for_shapes([](const Shape& s, const at::Tensor& w) {
    const GridSpec spec = spec_of(s);
    const at::Tensor once = quantize(w, s, spec).w_hat, twice = quantize(once, s, spec).w_hat;
    if (s.symmetric && s.family == GridFamily::kGptq) {
      // Its extreme may be clipped, so that a second fit sees a smaller range: at most by the documented
      // factor.
      const double factor = static_cast<double>((1 << s.bits) - 2) / static_cast<double>((1 << s.bits) - 1);
      EXPECT_GE(once.abs().max().item<double>(), factor * w.abs().max().item<double>() * 0.9999);
      return;
    }
    if (!s.symmetric && s.family == GridFamily::kAwq)
      return;  // one-sided slices saturate (awq.md): no fixed point
    const at::Tensor close = (once - twice).abs() <= 2e-6 * w.abs().max() + 1e-12;
    // A zero point that lay on a rounding tie may move by one step; that is rare.
    EXPECT_GE(close.to(at::kDouble).mean().item<double>(), s.rows * s.columns < 50 ? 0.0 : 0.9);
  });
}

TEST(GridLaws, WeightsOnTheGridComeBackBitForBit) {
  for_shapes([](const Shape& s, const at::Tensor& w) {
    if (s.group > 0) return;
    GridSpec spec = spec_of(s);
    spec.zero = ZeroKind::kAuto;
    // Both ends of the range are taken, and the step is a power of two: exact arithmetic everywhere.
    const int64_t top = (1 << s.bits) - 1;
    at::Tensor codes = at::randint(0, top + 1, w.sizes(), at::kFloat);
    if (s.columns < 4) return;
    codes.select(1, 0).fill_(s.symmetric && s.family == GridFamily::kAwq ? 1 : 0);
    codes.select(1, 1).fill_(top);
    codes.select(1, 2).fill_(2);
    const double zero =
        s.symmetric ? static_cast<double>(1 << (s.bits - 1)) : static_cast<double>(1 << (s.bits - 1)) - 0.25;
    const at::Tensor on_grid =
        ((codes.clamp_min(s.symmetric && s.family == GridFamily::kAwq ? 1 : 0) - zero) * 0.125).contiguous();
    if (s.symmetric && s.family == GridFamily::kGptq) return;  // mirrored range: the step is not recovered
    EXPECT_TRUE(at::equal(quantize(on_grid, s, spec).w_hat, on_grid));
  });
}

TEST(GridLaws, SmallerSlicesHaveSmallerSteps) {
  for_shapes([](const Shape& s, const at::Tensor& w) {
    if (s.columns % 2 != 0) return;
    Shape halves = s, whole = s;
    halves.group = s.columns / 2;
    whole.group = s.columns;
    const at::Tensor small = quantize(w, halves, spec_of(s)).scale,
                     large = quantize(w, whole, spec_of(s)).scale;
    EXPECT_TRUE((small <= large.expand_as(small)).all().item<bool>());
  });
}

TEST(GridLaws, RangeSearchNeverRaisesItsOwnError) {
  for_shapes([](const Shape& s, const at::Tensor& w) {
    if (w.numel() > 4000) return;
    GridSpec full = spec_of(s), search = spec_of(s);
    search.mse = true;
    search.mse_steps = 40;
    const auto error = [&](const GridSpec& spec) {
      return (quantize(w, s, spec).w_hat - w).abs().pow(2.4).sum(1);
    };
    EXPECT_TRUE((error(search) <= error(full) * 1.0001 + 1e-12).all().item<bool>());
  });
}

TEST(GridLaws, APlantedOutlierHurtsLessInFinerSlices) {
  at::manual_seed(5);
  at::Tensor w = at::randn({32, 128});
  w[3][77] = 60.0F;
  GridSpec spec;
  const auto error = [&](const Slices& slices) {
    return (round_to_nearest(w, slices, spec, Lanes(1), false).w_hat - w).square().sum().item<double>();
  };
  EXPECT_GT(error({0, true}), error({0, false}));
  EXPECT_GT(error({0, false}), error({32, false}));
}

}  // namespace
}  // namespace qbench::methods
