#include "harness/models/export.h"

#include <gmock/gmock.h>

#include "harness/core/errors.h"
#include "harness/models/arch/family.h"
#include "tests/support/fixtures.h"
#include "tests/unit/models/gguf_builder.h"
#include "tests/unit/models/scratch_folder.h"

namespace qbench::models {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;

namespace fs = std::filesystem;

class Export : public ScratchFolder {
 protected:
  std::unique_ptr<Checkpoint> open(const fs::path& path) const {
    return Checkpoint::open(resolve_model(path.string()));
  }
  std::unique_ptr<Checkpoint> golden(const std::string& name) const {
    return open(testing_support::source_dir() / "tests/golden/models" / name);
  }
  static std::vector<float> weights(const Checkpoint& checkpoint, const TensorInfo& tensor) {
    std::vector<float> values(static_cast<size_t>(tensor.numel()));
    checkpoint.read(tensor.name, values);
    return values;
  }
  static std::function<std::vector<float>(const TensorInfo&)> unchanged(const Checkpoint& checkpoint) {
    return [&](const TensorInfo& tensor) { return weights(checkpoint, tensor); };
  }
  void expect_same_model(const Checkpoint& a, const Checkpoint& b) const {
    EXPECT_EQ(architecture_json(a.architecture()), architecture_json(b.architecture()));
    ASSERT_EQ(a.tensors().size(), b.tensors().size());
    for (const TensorInfo& tensor : a.tensors())
      EXPECT_EQ(weights(a, tensor), weights(b, tensor)) << tensor.name;
  }
};

TEST_F(Export, EveryGoldenCaseComesBackAsTheSameModel) {
  for (const char* name :
       {"llama_bias", "llama_gqa_llama3rope", "llama_mha", "llama_rope_dynamic", "llama_rope_linear",
        "llama_rope_yarn", "llama_tied_bigeps", "packaging_bf16", "packaging_sharded3",
        "gguf_llama/model.gguf", "gguf_rope/model.gguf", "gguf_qwen2/model.gguf"}) {
    SCOPED_TRACE(name);
    const auto original = golden(name);
    const fs::path out = dir_ / ("out" + std::to_string(std::hash<std::string>()(name)));
    const ExportReport report = export_hugging_face(*original, out, unchanged(*original));
    EXPECT_THAT(report.files, Contains("config.json"));
    expect_same_model(*original, *open(out));
  }
}

TEST_F(Export, LargeModelsAreSharded) {
  const auto original = golden("llama_mha");
  ExportOptions options;
  options.max_shard_bytes = 9000;
  const ExportReport report = export_hugging_face(*original, dir_ / "out", unchanged(*original), options);
  EXPECT_THAT(report.files, Contains("model.safetensors.index.json"));
  EXPECT_GT(report.files.size(), 4U);
  expect_same_model(*original, *open(dir_ / "out"));
  const Json index = Json::parse(read_text_file(dir_ / "out/model.safetensors.index.json"));
  EXPECT_EQ(index["metadata"]["total_size"], report.weight_bytes);
}

TEST_F(Export, TheConfigKeepsOtherKeysAndSpeaksBothSpellings) {
  const OrderedJson config = export_config(*golden("llama_rope_yarn"));
  EXPECT_EQ(config["initializer_range"], 0.02);
  EXPECT_EQ(config["rope_parameters"]["rope_type"], "yarn");
  EXPECT_EQ(config["rope_scaling"]["rope_type"], "yarn");
  EXPECT_EQ(config["rope_theta"], 10000.0);
  EXPECT_EQ(config["dtype"], "float32");
  EXPECT_EQ(config["torch_dtype"], "float32");
}

TEST_F(Export, ExtraFilesAndTokenizersComeAlong) {
  const auto original = golden("llama_mha");
  fs::copy(original->source().path, dir_ / "with");
  write("with/tokenizer.json", "{}");
  const auto with = open(dir_ / "with");
  ExportOptions options;
  options.files = {{"qbench.json", "{\"recipe\": \"rtn\"}"}};
  const ExportReport report = export_hugging_face(*with, dir_ / "out/", unchanged(*with), options);
  EXPECT_THAT(report.files,
              ::testing::ElementsAre("config.json", "model.safetensors", "qbench.json", "tokenizer.json"));
  EXPECT_THAT(report.tokenizer, HasSubstr("copied"));
  EXPECT_THAT(export_hugging_face(*original, dir_ / "bare", unchanged(*original)).tokenizer,
              HasSubstr("no tokenizer written"));
}

TEST_F(Export, AFailureLeavesNothingBehind) {
  const auto original = golden("llama_mha");
  EXPECT_THROW(export_hugging_face(*original, dir_ / "out",
                                   [](const TensorInfo&) -> std::vector<float> { throw NumericError("x"); }),
               NumericError);
  EXPECT_TRUE(fs::is_empty(dir_));
}

TEST_F(Export, AFolderInUseIsNotOverwritten) {
  const auto original = golden("llama_mha");
  write("out/precious", "");
  EXPECT_THAT(message_of<DataError>(
                  [&] { (void)export_hugging_face(*original, dir_ / "out", unchanged(*original)); }),
              HasSubstr("exists already"));
  fs::create_directories(dir_ / "empty");
  EXPECT_EQ(export_hugging_face(*original, dir_ / "empty", unchanged(*original)).files.size(), 2U);
}

TEST_F(Export, ByteLevelTokenizersOfGgufFilesBecomeTokenizerJson) {
  GgufBuilder builder = tiny_llama_gguf();
  builder.string("tokenizer.ggml.model", "gpt2").string("tokenizer.ggml.pre", "llama-bpe");
  builder.strings("tokenizer.ggml.tokens", {"<s>", "a", "b", "ab", "</s>"})
      .array("tokenizer.ggml.token_type", 5, std::vector<int32_t>{3, 1, 1, 1, 3});
  builder.strings("tokenizer.ggml.merges", {"a b"})
      .u32("tokenizer.ggml.bos_token_id", 0)
      .u32("tokenizer.ggml.eos_token_id", 4);
  const auto checkpoint = open(write("x.gguf", builder.build()));
  const ExportReport report = export_hugging_face(*checkpoint, dir_ / "out", unchanged(*checkpoint));
  EXPECT_THAT(report.tokenizer, HasSubstr("tokenizer.json written"));
  const Json tokenizer = Json::parse(read_text_file(dir_ / "out/tokenizer.json"));
  EXPECT_EQ(tokenizer["model"]["vocab"]["ab"], 3);
  EXPECT_EQ(tokenizer["model"]["merges"], Json::parse(R"([["a", "b"]])"));
  EXPECT_TRUE(tokenizer["model"]["ignore_merges"].get<bool>());
  EXPECT_EQ(tokenizer["added_tokens"].size(), 2U);
  EXPECT_EQ(tokenizer["post_processor"]["single"][0]["SpecialToken"]["id"], "<s>");
  EXPECT_EQ(Json::parse(read_text_file(dir_ / "out/tokenizer_config.json"))["eos_token"], "</s>");
}

TEST_F(Export, AnUnknownTokenizerKindIsSaid) {
  const auto checkpoint =
      open(write("x.gguf", tiny_llama_gguf().string("tokenizer.ggml.model", "rwkv").build()));
  EXPECT_THAT(export_hugging_face(*checkpoint, dir_ / "out", unchanged(*checkpoint)).tokenizer,
              HasSubstr("\"rwkv\" is unknown"));
}

}  // namespace
}  // namespace qbench::models
