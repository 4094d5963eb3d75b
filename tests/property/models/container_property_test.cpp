// Laws of the containers over many seeded shapes.
#include <gmock/gmock.h>

#include <cmath>
#include <random>

#include "harness/core/errors.h"
#include "harness/models/checkpoint.h"
#include "harness/models/gguf.h"
#include "harness/models/gguf_blocks.h"
#include "harness/models/safetensors.h"
#include "tests/support/fixtures.h"
#include "tests/unit/models/gguf_builder.h"
#include "tests/unit/models/scratch_folder.h"

namespace qbench::models {
namespace {

using Random = std::mt19937_64;

int64_t pick(Random& random, int64_t lo, int64_t hi) {
  return std::uniform_int_distribution<int64_t>(lo, hi)(random);
}

std::string random_bytes(Random& random, size_t count) {
  std::string bytes(count, '\0');
  for (char& byte : bytes) byte = static_cast<char>(random());
  return bytes;
}

class ContainerLaws : public ScratchFolder {};

TEST_F(ContainerLaws, WhatSafetensorsWritesItReadsBack) {
  const std::vector<std::pair<std::string, size_t>> dtypes = {{"F32", 4}, {"F16", 2}, {"BF16", 2}, {"F64", 8},
                                                              {"I64", 8}, {"U8", 1},  {"BOOL", 1}};
  for (uint64_t seed = 0; seed < 60; ++seed) {
    SCOPED_TRACE(seed);
    Random random(seed);
    std::vector<std::string> data;
    std::vector<SafetensorsTensor> tensors;
    data.reserve(12);
    for (int64_t i = pick(random, 0, 12); i > 0; --i) {
      const auto& [dtype, size] = dtypes[static_cast<size_t>(pick(random, 0, 6))];
      std::vector<int64_t> shape;
      size_t count = 1;
      for (int64_t d = pick(random, 0, 3); d > 0; --d)
        count *= static_cast<size_t>(shape.emplace_back(pick(random, 0, 5)));
      data.push_back(random_bytes(random, count * size));
      tensors.push_back({"t\"\\\n" + std::to_string(i), dtype, shape, std::as_bytes(std::span(data.back()))});
    }
    write_safetensors(dir_ / "x", tensors, {{"seed", std::to_string(seed)}});
    const SafetensorsFile file(dir_ / "x");
    ASSERT_EQ(file.entries().size(), tensors.size());
    for (const SafetensorsTensor& tensor : tensors) {
      const SafetensorsEntry* entry = file.find(tensor.name);
      ASSERT_NE(entry, nullptr);
      EXPECT_EQ(entry->shape, tensor.shape);
      EXPECT_EQ(entry->dtype, tensor.dtype);
      EXPECT_TRUE(std::ranges::equal(file.bytes(*entry), tensor.data));
    }
  }
}

TEST_F(ContainerLaws, GgufMetadataReadsBack) {
  for (uint64_t seed = 0; seed < 60; ++seed) {
    SCOPED_TRACE(seed);
    Random random(seed);
    std::vector<std::string> texts(static_cast<size_t>(pick(random, 0, 20)));
    for (std::string& text : texts) text = random_bytes(random, static_cast<size_t>(pick(random, 0, 9)));
    std::vector<int32_t> integers(static_cast<size_t>(pick(random, 0, 20)));
    for (int32_t& value : integers) value = static_cast<int32_t>(random());
    std::vector<float> floats(static_cast<size_t>(pick(random, 0, 20)));
    for (float& value : floats) value = static_cast<float>(pick(random, -1000, 1000)) / 8;
    GgufBuilder builder(seed % 2 == 0 ? 2 : 3);
    builder.strings("s", texts).array("i", 5, integers).array("f", 6, floats);
    const GgufFile file(write("x.gguf", builder.build()));
    EXPECT_EQ(file.strings("s"), texts);
    EXPECT_EQ(file.integers("i"), std::vector<int64_t>(integers.begin(), integers.end()));
    EXPECT_EQ(file.floats("f"), floats);
  }
}

// Within a group of a uniform grid, any two weights differ by a whole number of steps.
TEST(BlockLaws, WeightsLieOnTheGridThatTheCellsDescribe) {
  const SafetensorsFile file(testing_support::source_dir() / "tests/golden/models/gguf_blocks.safetensors");
  for (uint32_t id = 0; id < 64; ++id) {
    const GgufType* type = gguf_type(id);
    if (type == nullptr || !type->readable || type->group == 0 || type->name == "IQ4_NL") continue;
    SCOPED_TRACE(type->name);
    const auto bytes = file.bytes(*file.find(std::string(type->name) + ".blocks"));
    const size_t count = bytes.size() / type->block_bytes * static_cast<size_t>(type->block_weights);
    std::vector<float> weights(count), below(count), above(count);
    dequantize(*type, bytes, weights);
    quantization_cells(*type, bytes, below, above);
    for (size_t i = 0; i < count; ++i) {
      const size_t first = i / static_cast<size_t>(type->group) * static_cast<size_t>(type->group);
      ASSERT_EQ(below[i], above[i]);
      ASSERT_EQ(below[i], below[first]);
      const double step = 2.0 * below[i], distance = static_cast<double>(weights[i]) - weights[first];
      if (step == 0.0) {
        ASSERT_EQ(distance, 0.0);
      } else if (std::abs(weights[first]) < 1e4 * step) {  // beyond that float32 cannot show the step
        ASSERT_NEAR(distance / step, std::round(distance / step), 2e-3) << i;
      }
    }
  }
}

class Dither : public ::testing::Test {
 protected:
  static std::unique_ptr<Checkpoint> open(const std::string& arguments) {
    return Checkpoint::open(resolve_model(
        (testing_support::source_dir() / "tests/golden/models/gguf_llama/model.gguf").string() + arguments));
  }
  static std::vector<float> read(const Checkpoint& checkpoint, const TensorInfo& tensor) {
    std::vector<float> out(static_cast<size_t>(tensor.numel()));
    checkpoint.read(tensor.name, out);
    return out;
  }
};

TEST_F(Dither, StaysInsideTheCellsAndFillsThem) {
  const auto exact = open("");
  const GgufFile file(exact->source().path);
  for (const int seed : {0, 1, 7}) {
    const auto noisy = open("(dequantize=dither,seed=" + std::to_string(seed) + ")");
    for (const TensorInfo& tensor : exact->tensors()) {
      const auto a = read(*exact, tensor), b = read(*noisy, tensor);
      // down_proj is stored in its own row order, so its cells can be taken straight from the file.
      if (tensor.name.find("down_proj") == std::string::npos) continue;
      const GgufTensor& stored = *file.find_tensor("blk." + tensor.name.substr(13, 1) + ".ffn_down.weight");
      std::vector<float> below(a.size()), above(a.size());
      quantization_cells(*gguf_type(stored.type), file.bytes(stored), below, above);
      double mean = 0, square = 0;
      for (size_t i = 0; i < a.size(); ++i) {
        const double u = (static_cast<double>(b[i]) - a[i]) / below[i];
        ASSERT_LE(std::abs(u), 1.001) << tensor.name << " " << i;
        mean += u / static_cast<double>(a.size());
        square += u * u / static_cast<double>(a.size());
      }
      // Uniform on (-1, 1) over 6144 weights: mean 0 +- 0.0074, second moment 1/3 +- 0.0038; bounds at 5
      // sigma.
      EXPECT_NEAR(mean, 0.0, 0.037) << tensor.name;
      EXPECT_NEAR(square, 1.0 / 3.0, 0.019) << tensor.name;
    }
  }
}

TEST_F(Dither, DependsOnSeedAndTensorButNotOnTheOrderOfReading) {
  const auto one = open("(dequantize=dither,seed=1)"), again = open("(dequantize=dither,seed=1)"),
             two = open("(dequantize=dither,seed=2)");
  const auto& tensors = one->tensors();
  for (size_t i = 0; i < tensors.size(); ++i) {
    const TensorInfo& other = tensors[tensors.size() - 1 - i];
    (void)read(*again, other);  // another order than the first reader's
    EXPECT_EQ(read(*one, tensors[i]), read(*again, tensors[i])) << tensors[i].name;
    const bool plain = tensors[i].dtype == "F32" || tensors[i].dtype == "F16" || tensors[i].dtype == "BF16";
    EXPECT_EQ(read(*one, tensors[i]) == read(*two, tensors[i]), plain) << tensors[i].name;
  }
}

TEST_F(Dither, IsLabelled) {
  EXPECT_EQ(open("(dequantize=dither,seed=3)")->facts()["dequantize"], "dither(seed=3)");
  EXPECT_THAT(open("(dequantize=dither,seed=3)")->facts()["weight_grid"].get<std::string>(),
              ::testing::StartsWith("dithered inside the cells of"));
}

}  // namespace
}  // namespace qbench::models
