// Every case of the Llama family opens with both spellings of config.json, and the architecture says what the
// config says.
#include <gmock/gmock.h>
#include <unistd.h>

#include <fstream>

#include "harness/core/errors.h"
#include "harness/core/files.h"
#include "harness/models/arch/family.h"
#include "harness/models/checkpoint.h"
#include "tests/support/fixtures.h"

namespace qbench::models {
namespace {

namespace fs = std::filesystem;

std::vector<fs::path> cases() {
  std::vector<fs::path> out;
  for (const fs::path& root : testing_support::golden_roots("models")) {
    for (const auto& entry : fs::directory_iterator(root)) {
      const std::string name = entry.path().filename().string();
      if (fs::exists(entry.path() / "config_v4.json") &&
          (name.starts_with("llama") || name.starts_with("packaging") || name == "qwen2")) {
        out.push_back(entry.path());
      }
    }
  }
  return out;
}

/// The case's folder with config_v4.json in the place of config.json, made of links.
class OlderSpelling {
 public:
  explicit OlderSpelling(const fs::path& from)
      : folder_(fs::temp_directory_path() /
                ("qbench-v4-" + std::to_string(::getpid()) + from.filename().string())) {
    fs::create_directories(folder_);
    for (const auto& entry : fs::directory_iterator(from)) {
      const std::string name = entry.path().filename().string();
      if (name == "config.json") continue;
      fs::create_symlink(entry.path(), folder_ / (name == "config_v4.json" ? "config.json" : name));
    }
  }
  ~OlderSpelling() { fs::remove_all(folder_); }
  const fs::path& folder() const { return folder_; }

 private:
  fs::path folder_;
};

std::unique_ptr<Checkpoint> open(const fs::path& folder) {
  return Checkpoint::open(resolve_model(folder.string()));
}

TEST(GoldenArchitecture, BothSpellingsOfTheConfigGiveTheSameArchitecture) {
  ASSERT_FALSE(cases().empty());
  for (const fs::path& folder : cases()) {
    SCOPED_TRACE(folder);
    const OlderSpelling older(folder);
    EXPECT_EQ(architecture_json(open(folder)->architecture()),
              architecture_json(open(older.folder())->architecture()));
  }
}

TEST(GoldenArchitecture, ValuesAreThoseOfTheConfig) {
  for (const fs::path& folder : cases()) {
    SCOPED_TRACE(folder);
    const Json config = Json::parse(read_text_file(folder / "config.json"));
    const auto checkpoint = open(folder);
    const Architecture& a = checkpoint->architecture();
    EXPECT_EQ(a.vocab_size, config["vocab_size"]);
    EXPECT_EQ(a.hidden_size, config["hidden_size"]);
    EXPECT_EQ(a.layers, config["num_hidden_layers"]);
    EXPECT_EQ(a.heads, config["num_attention_heads"]);
    EXPECT_EQ(a.kv_heads, config.value("num_key_value_heads", a.heads));
    EXPECT_EQ(a.head_dim, config.value("head_dim", a.hidden_size / a.heads));
    EXPECT_EQ(a.intermediate_size, config["intermediate_size"]);
    EXPECT_EQ(a.max_position, config["max_position_embeddings"]);
    EXPECT_EQ(a.norm_eps, config["rms_norm_eps"]);
    EXPECT_EQ(a.tied_embeddings, config.value("tie_word_embeddings", false));
    const bool bias = config.value("attention_bias", false);
    EXPECT_EQ(a.q_bias, bias || a.family == "qwen2");
    EXPECT_EQ(a.o_bias, bias);
    EXPECT_EQ(a.mlp_bias, config.value("mlp_bias", false));
    const Json rope = config.value("rope_parameters", Json::object());
    EXPECT_EQ(rope_kind_name(a.rope.kind), rope.value("rope_type", "default"));
    EXPECT_EQ(a.rope.theta, rope.value("rope_theta", 10000.0));
    EXPECT_EQ(a.rope.factor, rope.value("factor", 1.0));
    EXPECT_EQ(a.tied_embeddings, checkpoint->find("lm_head.weight") == nullptr);
  }
}

TEST(GoldenArchitecture, EveryTensorReadsAndTheBytesReadAreFinite) {
  for (const fs::path& folder : cases()) {
    SCOPED_TRACE(folder);
    const auto checkpoint = open(folder);
    for (const TensorInfo& tensor : checkpoint->tensors()) {
      std::vector<float> values(static_cast<size_t>(tensor.numel()));
      checkpoint->read(tensor.name, values);
      EXPECT_TRUE(std::ranges::all_of(values, [](float v) { return std::isfinite(v); })) << tensor.name;
    }
  }
}

TEST(GoldenArchitecture, ShardsAreOneModel) {
  for (const fs::path& folder : cases()) {
    if (!fs::exists(folder / "model.safetensors.index.json")) continue;
    const Json facts = open(folder)->facts();
    EXPECT_THAT(facts["container"].get<std::string>(), ::testing::HasSubstr("shards")) << folder;
  }
}

}  // namespace
}  // namespace qbench::models
