#include "harness/models/checkpoint.h"

#include <gmock/gmock.h>

#include <array>

#include "harness/core/errors.h"
#include "harness/models/export.h"
#include "harness/models/safetensors.h"
#include "tests/support/fixtures.h"
#include "tests/unit/models/gguf_builder.h"
#include "tests/unit/models/scratch_folder.h"

namespace qbench::models {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

namespace fs = std::filesystem;

fs::path golden(const std::string& name) {
  return testing_support::source_dir() / "tests/golden/models" / name;
}

std::vector<float> read(const Checkpoint& checkpoint, const std::string& name) {
  std::vector<float> out(static_cast<size_t>(checkpoint.find(name)->numel()));
  checkpoint.read(name, out);
  return out;
}

class OpenCheckpoint : public ScratchFolder {
 protected:
  OpenCheckpoint() : home_("QBENCH_HOME", (dir_ / "home").c_str()) {}
  std::unique_ptr<Checkpoint> open(const fs::path& path, const std::string& arguments = "") const {
    return Checkpoint::open(resolve_model(path.string() + arguments));
  }
  std::string refusal(const fs::path& path) const {
    return message_of<DataError>([&] { (void)open(path); });
  }
  std::unique_ptr<Checkpoint> gguf(const GgufBuilder& builder) const {
    return open(write("x.gguf", builder.build()));
  }
  std::string gguf_refusal(const GgufBuilder& builder) const {
    return refusal(write("x.gguf", builder.build()));
  }
  /// A copy of a golden case with another config or other weights.
  fs::path copy_of(const std::string& name) const {
    fs::copy(golden(name), dir_ / name);
    return dir_ / name;
  }
  ScopedVariable home_;
};

TEST_F(OpenCheckpoint, GgufTensorsComeUnderHuggingFaceNamesWithHeadsInOrder) {
  const auto checkpoint = gguf(tiny_llama_gguf());
  EXPECT_EQ(checkpoint->architecture().head_dim, 2);
  EXPECT_TRUE(checkpoint->architecture().tied_embeddings);
  EXPECT_EQ(checkpoint->tensors().size(), 11U);
  EXPECT_EQ(checkpoint->tensors().front().name, "model.embed_tokens.weight");
  // Heads of two rows have one rotary pair: interleaved and half-split order are the same. q starts after 20
  // + 4 weights.
  EXPECT_EQ(read(*checkpoint, "model.layers.0.self_attn.q_proj.weight")[0], 25.0F);
  EXPECT_THROW(checkpoint->read("model.layers.1.mlp.up_proj.weight", {}), DataError);
}

TEST_F(OpenCheckpoint, MissingUnknownAndMisshapenTensorsAreReportedTogether) {
  GgufBuilder builder = tiny_llama_gguf();
  builder.floats("blk.0.attn_q_norm.weight", {2}, {1, 1});
  builder.u32("llama.attention.key_length", 4);
  const std::string text = gguf_refusal(builder);
  EXPECT_THAT(text, AllOf(HasSubstr("problems:"),
                          HasSubstr("\"blk.0.attn_q.weight\" has shape [4, 4]; expected [8, 4]"),
                          HasSubstr("\"blk.0.attn_q_norm.weight\" [2] does not belong to a llama model")));
}

TEST_F(OpenCheckpoint, GgufModelsOutsideTheFamilyAreRefused) {
  EXPECT_THAT(gguf_refusal(GgufBuilder().string("general.architecture", "gemma2")),
              AllOf(HasSubstr("\"gemma2\" is not supported"), HasSubstr("llama, qwen2")));
  EXPECT_THAT(gguf_refusal(tiny_llama_gguf().u32("llama.expert_count", 8)), HasSubstr("mixture-of-experts"));
  EXPECT_THAT(gguf_refusal(tiny_llama_gguf().u32("llama.rope.dimension_count", 1)), HasSubstr("whole head"));
  EXPECT_THAT(gguf_refusal(tiny_llama_gguf().string("llama.rope.scaling.type", "longrope")),
              HasSubstr("\"longrope\" is not supported"));
  EXPECT_THAT(gguf_refusal(tiny_llama_gguf(false)), HasSubstr("llama.block_count"));
  EXPECT_THAT(gguf_refusal(tiny_llama_gguf().tensor("output.weight", 16, {5, 256}, std::string(330, '\0'))),
              AllOf(HasSubstr("IQ2_XXS, which cannot be read"), HasSubstr("Q4_1")));
}

TEST_F(OpenCheckpoint, GgufRopeScalingIsRead) {
  const auto linear = gguf(
      tiny_llama_gguf().string("llama.rope.scaling.type", "linear").f32("llama.rope.scaling.factor", 4.0F));
  EXPECT_EQ(linear->architecture().rope.kind, RopeKind::kLinear);
  EXPECT_EQ(linear->architecture().rope.factor, 4.0);
  const auto yarn = gguf(tiny_llama_gguf()
                             .string("llama.rope.scaling.type", "yarn")
                             .f32("llama.rope.scaling.factor", 2.0F)
                             .u32("llama.rope.scaling.original_context_length", 8));
  EXPECT_EQ(yarn->architecture().rope.kind, RopeKind::kYarn);
  EXPECT_EQ(yarn->architecture().rope.original_max_position, 8);
}

TEST_F(OpenCheckpoint, RopeFreqsThatFollowNoRuleAreKeptAsDivisors) {
  const auto checkpoint = gguf(tiny_llama_gguf().floats("rope_freqs.weight", {1}, {5.0F}));
  EXPECT_EQ(checkpoint->architecture().rope.divisors, std::vector<float>{5.0F});
  EXPECT_EQ(rope_frequencies(checkpoint->architecture(), 4).inverse, std::vector<float>{0.2F});
  EXPECT_THAT(message_of<DataError>([&] { (void)export_config(*checkpoint); }), HasSubstr("rope_freqs"));
  EXPECT_THAT(gguf_refusal(tiny_llama_gguf().floats("rope_freqs.weight", {1}, {0.0F})),
              HasSubstr("not positive"));
  EXPECT_THAT(gguf_refusal(tiny_llama_gguf().floats("rope_freqs.weight", {2}, {1, 1})),
              HasSubstr("expected [1]"));
}

TEST_F(OpenCheckpoint, AStoredHeadDecidesAgainstTyingUnlessTheConfigSaysTied) {
  const fs::path untied = copy_of("llama_mha");
  EXPECT_FALSE(open(untied)->architecture().tied_embeddings);
  Json config = Json::parse(read_text_file(untied / "config.json"));
  config["tie_word_embeddings"] = true;
  write_file_atomically(untied / "config.json", config.dump());
  const auto tied = open(untied);  // the stored copy of the head is left unread
  EXPECT_TRUE(tied->architecture().tied_embeddings);
  EXPECT_EQ(tied->find("lm_head.weight"), nullptr);
  config.erase("tie_word_embeddings");
  write_file_atomically(untied / "config.json", config.dump());
  EXPECT_FALSE(open(untied)->architecture().tied_embeddings);
}

TEST_F(OpenCheckpoint, WithoutAHeadAnUndeclaredModelIsTiedAndSaysSo) {
  const fs::path folder = copy_of("llama_tied_bigeps");
  Json config = Json::parse(read_text_file(folder / "config.json"));
  config.erase("tie_word_embeddings");
  write_file_atomically(folder / "config.json", config.dump());
  EXPECT_THAT(open(folder)->facts()["head"].get<std::string>(), HasSubstr("config.json does not say"));
  config["tie_word_embeddings"] = false;
  write_file_atomically(folder / "config.json", config.dump());
  EXPECT_THAT(refusal(folder), HasSubstr("tensor \"lm_head.weight\" [101, 32] is missing"));
}

TEST_F(OpenCheckpoint, HuggingFaceFoldersThatCannotBeReadSayWhy) {
  const fs::path folder = copy_of("llama_mha");
  Json config = Json::parse(read_text_file(folder / "config.json"));
  const auto with = [&](const char* key, const Json& value) {
    Json changed = config;
    changed[key] = value;
    write_file_atomically(folder / "config.json", changed.dump());
    return refusal(folder);
  };
  EXPECT_THAT(with("model_type", "gpt2"),
              AllOf(HasSubstr("\"gpt2\" is not supported"), Not(HasSubstr("Did you mean"))));
  EXPECT_THAT(with("model_type", nullptr), HasSubstr("model_type: is missing"));
  EXPECT_THAT(with("quantization_config", {{"bits", 4}}), HasSubstr("stored quantized"));
  EXPECT_THAT(with("num_key_value_heads", 3), HasSubstr("4 heads are no multiple of 3"));
  EXPECT_THAT(with("intermediate_size", 24),
              AllOf(HasSubstr("6 problems"), HasSubstr("model.safetensors: tensor"),
                    HasSubstr("[20, 32]; expected [24, 32]")));
  EXPECT_THAT(with("num_hidden_layers", 3),
              HasSubstr("model.layers.2.mlp.up_proj.weight\" [20, 32] is missing"));
  EXPECT_THAT(with("num_hidden_layers", 1),
              HasSubstr("model.layers.1.mlp.up_proj.weight\" [20, 32] does not belong"));
  fs::remove(folder / "model.safetensors");
  EXPECT_THAT(refusal(folder), HasSubstr("no weights"));
  write_file_atomically(folder / "pytorch_model.bin", "");
  EXPECT_THAT(refusal(folder), HasSubstr("Convert them"));
}

TEST_F(OpenCheckpoint, IntegerWeightsAreRefused) {
  const fs::path folder = copy_of("llama_mha");
  const SafetensorsFile file(golden("llama_mha/model.safetensors"));
  std::vector<SafetensorsTensor> tensors;
  for (const SafetensorsEntry& entry : file.entries())
    tensors.push_back(
        {entry.name, entry.name == "model.norm.weight" ? "I32" : "F32", entry.shape, file.bytes(entry)});
  write_safetensors(folder / "model.safetensors", tensors);
  EXPECT_THAT(refusal(folder), AllOf(HasSubstr("model.norm.weight"),
                                     HasSubstr("stored as I32; expected F32, BF16, F16 or F64")));
}

TEST_F(OpenCheckpoint, TheContentHashFollowsWeightsConfigAndDither) {
  const fs::path folder = copy_of("llama_mha");
  const std::string first = open(folder)->content_hash();
  EXPECT_EQ(open(golden("llama_mha"))->content_hash(), first);  // not the path
  Json config = Json::parse(read_text_file(folder / "config.json"));
  config["rms_norm_eps"] = 1e-4;
  write_file_atomically(folder / "config.json", config.dump());
  EXPECT_NE(open(folder)->content_hash(), first);
  const fs::path gguf_file = golden("gguf_llama/model.gguf");
  EXPECT_NE(open(gguf_file)->content_hash(), open(gguf_file, "(dequantize=dither,seed=1)")->content_hash());
  EXPECT_NE(open(gguf_file, "(dequantize=dither,seed=2)")->content_hash(),
            open(gguf_file, "(dequantize=dither,seed=1)")->content_hash());
}

TEST_F(OpenCheckpoint, FactsCountParametersByStorageType) {
  const Json facts = open(golden("gguf_llama/model.gguf"))->facts();
  EXPECT_EQ(facts["container"], "gguf v3");
  EXPECT_THAT(facts["weight_grid"].get<std::string>(),
              AllOf(HasSubstr("Q4_1, groups of 32 ("), HasSubstr("F16, no grid (")));
  int64_t sum = 0;
  double share = 0;
  for (const Json& part : facts["storage"]) {
    sum += part["parameters"].get<int64_t>();
    share += part["share"].get<double>();
  }
  EXPECT_EQ(facts["parameters"], sum);
  EXPECT_NEAR(share, 1.0, 1e-12);
  EXPECT_EQ(open(golden("packaging_bf16"))->facts()["weight_grid"], "BF16, no grid");
  EXPECT_EQ(open(golden("packaging_sharded3"))->facts()["container"], "safetensors, 3 shards");
}

TEST_F(OpenCheckpoint, DitherIsForGgufFilesOnly) {
  EXPECT_THAT(message_of<ConfigError>([&] { (void)open(golden("llama_mha"), "(dequantize=dither)"); }),
              HasSubstr("no quantization cells"));
}

}  // namespace
}  // namespace qbench::models
