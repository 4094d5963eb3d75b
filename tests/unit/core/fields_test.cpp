#include "harness/core/fields.h"

#include <gmock/gmock.h>

#include "harness/core/errors.h"

namespace qbench {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

struct Params {
  int64_t block = 128;
  double damp = 0.01;
  bool act_order = false;
  std::string order = "first";

  template <class Visitor>
  void visit(Visitor& v) {
    v("block", block, Range{1, 4096}, "columns per lazy update");
    v("damp", damp, Range{0.0, 1.0}, "fraction of the mean diagonal");
    v("act_order", act_order, "visit columns by descending diagonal");
    v("order", order, OneOf{{"first", "last"}}, "which end to start from");
  }
};

TEST(Fields, BindArgumentsOverDefaults) {
  const auto params =
      bind_fields<Params>(parse_call("gptq(damp=0.05,act_order=true,order=last)", "method"), "method");
  EXPECT_EQ(params.block, 128);
  EXPECT_EQ(params.damp, 0.05);
  EXPECT_TRUE(params.act_order);
  EXPECT_EQ(params.order, "last");
}

TEST(Fields, SayWhatWasWrong) {
  const auto bind = [](const char* text) {
    return bind_fields<Params>(parse_call(text, "method"), "method");
  };
  EXPECT_THAT(
      [&] { bind("gptq(dmap=0.1)"); },
      ThrowsMessage<ConfigError>(AllOf(HasSubstr("unknown parameter \"dmap\""), HasSubstr("\"damp\""))));
  EXPECT_THAT([&] { bind("gptq(block=0)"); }, ThrowsMessage<ConfigError>(HasSubstr("[1, 4096]")));
  EXPECT_THAT([&] { bind("gptq(block=1.5)"); }, ThrowsMessage<ConfigError>(HasSubstr("an integer")));
  EXPECT_THAT([&] { bind("gptq(damp=nan)"); }, ThrowsMessage<ConfigError>(HasSubstr("[0, 1]")));
  EXPECT_THAT([&] { bind("gptq(act_order=1)"); }, ThrowsMessage<ConfigError>(HasSubstr("true or false")));
  EXPECT_THAT([&] { bind("gptq(order=frist)"); },
              ThrowsMessage<ConfigError>(HasSubstr("Did you mean \"first\"")));
}

TEST(Fields, SpecsRoundTripThroughJson) {
  for (const FieldSpec& spec : field_specs<Params>()) {
    EXPECT_EQ(FieldSpec::from_json(spec.json()).json(), spec.json());
  }
}

TEST(NearestName, FindsTypingSlipsOnly) {
  const std::vector<std::string> known = {"gptq", "rtn", "smoothquant"};
  EXPECT_EQ(nearest_name("gtpq", known), "gptq");
  EXPECT_EQ(nearest_name("smothquant", known), "smoothquant");
  EXPECT_EQ(nearest_name("completely-else", known), "");
}

}  // namespace
}  // namespace qbench
