// Whole recipes on a tiny model: what they leave unchanged, what they need, and that nothing depends on the
// number of lanes.
#include "methods/core/runner.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <unistd.h>

#include "harness/core/errors.h"
#include "harness/core/files.h"
#include "harness/models/safetensors.h"
#include "methods/core/artifact.h"
#include "methods/core/registry.h"
#include "tests/support/fixtures.h"

namespace qbench::methods {
namespace {

using models::Role;
using models::Site;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

std::filesystem::path model_folder() {
  return testing_support::source_dir() / "tests/golden/methods_transform/models/tiny_llama";
}

class TinyRunner : public ::testing::Test {
 protected:
  void SetUp() override {
    model_ = engine::Model::load(models::Checkpoint::open(models::resolve_model(model_folder().string())));
    const std::vector<int64_t> ids =
        models::SafetensorsFile(model_folder() / "calib_and_logits.safetensors").integers("input_ids");
    for (size_t i = 0; i < ids.size(); i += 64)
      samples_.emplace_back(ids.begin() + static_cast<long>(i), ids.begin() + static_cast<long>(i) + 64);
    statistics_ = gather_fp_statistics(*model_, samples_, Lanes(2));
  }

  QuantizeResult run(const std::string& recipe, const std::string& scheme, int lanes = 2) {
    model_->restore();
    return quantize_model(*model_, parse_recipe(recipe, registered_methods()), parse_scheme(scheme), samples_,
                          &statistics_, 0, Lanes(lanes));
  }

  at::Tensor logits() {
    return engine::logits(*model_, engine::hidden_states(*model_, samples_.front(), {64}));
  }

  double output_difference(const at::Tensor& fp) {
    return ((logits() - fp).norm() / fp.norm()).item<double>();
  }

