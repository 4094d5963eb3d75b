#include "methods/core/scheme.h"

#include <gmock/gmock.h>

#include "harness/core/errors.h"

namespace qbench::methods {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

TEST(Scheme, ReadsBitsGranularityAndSymmetry) {
  const Scheme grouped = parse_scheme("w4a16g32-asym");
  EXPECT_EQ(grouped.weight_bits, 4);
  EXPECT_EQ(grouped.activation_bits, 16);
  EXPECT_EQ(grouped.granularity, Granularity::kGroup);
  EXPECT_EQ(grouped.group, 32);
  EXPECT_FALSE(grouped.symmetric);
  EXPECT_EQ(grouped.group_columns(576), 32);

  const Scheme tensor = parse_scheme("w8a8-tensor");
  EXPECT_EQ(tensor.granularity, Granularity::kTensor);
  EXPECT_TRUE(tensor.symmetric);
  EXPECT_TRUE(tensor.quantizes_activations());
  EXPECT_EQ(parse_scheme("w3a16").group_columns(576), 576);
  EXPECT_TRUE(parse_scheme("fp").baseline());
}

TEST(Scheme, PrintsWhatItParses) {
  for (const char* text : {"fp", "w4a16g64", "w4a16g32-asym", "w3a16", "w8a8", "w8a8-tensor",
                           "w8a8-tensor-asym", "w4a4", "w16a8", "w2a16-asym", "w7a4g1"}) {
    EXPECT_EQ(parse_scheme(text).print(), text);
    EXPECT_EQ(parse_scheme(parse_scheme(text).print()), parse_scheme(text));
  }
  EXPECT_EQ(parse_scheme("w4").print(), "w4a16");
  EXPECT_EQ(parse_scheme("w4g64-sym").print(), "w4a16g64");
  EXPECT_EQ(parse_scheme("w4a16-asym-tensor").print(), "w4a16-tensor-asym");
}

TEST(Scheme, SaysWhatWasWrongAndWhatIsNearest) {
  const auto message = [](const char* text, const char* part) {
    EXPECT_THAT([&] { parse_scheme(text); },
                ThrowsMessage<ConfigError>(AllOf(HasSubstr(part), HasSubstr("w4a16g64"))))
        << text;
  };
  message("w9a16", "the nearest is 8");
  message("w1a16", "the nearest is 2");
  message("w4a5", "the nearest is 4");
  message("w4a32", "the nearest is 16");
  message("4bit", "expected it to begin with w<bits>");
  message("wa16", "expected a number of weight bits");
  message("w4a16g0", "found 0");
  message("w4a16g", "expected a number of columns");
  message("w4a16g-1", "found -1");
  message("w4a16g64-tensor", "-tensor excludes groups");
  message("w4a16-asym-asym", "\"-asym\" means nothing here");
  message("w4a16q", "\"q\" means nothing here");
  message("w16a16", "write fp");
  message("w16a8-asym", "write w16a8");
  message("", "expected it to begin");
  message("w99999999999999999999a16", "expected a number");
}

TEST(Scheme, ExamplesParse) {
  for (const SchemeExample& example : scheme_examples())
    EXPECT_EQ(parse_scheme(example.text).print(), example.text);
}

}  // namespace
}  // namespace qbench::methods
