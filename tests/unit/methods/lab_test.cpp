#include "methods/core/lab.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <unistd.h>

#include "harness/core/errors.h"
#include "harness/core/files.h"
#include "harness/models/safetensors.h"
#include "methods/core/registry.h"
#include "methods/core/sample_packs.h"

namespace qbench::methods {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

class Lab : public ::testing::Test {
 protected:
  void SetUp() override {
    at::manual_seed(3);
    w_ = at::randn({6, 32});
    x_ = at::randn({2, 40, 32}) * (1 + at::arange(32) % 5);
    code_ = at::randint(-9, 9, {40, 32}, at::kChar);
    exponent_ = at::full({32}, -3, at::kInt);
    const auto tensor = [](const char* name, const char* dtype, const at::Tensor& t) {
      return models::SafetensorsTensor{
          name, dtype, t.sizes().vec(), {static_cast<const std::byte*>(t.const_data_ptr()), t.nbytes()}};
    };
    models::write_safetensors(path_, std::vector<models::SafetensorsTensor>{
                                         tensor("a.W", "F32", w_), tensor("a.X", "F32", x_),
                                         tensor("b.W", "F32", w_), tensor("b.X_code", "I8", code_),
                                         tensor("b.X_exp", "I32", exponent_), tensor("bare.W", "F32", w_)});
  }
  void TearDown() override { std::filesystem::remove(path_); }

  static LabResult run(const LabProblem& problem, const char* recipe, const char* scheme, int lanes = 1) {
    return run_lab(problem, parse_recipe(recipe, registered_methods()), parse_scheme(scheme), Lanes(lanes));
  }

  std::filesystem::path path_ =
      std::filesystem::temp_directory_path() / ("qbench-lab-" + std::to_string(::getpid()) + ".safetensors");
  at::Tensor w_, x_, code_, exponent_;
};

TEST_F(Lab, ReadsPlainAndCodedInputs) {
  EXPECT_THAT(lab_layers(path_), ElementsAre("a", "b", "bare"));
  const LabProblem a = read_lab_problem(path_, "a");
  EXPECT_EQ(a.sequences, 2);
  EXPECT_EQ(a.x.sizes().vec(), (std::vector<int64_t>{80, 32}));
  const LabProblem b = read_lab_problem(path_, "b");
  EXPECT_EQ(b.sequences, 1);
  EXPECT_TRUE(at::equal(b.x, code_.to(at::kFloat) / 8));
  EXPECT_FALSE(read_lab_problem(path_, "bare").x.defined());
}

TEST_F(Lab, SaysWhatIsMissing) {
  EXPECT_THAT([&] { read_lab_problem(path_, "bore"); },
              ThrowsMessage<DataError>(HasSubstr("Did you mean \"bare\"?")));
  const LabProblem bare = read_lab_problem(path_, "bare");
  EXPECT_THAT([&] { run(bare, "gptq", "w4a16"); },
              ThrowsMessage<ConfigError>(AllOf(HasSubstr("needs inputs"), HasSubstr("bare.X"))));
  EXPECT_THAT([&] { run(bare, "fp", "fp"); }, ThrowsMessage<ConfigError>(HasSubstr("does nothing")));
  EXPECT_THAT([&] { run(bare, "rtn", "w16a8"); },
              ThrowsMessage<ConfigError>(HasSubstr("leaves weights untouched")));
}

TEST_F(Lab, TensorsReproduceTheWeight) {
  const LabProblem a = read_lab_problem(path_, "a");
  for (const char* recipe : {"rtn", "gptq", "gptq(act_order=false)",
                             "gptq(group_aware=true,static_groups=false)", "gptq(static_groups=false)"}) {
    for (const char* scheme : {"w4a16", "w3a16g8-asym", "w4a16-tensor", "w2a16g16"}) {
      SCOPED_TRACE(std::string(recipe) + " " + scheme);
      const LabResult result = run(a, recipe, scheme);
      const at::Tensor index = result.find("g_idx")->to(at::kLong);
      const at::Tensor rebuilt =
          result.find("scale")->index_select(1, index) *
          (result.find("codes")->to(at::kFloat) - result.find("zero")->index_select(1, index));
      EXPECT_TRUE(at::equal(rebuilt, *result.find("w_hat")));
      EXPECT_GT(result.summary.at("weight_fro").get<double>(), 0);
      EXPECT_GT(result.summary.at("bits").at("effective").get<double>(), 2);
    }
  }
}

TEST_F(Lab, ScaledRecipesComeBackToTheGivenBasis) {
  const LabProblem a = read_lab_problem(path_, "a");
  const LabResult awq = run(a, "awq", "w4a16g8");
  ASSERT_NE(awq.find("channel_scale"), nullptr);
  EXPECT_LT(awq.summary.at("weight_error").get<double>(), 0.2);
  EXPECT_LE(awq.summary.at("out_err").get<double>(),
            run(a, "rtn(grid=awq)", "w4a16g8").summary.at("out_err").get<double>());
}

TEST_F(Lab, WritesTensorsAndSummary) {
  const auto out = path_.string() + ".out";
  write_lab_result(run(read_lab_problem(path_, "a"), "gptq", "w4a16g8"), out);
  const models::SafetensorsFile file(out);
  EXPECT_NE(file.find("w_hat"), nullptr);
  EXPECT_EQ(file.find("codes")->dtype, "U8");
  EXPECT_THAT(file.metadata().front().second, HasSubstr("\"recipe\":\"gptq\""));
  std::filesystem::remove(out);
}

TEST(SamplePacks, KeepSamplesWholeAndInOrder) {
  const std::vector<std::vector<int32_t>> samples = {{1, 2, 3}, {4}, {5, 6}, {7, 8, 9, 10, 11}};
  const std::vector<SamplePack> packs = pack_samples(samples, 4);
  ASSERT_EQ(packs.size(), 3U);
  EXPECT_EQ(packs[0].ids, (std::vector<int32_t>{1, 2, 3, 4}));
  EXPECT_EQ(packs[0].lengths, (engine::SequenceLengths{3, 1}));
  EXPECT_EQ(packs[2].lengths, (engine::SequenceLengths{5}));
  EXPECT_THROW(pack_samples({}, 4), DataError);
  const std::vector<std::vector<int32_t>> hole = {{1}, {}};
  EXPECT_THAT([&] { pack_samples(hole, 4); }, ThrowsMessage<DataError>(HasSubstr("sample 1 is empty")));
}

TEST(SamplePacks, SpacedSamplesReachTheWantedTokens) {
  const std::vector<std::vector<int32_t>> samples = {{1, 1}, {2, 2}, {3, 3}, {4, 4}};
  EXPECT_EQ(spaced_samples(samples, 0).size(), 4U);
  EXPECT_EQ(spaced_samples(samples, 100).size(), 4U);
  EXPECT_THAT(spaced_samples(samples, 3), ElementsAre(samples[0], samples[2]));
}

}  // namespace
}  // namespace qbench::methods
