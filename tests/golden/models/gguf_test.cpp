// Dequantization and layout of GGUF files against gguf-py, bit for bit.
#include <gmock/gmock.h>

#include <cstring>

#include "harness/core/errors.h"
#include "harness/models/checkpoint.h"
#include "harness/models/gguf_blocks.h"
#include "harness/models/safetensors.h"
#include "tests/support/fixtures.h"

namespace qbench::models {
namespace {

namespace fs = std::filesystem;

bool same_bits(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

TEST(GoldenGguf, BlocksOfEveryTypeDequantizeToTheSameBits) {
  size_t types = 0;
  for (const fs::path& root : testing_support::golden_roots("models")) {
    if (!fs::exists(root / "gguf_blocks.safetensors")) continue;
    const SafetensorsFile file(root / "gguf_blocks.safetensors");
    for (uint32_t id = 0; id < 64; ++id) {
      const GgufType* type = gguf_type(id);
      if (type == nullptr || !type->readable) continue;
      const SafetensorsEntry* blocks = file.find(std::string(type->name) + ".blocks");
      ASSERT_NE(blocks, nullptr) << type->name;
      const std::vector<float> expected = file.floats(std::string(type->name) + ".weights");
      std::vector<float> weights(expected.size());
      dequantize(*type, file.bytes(*blocks), weights);
      EXPECT_TRUE(same_bits(weights, expected)) << type->name;
      ++types;
    }
  }
  EXPECT_GE(types, 14U);
}

TEST(GoldenGguf, ModelsReadUnderHuggingFaceNamesAndLayouts) {
  size_t models = 0;
  for (const fs::path& root : testing_support::golden_roots("models")) {
    for (const auto& entry : fs::directory_iterator(root)) {
      const fs::path gguf = entry.path() / "model.gguf";
      if (!fs::exists(gguf)) continue;
      SCOPED_TRACE(gguf);
      const auto checkpoint = Checkpoint::open(resolve_model(gguf.string()));
      const SafetensorsFile expected(entry.path() / "expected.safetensors");
      EXPECT_EQ(checkpoint->tensors().size(), expected.entries().size());
      for (const TensorInfo& tensor : checkpoint->tensors()) {
        std::vector<float> weights(static_cast<size_t>(tensor.numel()));
        checkpoint->read(tensor.name, weights);
        EXPECT_EQ(tensor.shape, expected.find(tensor.name)->shape) << tensor.name;
        EXPECT_TRUE(same_bits(weights, expected.floats(tensor.name))) << tensor.name;
      }
      ++models;
    }
  }
  EXPECT_GE(models, 3U);
}

TEST(GoldenGguf, RopeFreqsOfLlama3AreRecognised) {
  const fs::path gguf = testing_support::source_dir() / "tests/golden/models/gguf_rope/model.gguf";
  const auto checkpoint = Checkpoint::open(resolve_model(gguf.string()));
  const Architecture& a = checkpoint->architecture();
  EXPECT_EQ(a.rope.kind, RopeKind::kLlama3);
  EXPECT_EQ(a.rope.factor, 8.0);
  EXPECT_TRUE(a.rope.divisors.empty());
  EXPECT_TRUE(a.tied_embeddings);
  EXPECT_EQ(a.head_dim, 32);
}

TEST(GoldenGguf, Qwen2HasBiasesOnQueriesKeysAndValues) {
  const fs::path gguf = testing_support::source_dir() / "tests/golden/models/gguf_qwen2/model.gguf";
  const auto checkpoint = Checkpoint::open(resolve_model(gguf.string()));
  const Architecture& a = checkpoint->architecture();
  EXPECT_EQ(a.family, "qwen2");
  EXPECT_TRUE(a.q_bias && a.k_bias && a.v_bias);
  EXPECT_FALSE(a.o_bias);
}

}  // namespace
}  // namespace qbench::models
