#include "methods/primitives/affine.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

namespace qbench::methods {
namespace {

struct Fitted {
  float scale, zero, offset;
  std::vector<float> w_hat;
  std::vector<uint8_t> codes;
};

/// One row.
Fitted quantize(const std::vector<float>& w, const GridSpec& spec) {
  Fitted f{};
  fit_grid(w.data(), static_cast<int64_t>(w.size()), 1, 1, spec, {&f.scale, &f.zero, &f.offset});
  f.w_hat.resize(w.size());
  f.codes.resize(w.size());
  for (size_t i = 0; i < w.size(); ++i)
    round_column(&w[i], 1, spec, {&f.scale, &f.zero, &f.offset}, &f.w_hat[i], &f.codes[i]);
  return f;
}

GridSpec asymmetric(int64_t bits, GridFamily family = GridFamily::kGptq) {
  GridSpec spec;
  spec.bits = bits;
  spec.symmetric = false;
  spec.family = family;
  return spec;
}

GridSpec symmetric(int64_t bits, GridFamily family = GridFamily::kGptq) {
  GridSpec spec;
  spec.bits = bits;
  spec.family = family;
  return spec;
}

// lo = -1, hi = 2: s = 3 / 3 = 1, z = 1.
TEST(Affine, GptqAsymmetricByHand) {
  const Fitted f = quantize({-1.0F, 0.4F, 0.6F, 2.0F}, asymmetric(2));
  EXPECT_EQ(f.scale, 1.0F);
  EXPECT_EQ(f.zero, 1.0F);
  EXPECT_EQ(f.codes, (std::vector<uint8_t>{0, 1, 2, 3}));
  EXPECT_EQ(f.w_hat, (std::vector<float>{-1, 0, 1, 2}));
}

// All weights positive: zero still belongs to the range, s = 3 / 3.
TEST(Affine, GptqForcesZeroIntoTheRangeAndAwqDoesNot) {
  EXPECT_EQ(quantize({2.0F, 3.0F}, asymmetric(2)).scale, 1.0F);
  const Fitted awq = quantize({2.0F, 3.5F}, asymmetric(2, GridFamily::kAwq));
  EXPECT_EQ(awq.scale, 0.5F);
  EXPECT_EQ(awq.zero, 0.0F);  // -round(2 / 0.5) = -4, clamped
  EXPECT_EQ(awq.codes, (std::vector<uint8_t>{3, 3}));
}

// a = 3: s = 6 / 3 = 2, z = 2, codes 0..3 stand for -4, -2, 0, 2: the positive extreme is clipped.
TEST(Affine, GptqSymmetricClipsThePositiveExtreme) {
  const Fitted f = quantize({-3.0F, 3.0F, 0.9F}, symmetric(2));
  EXPECT_EQ(f.scale, 2.0F);
  EXPECT_EQ(f.zero, 2.0F);
  EXPECT_EQ(f.w_hat, (std::vector<float>{-4, 2, 0}));
}

// a = 3, 3 bits: s = 3 / 3 = 1, so both extremes are exact.
TEST(Affine, AwqSymmetricKeepsBothExtremes) {
  const Fitted f = quantize({-3.0F, 3.0F, 1.4F}, symmetric(3, GridFamily::kAwq));
  EXPECT_EQ(f.scale, 1.0F);
  EXPECT_EQ(f.w_hat, (std::vector<float>{-3, 3, 1}));
}

TEST(Affine, RoundsHalfToEven) {
  const Fitted f = quantize({-4.0F, 0.5F, 1.5F, 2.5F, 3.0F}, asymmetric(3));
  EXPECT_EQ(f.scale, 1.0F);
  EXPECT_EQ(f.w_hat, (std::vector<float>{-4, 0, 2, 2, 3}));
}

TEST(Affine, AllZeroSlicesStayZero) {
  for (const GridSpec& spec :
       {asymmetric(4), symmetric(4), asymmetric(4, GridFamily::kAwq), symmetric(4, GridFamily::kAwq)}) {
    const Fitted f = quantize({0, 0, 0}, spec);
    EXPECT_EQ(f.w_hat, (std::vector<float>{0, 0, 0}));
    EXPECT_TRUE(std::isfinite(f.scale));
  }
}

// Official code: lo stays 0, s = 3 / 3, zero = 2: everything above 1 is clipped.
TEST(Affine, NonnegativeQuirkHalvesTheRange) {
  GridSpec spec = symmetric(2);
  EXPECT_EQ(quantize({1.0F, 3.0F}, spec).scale, 2.0F);
  spec.nonnegative_quirk = true;
  const Fitted quirk = quantize({1.0F, 3.0F}, spec);
  EXPECT_EQ(quirk.scale, 1.0F);
  EXPECT_EQ(quirk.w_hat, (std::vector<float>{1, 1}));
}

// d * q + m with m that is no multiple of d: no integer zero point can represent it.
TEST(Affine, AutoZeroReturnsASliceThatIsAGrid) {
  const float d = 0.0123291015625F, m = -0.1087646484375F;  // float16 numbers
  std::vector<float> w;
  for (int q = 0; q < 16; ++q) w.push_back(d * static_cast<float>(q) + m);
  GridSpec spec = asymmetric(4);
  EXPECT_NE(quantize(w, spec).w_hat, w);
  spec.zero = ZeroKind::kAuto;
  const Fitted own = quantize(w, spec);
  EXPECT_EQ(own.w_hat, w);
  EXPECT_EQ(own.offset, m);
  EXPECT_EQ(own.scale, d);
}

TEST(Affine, RoundsInPlaceWithEitherZero) {
  GridSpec spec = asymmetric(3);
  spec.zero = ZeroKind::kReal;
  float scale = 1.0F, zero = -10.0F, offset = 10.0F, w = 10.9F;
  round_column(&w, 1, spec, {&scale, &zero, &offset}, &w, nullptr);
  EXPECT_EQ(w, 11.0F);
}

TEST(Affine, AutoZeroIsTheIntegerZeroElsewhere) {
  GridSpec integer = asymmetric(4), automatic = asymmetric(4);
  automatic.zero = ZeroKind::kAuto;
  const std::vector<float> w = {-0.31F, 0.1234F, 0.777F, -0.05F, 0.2F};
  const Fitted a = quantize(w, integer), b = quantize(w, automatic);
  EXPECT_EQ(a.w_hat, b.w_hat);
  EXPECT_TRUE(std::isnan(b.offset));
  EXPECT_TRUE(std::isnan(quantize({-0.3F, 0.3F, 0.3F}, automatic).offset)) << "two values lie on every grid";
}

TEST(Affine, RealZeroKeepsBothExtremes) {
  GridSpec spec = asymmetric(3);
  spec.zero = ZeroKind::kReal;
  const Fitted f = quantize({10.0F, 10.9F, 17.0F}, spec);
  EXPECT_EQ(f.w_hat, (std::vector<float>{10, 11, 17}));
}

// Shrinking the range of {0.5 x 7, 2}, 2 bits, squared error: the full range rounds 0.5 to 0.667; a smaller
// one is better.
TEST(Affine, RangeSearchFindsASmallerErrorAndOneCandidateIsMinmax) {
  GridSpec full = asymmetric(2), search = asymmetric(2);
  search.mse = true;
  search.mse_norm = 2;
  const std::vector<float> w = {0.5F, 0.5F, 0.5F, 0.5F, 0.5F, 0.5F, 0.5F, 2.0F};
  const auto error = [&](const Fitted& f) {
    double sum = 0;
    for (size_t i = 0; i < w.size(); ++i) sum += std::pow(f.w_hat[i] - w[i], 2);
    return sum;
  };
  EXPECT_LT(error(quantize(w, search)), error(quantize(w, full)));
  search.mse_steps = 100;
  search.mse_shrink = 0.01;  // one candidate
  EXPECT_EQ(quantize(w, search).w_hat, quantize(w, full).w_hat);
}

TEST(Affine, TritsKeepMinZeroAndMax) {
  GridSpec spec = asymmetric(2);
  spec.trits = true;
  const Fitted f = quantize({-2.0F, -0.9F, 0.4F, 0.6F, 1.0F}, spec);
  EXPECT_EQ(f.w_hat, (std::vector<float>{-2, 0, 0, 1, 1}));
  EXPECT_EQ(f.codes, (std::vector<uint8_t>{0, 1, 1, 2, 2}));
}

}  // namespace
}  // namespace qbench::methods
