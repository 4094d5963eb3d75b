#include "harness/models/gguf.h"

#include <gmock/gmock.h>

#include "harness/core/errors.h"
#include "harness/models/gguf_blocks.h"
#include "tests/unit/models/gguf_builder.h"
#include "tests/unit/models/scratch_folder.h"

namespace qbench::models {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

class Gguf : public ScratchFolder {
 protected:
  GgufFile open(const GgufBuilder& builder) const { return open(builder.build()); }
  GgufFile open(const std::string& bytes) const { return GgufFile(write("x.gguf", bytes)); }
  std::string refusal(const std::string& bytes) const {
    return message_of<DataError>([&] { (void)open(bytes); });
  }
  std::string refusal(const GgufBuilder& builder) const { return refusal(builder.build()); }
};

TEST_F(Gguf, TypedGettersReadEveryKindOfValue) {
  GgufBuilder builder;
  builder.string("s", "text")
      .u32("u", 7)
      .f32("f", 0.5F)
      .boolean("b", true)
      .value("i", 11, int64_t{-3})
      .value("d", 12, 0.25);
  builder.strings("ss", {"a", ""})
      .array("is", 5, std::vector<int32_t>{1, -2})
      .array("fs", 6, std::vector<float>{0.5F, 2.0F});
  builder.array("empty", 5, std::vector<int32_t>{});
  const GgufFile file = open(builder);
  EXPECT_EQ(file.string("s"), "text");
  EXPECT_EQ(file.integer("u"), 7);
  EXPECT_EQ(file.integer("i"), -3);
  EXPECT_EQ(file.number("f"), 0.5);
  EXPECT_EQ(file.number("d"), 0.25);
  EXPECT_EQ(file.number("u"), 7.0);
  EXPECT_TRUE(file.boolean("b"));
  EXPECT_THAT(file.strings("ss"), ElementsAre("a", ""));
  EXPECT_THAT(file.integers("is"), ElementsAre(1, -2));
  EXPECT_THAT(file.floats("fs"), ElementsAre(0.5F, 2.0F));
  EXPECT_THAT(file.floats("is"), ElementsAre(1.0F, -2.0F));
  EXPECT_TRUE(file.strings("empty").empty());
  EXPECT_EQ(file.maybe_string("none"), std::nullopt);
  EXPECT_EQ(file.find("ss")->type, "array<string>");
}

TEST_F(Gguf, AWrongTypeOrAMissingKeyIsExplained) {
  GgufBuilder builder;
  const GgufFile file = open(builder.u32("llama.block_count", 3));
  EXPECT_THAT(message_of<DataError>([&] { (void)file.string("llama.block_count"); }),
              AllOf(HasSubstr("holds u32"), HasSubstr("expected a string")));
  EXPECT_THAT(message_of<DataError>([&] { (void)file.integer("llama.block_cuont"); }),
              HasSubstr("Did you mean \"llama.block_count\"?"));
}

TEST_F(Gguf, TensorsAreFoundWithRowMajorShapes) {
  GgufBuilder builder;
  builder.floats("w", {2, 3}, {1, 2, 3, 4, 5, 6}).floats("v", {1}, {9});
  const GgufFile file = open(builder);
  const GgufTensor* w = file.find_tensor("w");
  ASSERT_NE(w, nullptr);
  EXPECT_THAT(w->shape, ElementsAre(2, 3));
  std::vector<float> values(6);
  dequantize(*gguf_type(w->type), file.bytes(*w), values);
  EXPECT_THAT(values, ElementsAre(1, 2, 3, 4, 5, 6));
  EXPECT_EQ(file.find_tensor("u"), nullptr);
}

TEST_F(Gguf, HeadersThatLieAreRefused) {
  const std::string good = GgufBuilder().u32("a", 1).floats("w", {2}, {1, 2}).build();
  EXPECT_THAT(refusal(""), HasSubstr("file ends"));
  EXPECT_THAT(refusal("GGML" + good.substr(4)), HasSubstr("does not start with"));
  EXPECT_THAT(refusal(GgufBuilder(1)), HasSubstr("expected 2 or 3"));
  EXPECT_THAT(refusal(std::string("GGUF\0\0\0\3", 8) + good.substr(8)), HasSubstr("big-endian"));
  std::string tensors = good, values = good;
  tensors[8 + 6] = '\x7F';  // tensor count in the 2^48s
  values[16 + 7] = '\x7F';
  EXPECT_THAT(refusal(tensors), HasSubstr("cannot fit the file"));
  EXPECT_THAT(refusal(values), HasSubstr("cannot fit the file"));
  EXPECT_THAT(refusal(good.substr(0, good.size() - 32)), HasSubstr("do not fit"));
  for (size_t size = 0; size < good.size() - 32; ++size) EXPECT_NE(refusal(good.substr(0, size)), "") << size;
}

TEST_F(Gguf, ValuesThatLieAreRefused) {
  const auto u64 = [](uint64_t v) {
    std::string s;
    GgufBuilder::put(s, v);
    return s;
  };
  const auto u32 = [](uint32_t v) {
    std::string s;
    GgufBuilder::put(s, v);
    return s;
  };
  EXPECT_THAT(refusal(GgufBuilder().raw_value("a", 13, "")), HasSubstr("value type 13"));
  EXPECT_THAT(refusal(GgufBuilder().raw_value("a", 8, u64(1ULL << 60))), HasSubstr("string of"));
  EXPECT_THAT(refusal(GgufBuilder().raw_value("a", 9, u32(6) + u64(1ULL << 62))), HasSubstr("does not fit"));
  EXPECT_THAT(refusal(GgufBuilder().raw_value("a", 9, u32(9) + u64(1))), HasSubstr("array of arrays"));
  EXPECT_THAT(refusal(GgufBuilder().raw_value("a", 7, "\2")), HasSubstr("expected 0 or 1"));
  EXPECT_THAT(refusal(GgufBuilder().value("a", 10, UINT64_MAX)), HasSubstr("exceeds 63 bits"));
  EXPECT_THAT(refusal(GgufBuilder().u32("a", 1).u32("a", 2)), HasSubstr("occurs twice"));
  EXPECT_THAT(refusal(GgufBuilder().u32("", 1)), HasSubstr("metadata key"));
  EXPECT_THAT(refusal(GgufBuilder().u32("general.alignment", 24)), HasSubstr("power of two"));
}

TEST_F(Gguf, TensorsThatLieAreRefused) {
  const std::string data(64, '\0');
  EXPECT_THAT(refusal(GgufBuilder().raw_tensor("w", 99, {2}, 0, data)), HasSubstr("type number 99"));
  EXPECT_THAT(refusal(GgufBuilder().raw_tensor("w", 0, {}, 0, data)), HasSubstr("dimensions"));
  EXPECT_THAT(refusal(GgufBuilder().raw_tensor("w", 0, {1, 1, 1, 1, 1}, 0, data)), HasSubstr("dimensions"));
  EXPECT_THAT(refusal(GgufBuilder().raw_tensor("w", 0, {0}, 0, data)), HasSubstr("dimension 0 is 0"));
  EXPECT_THAT(refusal(GgufBuilder().raw_tensor("w", 0, {1LL << 40, 1LL << 40}, 0, data)),
              HasSubstr("fewer than 2^60"));
  EXPECT_THAT(refusal(GgufBuilder().raw_tensor("w", 3, {1, 33}, 0, data)), HasSubstr("no multiple of Q4_1"));
  EXPECT_THAT(refusal(GgufBuilder().raw_tensor("w", 0, {2}, 4, data)), HasSubstr("alignment"));
  EXPECT_THAT(refusal(GgufBuilder().raw_tensor("w", 0, {2}, 1ULL << 40, data)), HasSubstr("do not fit"));
  EXPECT_THAT(refusal(GgufBuilder().raw_tensor("w", 0, {12}, 0, data).raw_tensor("v", 0, {2}, 32, "")),
              HasSubstr("overlaps"));
  EXPECT_THAT(refusal(GgufBuilder().floats("w", {1}, {1}).floats("w", {1}, {1})), HasSubstr("occurs twice"));
}

// --- blocks worked out on paper; d = 0x3800 is 0.5, 0x4000 is 2.0, 0xBC00 is -1.0 ---

std::vector<float> weights(uint32_t id, const std::string& block) {
  const GgufType& type = *gguf_type(id);
  std::vector<float> out(static_cast<size_t>(type.block_weights) * block.size() / type.block_bytes);
  dequantize(type, std::as_bytes(std::span(block)), out);
  return out;
}

TEST(GgufBlocks, Q4_0IsScaleTimesCodeMinusEight) {
  std::string block("\x00\x38", 2);
  for (int i = 0; i < 16; ++i) block += static_cast<char>(i | ((15 - i) << 4));
  const auto w = weights(2, block);
  EXPECT_EQ(w[0], -4.0F);  // 0.5 * (0 - 8)
  EXPECT_EQ(w[15], 3.5F);  // 0.5 * (15 - 8)
  EXPECT_EQ(w[16], 3.5F);  // high nibbles are the second half
  EXPECT_EQ(w[31], -4.0F);
}

TEST(GgufBlocks, Q4_1IsScaleTimesCodePlusMinimum) {
  std::string block("\x00\x38\x00\xBC", 4);
  for (int i = 0; i < 16; ++i) block += '\x52';
  const auto w = weights(3, block);
  EXPECT_EQ(w[0], 0.0F);   // 0.5 * 2 - 1
  EXPECT_EQ(w[16], 1.5F);  // 0.5 * 5 - 1
}

TEST(GgufBlocks, Q5TakesItsFifthBitsFromAMask) {
  std::string q5_0("\x00\x40", 2);
  q5_0 += std::string("\x01\x00\x01\x00", 4) + std::string(16, '\0');  // bits 0 and 16
  EXPECT_EQ(weights(6, q5_0)[0], 0.0F);                                // 2 * (16 - 16)
  EXPECT_EQ(weights(6, q5_0)[1], -32.0F);                              // 2 * (0 - 16)
  EXPECT_EQ(weights(6, q5_0)[16], 0.0F);
  std::string q5_1("\x00\x40\x00\xBC", 4);
  q5_1 += std::string("\x00\x00\x00\x80", 4) + std::string(16, '\x30');
  EXPECT_EQ(weights(7, q5_1)[31], 37.0F);  // 2 * (16 + 3) - 1
  EXPECT_EQ(weights(7, q5_1)[0], -1.0F);
}

TEST(GgufBlocks, Q8_0IsScaleTimesSignedByte) {
  const auto w = weights(8, std::string("\x00\x38", 2) + std::string(31, '\x80') + "\x7F");
  EXPECT_EQ(w[0], -64.0F);
  EXPECT_EQ(w[31], 63.5F);
}

TEST(GgufBlocks, Q6_KIsTwoScalesTimesCodeMinusThirtyTwo) {
  // ql all 0x21, qh all 0 except the last byte; scales 1..16; d = 0.5.
  std::string block(128, '\x21');
  block += std::string(63, '\0') + "\xFF";
  for (char s = 1; s <= 16; ++s) block += s;
  block += std::string("\x00\x38", 2);
  const auto w = weights(14, block);
  EXPECT_EQ(w[0], 0.5F * 1 * (1 - 32));
  EXPECT_EQ(w[64], 0.5F * 5 * (2 - 32));         // third run of 32: high nibbles, scale 5
  EXPECT_EQ(w[255], 0.5F * 16 * (2 + 48 - 32));  // both high bits set
}

TEST(GgufBlocks, Iq4NlLooksCodesUpAndHasUnevenCells) {
  std::string block("\x00\x38", 2);
  block += std::string(16, '\x80');
  const auto w = weights(20, block);
  EXPECT_EQ(w[0], -63.5F);
  EXPECT_EQ(w[16], 0.5F);
  std::vector<float> below(32), above(32);
  quantization_cells(*gguf_type(20), std::as_bytes(std::span(block)), below, above);
  EXPECT_EQ(below[16], 0.25F * 11);  // from -10 to 1
  EXPECT_EQ(above[16], 0.25F * 12);  // from 1 to 13
  EXPECT_EQ(below[0], above[0]);
}

TEST(GgufBlocks, CellsOfUniformGridsAreHalfAStep) {
  std::string block("\x00\x38\x00\xBC", 4);
  block += std::string(16, '\x52');
  std::vector<float> below(32), above(32);
  quantization_cells(*gguf_type(3), std::as_bytes(std::span(block)), below, above);
  EXPECT_EQ(below[7], 0.25F);
  EXPECT_EQ(above[31], 0.25F);
}

}  // namespace
}  // namespace qbench::models
