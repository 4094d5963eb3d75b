#include "harness/models/safetensors.h"

#include <gmock/gmock.h>

#include <array>
#include <bit>
#include <cmath>

#include "harness/core/errors.h"
#include "harness/models/float_formats.h"
#include "tests/unit/models/scratch_folder.h"

namespace qbench::models {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class Safetensors : public ScratchFolder {};

TEST_F(Safetensors, WritesAndReadsTensorsAndMetadata) {
  const std::array<float, 6> a = {1, 2, 3, 4, 5, 6};
  const std::array<int64_t, 2> b = {-7, 1LL << 40};
  const std::vector<SafetensorsTensor> tensors = {{"a", "F32", {2, 3}, std::as_bytes(std::span(a))},
                                                  {"b", "I64", {2}, std::as_bytes(std::span(b))}};
  write_safetensors(dir_ / "x.safetensors", tensors, {{"recipe", "gptq(bits=4)"}});
  const SafetensorsFile file(dir_ / "x.safetensors");
  EXPECT_THAT(file.floats("a"), ElementsAre(1, 2, 3, 4, 5, 6));
  EXPECT_THAT(file.integers("b"), ElementsAre(-7, 1LL << 40));
  EXPECT_EQ(file.find("a")->shape, (std::vector<int64_t>{2, 3}));
  EXPECT_THAT(file.metadata(), ElementsAre(std::pair<std::string, std::string>("recipe", "gptq(bits=4)")));
}

TEST_F(Safetensors, AnUnknownTensorIsNamedWithTheNearestOne) {
  write_safetensors(dir_ / "x.safetensors", std::vector<SafetensorsTensor>{{"weight", "F32", {0}, {}}});
  const SafetensorsFile file(dir_ / "x.safetensors");
  EXPECT_THAT(message_of<DataError>([&] { (void)file.floats("wieght"); }),
              HasSubstr("Did you mean \"weight\"?"));
  EXPECT_THAT(message_of<DataError>([&] { (void)file.integers("weight"); }),
              HasSubstr("expected an integer type"));
}

TEST_F(Safetensors, AFileThatIsNotFinishedNeverAppears) {
  { SafetensorsWriter writer(dir_ / "x.safetensors", {{"a", "F32", {2}}}); }
  EXPECT_TRUE(std::filesystem::is_empty(dir_));
}

TEST_F(Safetensors, TheWriterRefusesWrongSizesRepeatedNamesAndUnknownDtypes) {
  const std::array<float, 3> three = {};
  SafetensorsWriter writer(dir_ / "x.safetensors", {{"a", "F32", {2}}});
  EXPECT_THROW(writer.append(std::as_bytes(std::span(three))), DataError);
  EXPECT_THROW(SafetensorsWriter(dir_ / "y", {{"a", "F32", {2}}, {"a", "F32", {2}}}), DataError);
  EXPECT_THROW(SafetensorsWriter(dir_ / "y", {{"a", "F33", {2}}}), DataError);
  EXPECT_THROW(SafetensorsWriter(dir_ / "none" / "y", {{"a", "F32", {2}}}), DataError);
}

TEST(FloatFormats, WidenTheNumbersOfTheStandards) {
  EXPECT_EQ(widen_f16(0x3C00), 1.0F);
  EXPECT_EQ(widen_f16(0xC000), -2.0F);
  EXPECT_EQ(widen_f16(0x7BFF), 65504.0F);
  EXPECT_EQ(widen_f16(0x0001), 0x1p-24F);  // least subnormal
  EXPECT_EQ(widen_f16(0x83FF), -1023 * 0x1p-24F);
  EXPECT_EQ(widen_f16(0x7C00), INFINITY);
  EXPECT_TRUE(std::isnan(widen_f16(0x7E01)));
  EXPECT_TRUE(std::signbit(widen_f16(0x8000)));
  EXPECT_EQ(widen_bf16(0x3F80), 1.0F);
  EXPECT_EQ(widen_f8_e4m3(0x38), 1.0F);
  EXPECT_EQ(widen_f8_e4m3(0x7E), 448.0F);
  EXPECT_EQ(widen_f8_e4m3(0x01), 0x1p-9F);
  EXPECT_TRUE(std::isnan(widen_f8_e4m3(0xFF)));
  EXPECT_EQ(widen_f8_e5m2(0x7B), 57344.0F);
}

// Every one of the 65536 codes, against the definition: (-1)^s * 2^(e-15) * (1 + m / 1024), subnormals m *
// 2^-24.
TEST(FloatFormats, EveryHalfIsExact) {
  for (uint32_t code = 0; code < 65536; ++code) {
    const uint32_t exponent = (code >> 10) & 31U, mantissa = code & 1023U;
    if (exponent == 31) continue;
    const double magnitude = exponent == 0
                                 ? mantissa * 0x1p-24
                                 : std::ldexp(1.0 + mantissa / 1024.0, static_cast<int>(exponent) - 15);
    ASSERT_EQ(widen_f16(static_cast<uint16_t>(code)),
              static_cast<float>((code & 0x8000U) != 0 ? -magnitude : magnitude))
        << code;
  }
}

}  // namespace
}  // namespace qbench::models
