#include "methods/core/recipe.h"

#include <gmock/gmock.h>

#include <random>

#include "harness/core/errors.h"

namespace qbench::methods {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::ThrowsMessage;

Recipe parse(std::string_view text) { return parse_recipe(text, method_catalogue()); }

models::Architecture smollm() {
  models::Architecture a;
  a.family = "llama";
  a.vocab_size = 49152;
  a.hidden_size = 576;
  a.layers = 30;
  a.heads = 9;
  a.kv_heads = 3;
  a.head_dim = 64;
  a.intermediate_size = 1536;
  return a;
}

std::vector<std::string> problems(std::string_view recipe, std::string_view scheme,
                                  bool has_calibration = true) {
  return legality_problems(parse(recipe), parse_scheme(scheme), smollm(), has_calibration);
}

TEST(Recipe, PrintsOnlyWhatDiffersFromTheDefaults) {
  EXPECT_EQ(parse("gptq(damp=0.01,act_order=false)").canonical(), "gptq(act_order=false)");
  EXPECT_EQ(parse(" smoothquant( alpha = 0.80 ) | gptq ").canonical(), "smoothquant(alpha=0.8)|gptq");
  EXPECT_EQ(parse("gptq(static_groups=false,block=64)").canonical(), "gptq(block=64,static_groups=false)");
  EXPECT_EQ(parse("fp").canonical(), "fp");
  EXPECT_TRUE(parse("fp").baseline());
  for (const char* text : {"fp", "rtn", "gptq(act_order=false)", "awq|rtn", "smoothquant(alpha=0.8)|gptq"}) {
    EXPECT_EQ(parse(parse(text).canonical()), parse(text));
    EXPECT_EQ(parse(text).canonical(), text);
  }
}

TEST(Recipe, CompletesTransformsWithRtn) {
  EXPECT_EQ(parse("awq").canonical(), "awq|rtn");
  EXPECT_EQ(parse("smoothquant").canonical(), "smoothquant|rtn");
  EXPECT_EQ(parse("smoothquant|awq").canonical(), "smoothquant|awq|rtn");
}

TEST(Recipe, IdentityHoldsEveryParameterAndVersion) {
  EXPECT_THAT(parse("gptq").identity(),
              AllOf(HasSubstr("gptq@"), HasSubstr("damp=0.01"), HasSubstr("act_order=true")));
  EXPECT_EQ(parse("gptq").identity(), parse("gptq(block=128)").identity());
  EXPECT_NE(parse("gptq").identity(), parse("gptq(block=64)").identity());
}

TEST(Recipe, NamesTheNearestMethodAndParameter) {
  EXPECT_THAT([] { parse("gtpq"); }, ThrowsMessage<ConfigError>(HasSubstr("Did you mean \"gptq\"?")));
  EXPECT_THAT([] { parse("gptq(dmap=1)"); }, ThrowsMessage<ConfigError>(HasSubstr("\"damp\"")));
  EXPECT_THAT([] { parse("smoothquant(alpha=2)"); }, ThrowsMessage<ConfigError>(HasSubstr("[0, 1]")));
  EXPECT_THAT([] { parse("rtn|"); }, ThrowsMessage<ConfigError>(HasSubstr("empty pass")));
  EXPECT_THAT([] { parse(""); }, ThrowsMessage<ConfigError>(HasSubstr("empty pass")));
  EXPECT_THAT([] { parse("fp|rtn"); }, ThrowsMessage<ConfigError>(HasSubstr("stands alone")));
}

TEST(Recipe, RefusesAWrongOrder) {
  EXPECT_THAT([] { parse("rtn|gptq"); }, ThrowsMessage<ConfigError>(HasSubstr("both quantize")));
  EXPECT_THAT([] { parse("gptq|smoothquant"); },
              ThrowsMessage<ConfigError>(HasSubstr("must come before gptq")));
}

TEST(Recipe, KnowsWhatItNeeds) {
  EXPECT_FALSE(depends_on_calibration(parse("rtn")));
  EXPECT_TRUE(needs_calibration(parse("gptq")));
  EXPECT_FALSE(needs_fp_statistics(parse("gptq")));
  EXPECT_TRUE(needs_fp_statistics(parse("smoothquant")));
  EXPECT_FALSE(needs_calibration(parse("smoothquant")));
  EXPECT_FALSE(seed_matters(parse("smoothquant|gptq")));
}

// Damaged recipes and schemes give a ConfigError or something that prints back to itself; never a crash.
TEST(Recipe, SurvivesDamagedText) {
  std::mt19937 random(17);
  const std::string alphabet = "gptqrwnasmo()=,|\"\\ .01-8\n\0";
  for (int i = 0; i < 20000; ++i) {
    std::string recipe = "smoothquant(alpha=0.8)|gptq(act_order=false,damp=0.05)", scheme = "w4a16g32-asym";
    for (std::string* text : {&recipe, &scheme}) {
      for (uint32_t edits = random() % 4; edits > 0; --edits) {
        const size_t at = random() % text->size();
        if (random() % 3 == 0)
          text->erase(at, 1 + random() % 5);
        else if (random() % 2 == 0)
          (*text)[at] = alphabet[random() % alphabet.size()];
        else
          text->insert(at, 1, alphabet[random() % alphabet.size()]);
        if (text->empty()) *text = "w";
      }
    }
    try {
      const Recipe parsed = parse(recipe);
      EXPECT_EQ(parse(parsed.canonical()), parsed) << recipe;
    } catch (const ConfigError&) {
    }
    try {
      EXPECT_EQ(parse_scheme(parse_scheme(scheme).print()), parse_scheme(scheme)) << scheme;
    } catch (const ConfigError&) {
    }
  }
}

TEST(Legality, AcceptsTheUsualCells) {
  for (const char* scheme : {"w4a16g64", "w3a16", "w8a8", "w4a16g32-asym"}) {
    for (const char* recipe : {"rtn", "gptq", "awq", "smoothquant|gptq"}) {
      EXPECT_THAT(problems(recipe, scheme), IsEmpty()) << recipe << ' ' << scheme;
    }
  }
  EXPECT_THAT(problems("fp", "fp", false), IsEmpty());
  EXPECT_THAT(problems("rtn", "w4a16", false), IsEmpty());
  EXPECT_THAT(problems("smoothquant", "w16a8"), IsEmpty());
}

TEST(Legality, NamesLinearsAndLegalGroups) {
  EXPECT_THAT(problems("rtn", "w4a16g128"),
              Contains(AllOf(HasSubstr("128 columns"), HasSubstr("576 input columns"),
                             HasSubstr("model.layers.0.self_attn.q_proj"),
                             HasSubstr("legal groups for this model: 8, 12, 16, 24, 32, 48, 64, 96, 192"))));
  EXPECT_THAT(problems("rtn", "w4a16g128"), Not(Contains(HasSubstr("down_proj"))));
}

TEST(Legality, FindsMissingCalibrationAndUselessBits) {
  EXPECT_THAT(problems("gptq", "w4a16", false), Contains(HasSubstr("gptq needs a calibration set")));
  EXPECT_THAT(problems("smoothquant|gptq", "w4a16", false), Contains(HasSubstr("smoothquant and gptq need")));
  EXPECT_THAT(problems("awq", "w16a8"), Contains(HasSubstr("awq quantizes weights, but scheme w16a8")));
  EXPECT_THAT(problems("fp", "w8a8"), Contains(HasSubstr("recipe fp quantizes nothing")));
  EXPECT_THAT(problems("rtn", "fp"), Contains(HasSubstr("needs a scheme")));
}

}  // namespace
}  // namespace qbench::methods
