#include "methods/primitives/feedback.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>

#include "harness/core/errors.h"
#include "methods/primitives/gram.h"
#include "methods/primitives/quantized_weight.h"

namespace qbench::methods {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

at::Tensor matrix(std::vector<float> values, int64_t rows, int64_t columns) {
  return at::from_blob(values.data(), {rows, columns}, at::kFloat).clone();
}

TEST(LazyBlocks, BeginEveryBlockAndEveryFreshGroup) {
  EXPECT_EQ(lazy_blocks(10, 4, 0), (std::vector<int64_t>{0, 4, 8}));
  EXPECT_EQ(lazy_blocks(10, 4, 3), (std::vector<int64_t>{0, 3, 6, 9}));
  EXPECT_EQ(lazy_blocks(10, 100, 5), (std::vector<int64_t>{0, 5}));
}

// H = [[2, 1], [1, 2]], H^-1 = 1/3 [[2, -1], [-1, 2]], U = [[sqrt(2/3), -1/sqrt(6)], [0, 1/sqrt(2)]].
TEST(FactorInverse, TwoByTwoByHand) {
  FactorOptions options;
  options.damp = 0;
  const InverseFactor factor = factor_inverse(matrix({2, 1, 1, 2}, 2, 2), options, "l", Lanes(1));
  EXPECT_NEAR(factor.u[0][0].item<float>(), std::sqrt(2.0 / 3), 1e-6);
  EXPECT_NEAR(factor.u[0][1].item<float>(), -1 / std::sqrt(6.0), 1e-6);
  EXPECT_EQ(factor.u[1][0].item<float>(), 0.0F);
  EXPECT_NEAR(factor.u[1][1].item<float>(), 1 / std::sqrt(2.0), 1e-6);
  EXPECT_TRUE(factor.order.empty());
  EXPECT_EQ(factor.attempts, 1);
}

TEST(FactorInverse, DampsReplacesDeadColumnsAndOrders) {
  FactorOptions options;
  options.order = ColumnOrder::kActivation;
  const InverseFactor factor =
      factor_inverse(matrix({4, 0, 0, 0, 0, 0, 0, 0, 9}, 3, 3), options, "l", Lanes(1));
  EXPECT_EQ(factor.dead, (std::vector<int64_t>{1}));
  EXPECT_EQ(factor.order, (std::vector<int64_t>{2, 0, 1}));
  const double damping = 0.01 * (4 + 1 + 9) / 3.0;
  EXPECT_NEAR(factor.u[0][0].item<double>(), 1 / std::sqrt(9 + damping), 1e-6);
}

TEST(FactorInverse, OrdersGroupsByTheirLargestDiagonal) {
  FactorOptions options;
  options.order = ColumnOrder::kGroupAware;
  options.group = 2;
  const at::Tensor h = at::diag(at::tensor({1.0F, 2.0F, 5.0F, 3.0F, 9.0F}));
  EXPECT_EQ(factor_inverse(h, options, "l", Lanes(1)).order, (std::vector<int64_t>{2, 3, 1, 0, 4}));
}

TEST(FactorInverse, DoublesTheDampingAndThenNamesTheLayer) {
  // Eigenvalues 3 and -1: positive definite only above a damping of 1 / mean(diag) = 1.
  const at::Tensor h = matrix({1, 2, 2, 1}, 2, 2);
  FactorOptions options;
  options.damp = 0.3;
  const InverseFactor factor = factor_inverse(h, options, "l", Lanes(1));
  EXPECT_EQ(factor.attempts, 3);
  EXPECT_DOUBLE_EQ(factor.damping, 1.2);
  options.damp_steps = 2;
  EXPECT_THAT(
      [&] { factor_inverse(h, options, "model.layers.7.mlp.down_proj", Lanes(1)); },
      ThrowsMessage<NumericError>(AllOf(HasSubstr("model.layers.7.mlp.down_proj"), HasSubstr("0.3 (column"),
                                        HasSubstr("0.6 (column"), HasSubstr("gptq.damp"))));
}

TEST(FactorInverse, RefusesInputsThatAreNotFinite) {
  at::Tensor h = at::eye(3);
  h[1][1] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_THAT([&] { factor_inverse(h, {}, "blocks.0", Lanes(1)); },
              ThrowsMessage<NumericError>(AllOf(HasSubstr("blocks.0"), HasSubstr("channel 1"))));
}

// One row, two columns, H = [[2, 1], [1, 2]] without damping, 2-bit grid of the row (0.9, 2.4): s = 0.8, z =
// 0. Column 0: q = 0.8, err = 0.1 / U00; column 1 becomes 2.4 - 0.1 U01 / U00 = 2.4 + 0.05 = 2.45, q = 2.4.
TEST(Feedback, OneStepByHand) {
  const at::Tensor w = matrix({0.9F, 2.4F}, 1, 2);
  FactorOptions factor_options;
  factor_options.damp = 0;
  const InverseFactor factor = factor_inverse(matrix({2, 1, 1, 2}, 2, 2), factor_options, "l", Lanes(1));
  GridSpec spec;
  spec.bits = 2;
  spec.symmetric = false;
  QuantizedWeight result;
  std::vector<FeedbackJob> jobs = {{w, &result}};
  quantize_with_feedback(jobs, factor.u, Slices{}, spec, {}, Lanes(1), true);
  EXPECT_NEAR(result.scale.item<float>(), 0.8F, 1e-6);
  EXPECT_NEAR(result.w_hat[0][0].item<float>(), 0.8F, 1e-6);
  EXPECT_NEAR(result.w_hat[0][1].item<float>(), 2.4F, 1e-6);
  // 0.1^2 / (2 * 2/3) + 0.05^2 / (2 * 1/2)
  EXPECT_NEAR(result.loss, 0.0075 + 0.0025, 1e-6);
  EXPECT_EQ(result.codes[0][1].item<uint8_t>(), 3);
}

TEST(Feedback, DeadColumnsBecomeZero) {
  const at::Tensor w = matrix({1, 5, -1, 0.5F}, 1, 4);
  FeedbackOptions options;
  options.dead = {1};
  GridSpec spec;
  spec.symmetric = false;
  QuantizedWeight result;
  std::vector<FeedbackJob> jobs = {{w, &result}};
  quantize_with_feedback(jobs, at::eye(4), Slices{}, spec, options, Lanes(1), false);
  EXPECT_EQ(result.w_hat[0][1].item<float>(), 0.0F);
  EXPECT_NEAR(result.scale.item<float>(), 6.0F / 15, 1e-6)
      << "whole rows are fitted before dead columns are zeroed";
  EXPECT_EQ(w[0][1].item<float>(), 5.0F) << "the weight itself is not changed";
}

TEST(Gram, SumsOuterProductsWhateverThePieces) {
  const at::Tensor x = matrix({1, 2, 3, 4, 5, 6}, 3, 2);
  GramAccumulator whole(2), pieces(2);
  whole.add(std::vector<at::Tensor>{x}, Lanes(1));
  pieces.add(std::vector<at::Tensor>{x.slice(0, 0, 1).contiguous(), x.slice(0, 1).contiguous()}, Lanes(2));
  const at::Tensor expected = matrix({70, 88, 88, 112}, 2, 2);
  EXPECT_TRUE(at::equal(whole.finish(2.0), expected));
  EXPECT_TRUE(at::equal(pieces.finish(2.0), expected));
}

TEST(Gram, TraceErrorIsTheOutputError) {
  // d = (1, -1), H = [[2, 1], [1, 2]]: 2 - 1 - 1 + 2
  EXPECT_DOUBLE_EQ(trace_error(matrix({1, -1}, 1, 2), matrix({2, 1, 1, 2}, 2, 2)), 2.0);
}

TEST(Bits, CountsCodesScalesZerosAndOrder) {
  // W4 g128 asymmetric with a 4-bit zero point: 4 + (16 + 4) / 128.
  EXPECT_DOUBLE_EQ(count_bits({64, 256, 4, 128, false, false, 0}).effective(), 4.15625);
  EXPECT_DOUBLE_EQ(count_bits({64, 256, 4, 128, true, false, 0}).effective(), 4.125);
  EXPECT_DOUBLE_EQ(count_bits({64, 256, 4, 128, false, true, 0}).effective(), 4.25);
  // Two groups out of order: one bit per column, shared by 64 rows.
  EXPECT_DOUBLE_EQ(count_bits({64, 256, 4, 128, true, false, 2}).effective(), 4.125 + 1.0 / 64);
  EXPECT_DOUBLE_EQ(count_bits({64, 256, 4, 128, true, false, 0}).nominal(), 4.0);
}

}  // namespace
}  // namespace qbench::methods