  std::unique_ptr<engine::Model> model_;
  std::vector<std::vector<int32_t>> samples_;
  FpStatistics statistics_;
};

TEST_F(TinyRunner, LanesDoNotMatter) {
  for (const char* recipe : {"rtn", "gptq", "gptq(true_sequential=false)", "awq",
                             "smoothquant|gptq(act_order=false)", "awq(family=autoawq)|gptq"}) {
    const QuantizeResult one = run(recipe, "w4a16g32", 1), two = run(recipe, "w4a16g32", 2),
                         three = run(recipe, "w4a16g32", 3);
    EXPECT_EQ(one.artifact_hash, two.artifact_hash) << recipe;
    EXPECT_EQ(one.artifact_hash, three.artifact_hash) << recipe;
    for (size_t i = 0; i < one.layers.size(); ++i)
      EXPECT_EQ(one.layers[i].json(), two.layers[i].json()) << recipe;
  }
}

TEST_F(TinyRunner, ReportsEveryLinearOnce) {
  const QuantizeResult result = run("gptq", "w4a16g32-asym");
  ASSERT_EQ(result.layers.size(), 14U);
  EXPECT_EQ(result.layers[0].name, "model.layers.0.self_attn.q_proj");
  EXPECT_EQ(result.layers[13].name, "model.layers.1.mlp.down_proj");
  for (const LayerReport& layer : result.layers) {
    EXPECT_TRUE(layer.changed);
    EXPECT_TRUE(layer.output_error.has_value());
    EXPECT_GT(layer.loss, 0);
    EXPECT_EQ(layer.sha256.size(), 64U);
    EXPECT_DOUBLE_EQ(layer.bits.effective(), 4 + (16 + 4) / 32.0);
  }
  EXPECT_DOUBLE_EQ(result.nominal_bits, 4);
  EXPECT_DOUBLE_EQ(result.effective_bits, 4.625);
}

TEST_F(TinyRunner, CompensationHelpsTheModel) {
  const at::Tensor fp = logits();
  run("rtn", "w3a16g32");
  const double rtn = output_difference(fp);
  run("gptq", "w3a16g32");
  EXPECT_LT(output_difference(fp), rtn);
  run("awq", "w3a16g32");
  EXPECT_LT(output_difference(fp), rtn);
}

TEST_F(TinyRunner, RtnNeedsNoSamples) {
  samples_.clear();
  EXPECT_NO_THROW(run("rtn", "w4a16"));
  EXPECT_THAT([&] { run("gptq", "w4a16"); }, ThrowsMessage<ConfigError>(HasSubstr("gptq needs")));
}

TEST_F(TinyRunner, RefusesIllegalCellsBeforeTouchingTheModel) {
  const std::string before = artifact_hash(*model_, Lanes(1));
  EXPECT_THAT([&] { run("rtn", "w4a16g48"); },
              ThrowsMessage<ConfigError>(HasSubstr("legal groups for this model")));
  EXPECT_THAT([&] { run("awq", "w16a8"); }, ThrowsMessage<ConfigError>(HasSubstr("16 bits")));
  statistics_.blocks.pop_back();
  EXPECT_THAT([&] { run("smoothquant", "w8a8"); },
              ThrowsMessage<ConfigError>(HasSubstr("statistics of this model's 2 blocks")));
  EXPECT_EQ(artifact_hash(*model_, Lanes(1)), before);
}

TEST_F(TinyRunner, TheSchemeSetsTheActivationQuantizers) {
  const at::Tensor fp = logits();
  run("rtn", "w16a8");
  EXPECT_GT(output_difference(fp), 0);
  EXPECT_EQ(model_->blocks[0].act(Site::kDownIn).bits, 8);
  EXPECT_TRUE(
      at::equal(model_->blocks[0].linear(Role::kQ).weight, model_->load_block(0).linear(Role::kQ).weight));
  run("rtn", "w8a16");
  EXPECT_FALSE(model_->blocks[0].act(Site::kDownIn).enabled());
}

TEST_F(TinyRunner, SmoothingAloneKeepsTheFunction) {
  const at::Tensor fp = logits();
  for (const char* alpha : {"0", "0.5", "0.85", "1"}) {
    run(std::string("smoothquant(alpha=") + alpha + ")|rtn", "w16a8");
    for (engine::Block& block : model_->blocks) {
      for (auto& quantizer : block.activation) quantizer.bits = 16;
    }
    EXPECT_LE((logits() - fp).abs().max().item<double>(), 1e-4) << alpha;
  }
}

TEST_F(TinyRunner, AlphaOneFlattensActivationsAndAlphaZeroWeights) {
  const Lanes lanes(1);
  run("smoothquant(alpha=1)|rtn", "w16a8");
  for (engine::Block& block : model_->blocks) {
    for (auto& quantizer : block.activation) quantizer.bits = 16;
  }
  const FpStatistics after = gather_fp_statistics(*model_, samples_, lanes);
  for (const BlockStatistics& block : after.blocks) {
    EXPECT_LE((block[static_cast<size_t>(Site::kQkvIn)].absmax - 1).abs().max().item<double>(), 1e-3);
  }
  run("smoothquant(alpha=0)|rtn", "w16a8");
  const engine::Block& block = model_->blocks[0];
  const at::Tensor columns =
      at::cat({block.linear(Role::kGate).weight, block.linear(Role::kUp).weight}, 0).abs().amax(0);
  EXPECT_LE((columns - 1).abs().max().item<double>(), 1e-5);
}

TEST_F(TinyRunner, SmoothingHelpsWherePlantedOutliersAre) {
  const at::Tensor fp = logits();
  run("rtn(grid=awq)", "w8a8");
  const double plain = output_difference(fp);
  run("smoothquant", "w8a8");
  EXPECT_LT(output_difference(fp), plain);
}

TEST_F(TinyRunner, TheAwqSearchIsNeverWorseThanNoScale) {
  run("awq(clip=false,search_tokens=0)", "w3a16g32-asym");
  for (const auto& report : run("awq(clip=false,search_tokens=0)", "w3a16g32-asym").layers) {
    for (const auto& [site, facts] : report.detail.at("awq").items()) {
      if (!facts.contains("losses")) continue;
      const auto losses = facts.at("losses").get<std::vector<double>>();
      EXPECT_LE(*std::min_element(losses.begin(), losses.end()), losses.front());
    }
    EXPECT_TRUE(report.detail.at("awq").at("o_in").contains("skipped"))
        << "grouped queries: v -> o cannot take a scale";
  }
}

TEST_F(TinyRunner, ClippingWithOneCandidateIsRounding) {
  const std::string clipped = run("awq(family=off,clip_steps=20,clip_shrink=0.05)", "w4a16g32").artifact_hash;
  EXPECT_EQ(run("rtn(grid=awq)", "w4a16g32").artifact_hash, clipped);
}

TEST_F(TinyRunner, RestoreBringsTheCheckpointBack) {
  const std::string before = artifact_hash(*model_, Lanes(1));
  EXPECT_NE(run("smoothquant", "w8a8").artifact_hash, before);
  model_->restore();
  EXPECT_EQ(artifact_hash(*model_, Lanes(1)), before);
}

TEST_F(TinyRunner, ArtifactsComeBackExactly) {
  const auto path =
      std::filesystem::temp_directory_path() / ("qbench-artifact-" + std::to_string(::getpid()));
  const std::string hash = run("smoothquant|gptq", "w4a8g32").artifact_hash;
  save_artifact(*model_, path, Lanes(2));
  model_->restore();
  load_artifact(*model_, path, Lanes(2));
  EXPECT_EQ(artifact_hash(*model_, Lanes(1)), hash);
  EXPECT_EQ(model_->blocks[1].act(Site::kQkvIn).bits, 8);

  const std::string whole = read_text_file(path);
  model_->restore();
  const std::string fp = artifact_hash(*model_, Lanes(1));
  for (const size_t size : {size_t{0}, size_t{5}, size_t{40}, whole.size() / 2, whole.size() - 1}) {
    write_file_atomically(path, whole.substr(0, size));
    EXPECT_THROW(load_artifact(*model_, path, Lanes(1)), DataError) << size;
  }
  for (size_t at = 0; at < whole.size(); at += whole.size() / 23 + 1) {
    std::string damaged = whole;
    damaged[at] = static_cast<char>(damaged[at] ^ 1);
    write_file_atomically(path, damaged);
    EXPECT_THROW(load_artifact(*model_, path, Lanes(1)), DataError) << at;
  }
  EXPECT_EQ(artifact_hash(*model_, Lanes(1)), fp) << "a damaged file never touches the model";
  std::filesystem::remove(path);
  EXPECT_THROW(save_artifact(*model_, "/nonexistent-folder/artifact", Lanes(1)), DataError);
}

TEST_F(TinyRunner, StatisticsAreExactAndComeBack) {
  const auto path = std::filesystem::temp_directory_path() /
                    ("qbench-statistics-" + std::to_string(::getpid()) + ".safetensors");
  statistics_.save(path, "model x set");
  const FpStatistics back = FpStatistics::load(path, "model x set");
  EXPECT_EQ(back.tokens, 512);
  ASSERT_EQ(back.blocks.size(), 2U);
  const FpStatistics one_lane = gather_fp_statistics(*model_, samples_, Lanes(1));
  for (size_t b = 0; b < 2; ++b) {
    for (size_t s = 0; s < 4; ++s) {
      EXPECT_TRUE(at::equal(back.blocks[b][s].absmax, statistics_.blocks[b][s].absmax));
      EXPECT_TRUE(at::equal(one_lane.blocks[b][s].mean_abs, statistics_.blocks[b][s].mean_abs));
    }
  }
  EXPECT_THAT([&] { FpStatistics::load(path, "other"); },
              ThrowsMessage<DataError>(HasSubstr("expected \"other\"")));
  const std::string whole = read_text_file(path);
  write_file_atomically(path, whole.substr(0, whole.size() - 10));
  EXPECT_THROW(FpStatistics::load(path), DataError);
  std::filesystem::remove(path);
}

TEST_F(TinyRunner, OverflowNamesTheLayer) {
  model_->restore();
  model_->blocks[1].linear(Role::kUp).weight.mul_(1e30);
  model_->blocks[1].linear(Role::kGate).weight.mul_(1e30);
  EXPECT_THAT(
      [&] {
        quantize_model(*model_, parse_recipe("gptq", registered_methods()), parse_scheme("w4a16"), samples_,
                       nullptr, 0, Lanes(1));
      },
      ThrowsMessage<NumericError>(HasSubstr("model.layers.1.mlp.")));
  model_ = nullptr;
}

}  // namespace
}  // namespace qbench::methods
