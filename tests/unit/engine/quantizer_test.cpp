#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "harness/engine/model.h"

namespace qbench::engine {
namespace {

at::Tensor row(std::vector<float> values) { return at::tensor(values).reshape({1, -1}); }

TEST(ActivationQuantizer, SixteenBitsChangeNothing) {
  const at::Tensor x = row({0.1F, -3.0F});
  EXPECT_TRUE(at::equal(quantize_activation(x, {}), x));
}

TEST(ActivationQuantizer, SymmetricStepIsTheLargestValueOverTheTopCode) {
  // 3 bits: codes -3..3, step 6 / 3 = 2; 1 and 5 are ties and go to the even codes 0 and 2.
  const at::Tensor y = quantize_activation(row({6.0F, 1.0F, -1.4F, 5.0F}), {3, true, true});
  EXPECT_TRUE(at::equal(y, row({6.0F, 0.0F, -2.0F, 4.0F})));
}

TEST(ActivationQuantizer, AsymmetricRangeHoldsZero) {
  // 2 bits: codes 0..3 over [0, 6], step 2.
  const at::Tensor y = quantize_activation(row({6.0F, 2.9F, 4.0F}), {2, true, false});
  EXPECT_TRUE(at::equal(y, row({6.0F, 2.0F, 4.0F})));
  // [-2, 4]: step 2, zero point 1.
  EXPECT_TRUE(
      at::equal(quantize_activation(row({-2.0F, 4.0F, 0.9F}), {2, true, false}), row({-2.0F, 4.0F, 0.0F})));
}

TEST(ActivationQuantizer, TokensHaveTheirOwnStepsUnlessTheTensorSharesOne) {
  const at::Tensor x = at::tensor(std::vector<float>{3.0F, 1.0F, 300.0F, 1.0F}).reshape({2, 2});
  EXPECT_EQ(quantize_activation(x, {3, true, true})[0][1].item<float>(), 1.0F);
  EXPECT_EQ(quantize_activation(x, {3, false, true})[0][1].item<float>(), 0.0F);
}

TEST(ActivationQuantizer, AZeroTokenStaysZero) {
  EXPECT_TRUE(at::equal(quantize_activation(row({0.0F, 0.0F}), {8, true, true}), row({0.0F, 0.0F})));
  EXPECT_TRUE(at::equal(quantize_activation(row({0.0F, 0.0F}), {8, true, false}), row({0.0F, 0.0F})));
}

}  // namespace
}  // namespace qbench::engine
