// Losses and log-likelihoods of whole programs on real text; reads data that cannot be shipped.
#include <cmath>

#include "harness/core/files.h"
#include "harness/engine/model_scorer.h"
#include "tests/golden/engine/support.h"

namespace qbench::engine::golden {
namespace {

namespace fs = std::filesystem;

Json read_json(const fs::path& path) { return Json::parse(read_text_file(path)); }

std::vector<ScoreRequest> window_requests(const models::SafetensorsFile& file) {
  const std::vector<int32_t> all = ids(file, "ids");
  const auto length = static_cast<size_t>(file.find("ids")->shape[1]);
  std::vector<ScoreRequest> requests;
  for (size_t at = 0; at < all.size(); at += length) {
    requests.push_back({{all.begin() + static_cast<std::ptrdiff_t>(at),
                         all.begin() + static_cast<std::ptrdiff_t>(at + length)},
                        1});
  }
  return requests;
}

void check_windows(Scorer& scorer, const fs::path& file, double token_tolerance, double mean_tolerance) {
  SCOPED_TRACE(file);
  const models::SafetensorsFile golden(file);
  const at::Tensor nll = floats(golden, "token_nll");
  Json windows = read_json(fs::path(file).replace_extension(".json")).at("windows");
  const std::vector<ScoreRequest> requests = window_requests(golden);
  const std::vector<ScoreResult> results = scorer.score(requests);
  for (size_t w = 0; w < results.size(); ++w) {
    const at::Tensor mine =
        -at::tensor(at::ArrayRef<float>(results[w].logprobs), at::TensorOptions(at::kFloat));
    EXPECT_LE(max_abs_diff(mine, nll[static_cast<int64_t>(w)]), token_tolerance) << "window " << w;
    const double mean = -results[w].total / static_cast<double>(results[w].logprobs.size());
    EXPECT_NEAR(mean, windows[w].at("mean_nll").get<double>(), mean_tolerance) << "window " << w;
  }
}

void check_task(Scorer& scorer, const fs::path& file) {
  SCOPED_TRACE(file);
  const Json task = read_json(file);
  std::vector<ScoreRequest> requests;
  std::vector<Json> expected;
  for (const Json& doc : task.at("docs")) {
    const auto context = doc.at("context_ids").get<std::vector<int32_t>>();
    for (const Json& request : doc.at("requests")) {
      const auto continuation = request.at("continuation_ids").get<std::vector<int32_t>>();
      if (context.empty()) continue;
      std::vector<int32_t> tokens = context;
      tokens.insert(tokens.end(), continuation.begin(), continuation.end());
      requests.push_back({std::move(tokens), std::ssize(context)});
      expected.push_back(request);
    }
  }
  const std::vector<ScoreResult> results = scorer.score(requests);
  for (size_t i = 0; i < results.size(); ++i) {
    const double ll = expected[i].at("ll").get<double>();
    // The stored numbers come from a float32 log-softmax over 49,152 words, whose sum is off by up to about
    // 1e-5 per token and always to the same side; the same model in float64 lies within 3e-5 of ours per
    // request.
    const auto tokens = static_cast<double>(results[i].logprobs.size());
    EXPECT_NEAR(results[i].total, ll, 3e-5 + 1.2e-5 * tokens + 1e-6 * std::abs(ll)) << "request " << i;
    EXPECT_EQ(results[i].greedy, expected[i].at("is_greedy").get<bool>()) << "request " << i;
  }
}

TEST(SharedEngine, ActivationsOfTheTinyModelsAreTheReferenceOnes) {
  QB_REQUIRE_SHARED();
  for (const char* name : {"tiny_llama", "tiny_llama_sp"}) {
    SCOPED_TRACE(name);
    const auto model = load_model(shared / "golden" / "eval" / name);
    const models::SafetensorsFile golden(shared / "golden" / "eval" / (std::string("ppl_") + name) /
                                         "activations.safetensors");
    const std::vector<int32_t> tokens = ids(golden, "ids");
    at::Tensor x = embed(*model, tokens);
    EXPECT_EQ(max_abs_diff(x, floats(golden, "embed_f32")), 0.0);
    for (size_t i = 0; i < model->blocks.size(); ++i) {
      x = run_block(*model, model->blocks[i], x, {std::ssize(tokens)});
      EXPECT_LE(max_abs_diff(x, floats(golden, "layer" + std::to_string(i) + "_out_f32")), 1e-4);
    }
    const at::Tensor hidden = hidden_states(*model, tokens, {std::ssize(tokens)});
    EXPECT_LE(max_abs_diff(hidden, floats(golden, "final_norm_out_f32")), 5e-5);
    EXPECT_LE(max_abs_diff(logits(*model, hidden), floats(golden, "logits_f32")), 5e-5);
  }
}

TEST(SharedEngine, WindowLossesOfTheTinyModelsAreTheReferenceOnes) {
  QB_REQUIRE_SHARED();
  for (const char* name : {"tiny_llama", "tiny_llama_sp"}) {
    const auto model = load_model(shared / "golden" / "eval" / name);
    const auto scorer = make_scorer(*model, Lanes(2));
    for (const auto& entry :
         fs::directory_iterator(shared / "golden" / "eval" / (std::string("ppl_") + name))) {
      const std::string file = entry.path().filename().string();
      if (file.starts_with("wikitext2") && file.ends_with(".safetensors"))
        check_windows(*scorer, entry.path(), 1e-4, 1e-6);
    }
  }
}

TEST(SharedEngine, TheRealModelGivesTheReferenceLossesAndLikelihoods) {
  QB_REQUIRE_SHARED();
  const auto gguf = testing_support::smollm2_gguf();
  if (!gguf) GTEST_SKIP() << "smollm2-135m is not in the model folder";
  const auto model = load_model(*gguf);
  const auto scorer = make_scorer(*model, Lanes(2));
  check_windows(*scorer, shared / "golden" / "eval" / "ppl_smollm2" / "wikitext2_file_S512.safetensors", 1e-4,
                1e-6);
  check_windows(*scorer, shared / "golden" / "eval" / "ppl_smollm2" / "wikitext2_file_S2048.safetensors",
                3e-4, 1e-6);
  check_task(*scorer, shared / "golden" / "eval" / "lmeval_smollm2" / "hellaswag.json");
  check_task(*scorer, shared / "golden" / "eval" / "lmeval_smollm2" / "lambada.json");
}

}  // namespace
}  // namespace qbench::engine::golden
