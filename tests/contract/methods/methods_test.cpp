// What every registered method must do, whatever it is.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "harness/models/safetensors.h"
#include "methods/core/registry.h"
#include "methods/core/runner.h"
#include "tests/support/fixtures.h"

namespace qbench::methods {
namespace {

std::unique_ptr<engine::Model> tiny_model() {
  const auto folder = testing_support::source_dir() / "tests/golden/methods_transform/models/tiny_llama";
  return engine::Model::load(models::Checkpoint::open(models::resolve_model(folder.string())));
}

std::vector<std::vector<int32_t>> tiny_samples() {
  std::vector<std::vector<int32_t>> samples;
  for (int32_t i = 0; i < 6; ++i) {
    std::vector<int32_t> sample;
    for (int32_t t = 0; t < 40; ++t) sample.push_back((i * 37 + t * t * 11 + t) % 128);
    samples.push_back(sample);
  }
  return samples;
}

class EveryMethod : public ::testing::TestWithParam<std::string> {};

TEST_P(EveryMethod, IsTheSameInTheTorchFreeCatalogue) {
  EXPECT_EQ(find_method(method_catalogue(), GetParam()).json(), find_spec(GetParam()).info.json());
}

TEST_P(EveryMethod, DescribesItself) {
  const MethodInfo& info = find_spec(GetParam()).info;
  EXPECT_FALSE(info.summary.empty());
  EXPECT_GE(info.numerics_version, 1);
  for (const FieldSpec& field : info.fields) {
    EXPECT_FALSE(field.help.empty()) << field.key;
    EXPECT_NO_THROW(check_field(field, info.name, field.default_value)) << field.key;
  }
}

TEST_P(EveryMethod, HasARecipeThatRoundTrips) {
  const Recipe recipe = parse_recipe(GetParam(), method_catalogue());
  EXPECT_EQ(parse_recipe(recipe.canonical(), method_catalogue()), recipe);
  EXPECT_EQ(parse_recipe(recipe.canonical(), method_catalogue()).identity(), recipe.identity());
}

TEST_P(EveryMethod, GivesTheSameModelTwiceAndChangesIt) {
  const std::unique_ptr<engine::Model> model = tiny_model();
  const std::string before = artifact_hash(*model, Lanes(1));
  const Recipe recipe = parse_recipe(GetParam(), method_catalogue());
  const auto samples = tiny_samples();
  const FpStatistics statistics = gather_fp_statistics(*model, samples, Lanes(1));
  std::string first;
  for (int lanes = 1; lanes <= 2; ++lanes) {
    model->restore();
    std::vector<std::string> phases;
    const QuantizeResult result =
        quantize_model(*model, recipe, parse_scheme("w4a16g32"), samples, &statistics, 7, Lanes(lanes),
                       [&](const std::string& phase, int, int) { phases.push_back(phase); });
    EXPECT_FALSE(phases.empty());
    EXPECT_NE(result.artifact_hash, before);
    EXPECT_EQ(result.artifact_hash, artifact_hash(*model, Lanes(1)));
    if (lanes == 1) first = result.artifact_hash;
    EXPECT_EQ(result.artifact_hash, first);
    EXPECT_GT(result.effective_bits, result.nominal_bits);
    EXPECT_LT(result.effective_bits, 6);
    for (const LayerReport& layer : result.layers) EXPECT_LT(layer.weight_error, 0.5) << layer.name;
    EXPECT_EQ(model->blocks.size(), 2U);
  }
}

TEST_P(EveryMethod, DeclaresWhatItNeeds) {
  const std::unique_ptr<engine::Model> model = tiny_model();
  const Recipe recipe = parse_recipe(GetParam(), method_catalogue());
  if (!depends_on_calibration(recipe)) {
    EXPECT_NO_THROW(quantize_model(*model, recipe, parse_scheme("w4a16"), {}, nullptr, 0, Lanes(1)));
  } else {
    EXPECT_THROW(quantize_model(*model, recipe, parse_scheme("w4a16"), {}, nullptr, 0, Lanes(1)),
                 std::exception);
  }
}

std::vector<std::string> names() {
  std::vector<std::string> all;
  for (const MethodInfo& info : registered_methods()) all.push_back(info.name);
  return all;
}

INSTANTIATE_TEST_SUITE_P(Methods, EveryMethod, ::testing::ValuesIn(names()),
                         [](const auto& method) { return method.param; });

}  // namespace
}  // namespace qbench::methods
