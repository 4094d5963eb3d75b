#include <gmock/gmock.h>

#include <cmath>

#include "harness/core/errors.h"
#include "harness/models/arch/family.h"
#include "tests/unit/models/scratch_folder.h"

namespace qbench::models {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

class Config : public ScratchFolder {
 protected:
  Architecture read(const std::string& family, const std::string& json) const {
    ConfigReader config(write("config.json", json));
    Architecture a;
    a.family = family;
    family_of_model_type(family, "test").read_config(config, a);
    config.finish();
    return a;
  }
  /// A small Llama config with `extra` keys ("\"a\": 1, ").
  Architecture llama(const std::string& extra) const { return read("llama", with(extra)); }
  std::string refusal(const std::string& extra) const {
    return message_of<DataError>([&] { (void)llama(extra); });
  }
  static std::string with(const std::string& extra) {
    return "{" + extra +
           R"("vocab_size": 8, "hidden_size": 12, "num_hidden_layers": 2, "num_attention_heads": 3, "intermediate_size": 5,
        "max_position_embeddings": 64})";
  }
};

TEST_F(Config, DefaultsAreThoseOfTheFamily) {
  const Architecture a = llama("");
  EXPECT_EQ(a.kv_heads, 3);
  EXPECT_EQ(a.head_dim, 4);
  EXPECT_EQ(a.norm_eps, 1e-6);
  EXPECT_EQ(a.rope.theta, 10000.0);
  EXPECT_EQ(a.bos_id, 1);
  EXPECT_EQ(a.eos_id, 2);
  EXPECT_FALSE(a.tied_embeddings || a.q_bias || a.mlp_bias);
}

TEST_F(Config, HeadDimOverridesTheQuotient) { EXPECT_EQ(llama(R"("head_dim": 6, )").q_size(), 18); }

TEST_F(Config, AttentionBiasCoversAllFourProjections) {
  const Architecture a = llama(R"("attention_bias": true, "mlp_bias": true, )");
  EXPECT_TRUE(a.q_bias && a.k_bias && a.v_bias && a.o_bias && a.mlp_bias);
}

TEST_F(Config, EosMayBeAListOrNull) {
  EXPECT_EQ(llama(R"("eos_token_id": [7, 3], )").eos_id, 7);
  EXPECT_EQ(llama(R"("eos_token_id": null, )").eos_id, -1);
}

TEST_F(Config, BareInfinitiesAreTolerated) {
  EXPECT_EQ(
      llama(R"("time_step_limit": [0.0, Infinity], "x": -Infinity, "y": NaN, "note": "Infinity \" NaN", )")
          .layers,
      2);
  EXPECT_THAT(refusal(R"("rope_theta": Infinity, )"), AllOf(HasSubstr("rope_theta"), HasSubstr("Infinity")));
}

TEST_F(Config, BothRopeSpellingsAreRead) {
  const Architecture old =
      llama(R"("rope_theta": 500.0, "rope_scaling": {"type": "linear", "factor": 2.0}, )");
  const Architecture fresh =
      llama(R"("rope_parameters": {"rope_type": "linear", "factor": 2.0, "rope_theta": 500.0}, )");
  EXPECT_EQ(architecture_json(old), architecture_json(fresh));
  EXPECT_EQ(old.rope.kind, RopeKind::kLinear);
  EXPECT_EQ(old.rope.theta, 500.0);
}

TEST_F(Config, YarnReadsItsOptionsAndTakesZeroForAbsent) {
  const Architecture a =
      llama(R"("rope_scaling": {"rope_type": "yarn", "original_max_position_embeddings": 16, "beta_fast": 0,
      "beta_slow": 2, "mscale": 0.7, "mscale_all_dim": 1.0, "truncate": false}, )");
  EXPECT_EQ(a.rope.factor, 4.0);  // 64 / 16, since none is given
  EXPECT_EQ(a.rope.beta_fast, 32.0);
  EXPECT_EQ(a.rope.beta_slow, 2.0);
  EXPECT_FALSE(a.rope.truncate);
}

TEST_F(Config, AllProblemsAreReportedAtOnce) {
  const std::string text = message_of<DataError>([&] {
    (void)read(
        "llama",
        R"({"vocab_size": "many", "hidden_size": -3, "num_hidden_layers": 2.5, "num_attention_heads": 3,
        "intermediate_size": 5, "rope_scaling": {"type": "linaer", "factor": 2.0}, "hidden_act": "sliu", "attention_bias": 1})");
  });
  for (const char* part :
       {"vocab_size: found \"many\"", "hidden_size: found -3", "num_hidden_layers: found 2.5",
        "rope_scaling.rope_type", "Did you mean \"linear\"?", "Did you mean \"silu\"?",
        "attention_bias: found 1", "problems:"}) {
    EXPECT_THAT(text, HasSubstr(part));
  }
}

TEST_F(Config, WhatWouldChangeTheFunctionIsRefused) {
  EXPECT_THAT(refusal(R"("rope_scaling": {"type": "longrope", "factor": 2.0}, )"),
              HasSubstr("\"longrope\" is not supported"));
  EXPECT_THAT(refusal(R"("rope_parameters": {"rope_type": "default", "partial_rotary_factor": 0.5}, )"),
              HasSubstr("partial_rotary_factor"));
  EXPECT_THAT(refusal(R"("rope_scaling": {"type": "llama3", "factor": 2.0}, )"),
              HasSubstr("low_freq_factor: is missing"));
}

TEST_F(Config, MistralIsReadWithoutItsWindowOnly) {
  EXPECT_EQ(read("mistral", with(R"("sliding_window": null, "num_key_value_heads": 1, )")).kv_heads, 1);
  EXPECT_EQ(read("mistral", with(R"("sliding_window": 64, "num_key_value_heads": 1, )")).kv_heads,
            1);  // covers every position
  EXPECT_THAT(message_of<DataError>([&] { (void)read("mistral", with(R"("sliding_window": 8, )")); }),
              HasSubstr("sliding_window: 8"));
}

TEST_F(Config, Qwen2HasBiasesOnQueriesKeysAndValues) {
  const Architecture a =
      read("qwen2", with(R"("num_key_value_heads": 3, "sliding_window": 8, "use_sliding_window": false, )"));
  EXPECT_TRUE(a.q_bias && a.k_bias && a.v_bias);
  EXPECT_FALSE(a.o_bias || a.mlp_bias);
  EXPECT_EQ(a.bos_id, -1);
}

TEST_F(Config, AnUnsupportedFamilyIsNamedWithTheSupportedOnes) {
  EXPECT_THAT(message_of<DataError>([] { (void)family_of_model_type("lama", "x/config.json"); }),
              AllOf(HasSubstr("x/config.json: model_type \"lama\" is not supported"),
                    HasSubstr("llama, mistral, qwen2"), HasSubstr("Did you mean \"llama\"?")));
}

TEST_F(Config, BrokenFilesAreLocated) {
  EXPECT_THAT(message_of<DataError>([&] { ConfigReader(write("config.json", "{\"a\": ")); }),
              HasSubstr("config.json: no valid JSON"));
  EXPECT_THAT(message_of<DataError>([&] { ConfigReader(write("config.json", "[1]")); }),
              HasSubstr("expected a JSON object"));
  EXPECT_THROW(ConfigReader(dir_ / "none.json"), DataError);
}

TEST_F(Config, WrittenRopeReadsBackInBothSpellings) {
  Architecture a = llama(
      R"("rope_scaling": {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
      "original_max_position_embeddings": 16}, "rope_theta": 500000.0, )");
  OrderedJson both;
  write_rope(a, both);
  for (const char* drop : {"rope_parameters", "rope_scaling"}) {
    OrderedJson json = OrderedJson::parse(with(""));
    json.update(both);
    json.erase(drop);
    if (std::string(drop) == "rope_scaling") json.erase("rope_theta");
    EXPECT_EQ(architecture_json(read("llama", json.dump())), architecture_json(a)) << drop;
  }
}

TEST(Architecture, ImpossibleSizesAreListed) {
  Architecture a;
  a.vocab_size = a.hidden_size = a.layers = a.intermediate_size = a.max_position = 4;
  a.heads = 3;
  a.kv_heads = 2;
  a.head_dim = 5;
  std::vector<std::string> problems;
  check_architecture(a, problems);
  EXPECT_EQ(problems.size(), 2U);
}

TEST(Problems, LongListsAreCutWithACount) {
  EXPECT_EQ(list_problems("f", {"a"}), "f: a");
  EXPECT_THAT(list_problems("f", std::vector<std::string>(25, "a")),
              AllOf(HasSubstr("25 problems"), HasSubstr("and 5 more")));
}

}  // namespace
}  // namespace qbench::models
