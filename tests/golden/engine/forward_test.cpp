// Tiny checkpoints with logits, blocks and losses of a reference implementation
// (tests/golden/models/README.md). Every case whose family the project supports is run, with both spellings
// of its config.
#include <unistd.h>

#include <iostream>

#include "harness/core/errors.h"
#include "harness/core/files.h"
#include "harness/engine/model_scorer.h"
#include "harness/engine/reference.h"
#include "tests/golden/engine/support.h"

namespace qbench::engine::golden {
namespace {

namespace fs = std::filesystem;

constexpr double kTolerance = 1e-4;

struct Case {
  fs::path folder;  // holds golden.safetensors
  std::string config;
};

std::vector<Case> cases() {
  std::vector<Case> found;
  for (const fs::path& root : testing_support::golden_roots("models")) {
    for (const auto& entry : fs::directory_iterator(root)) {
      if (!fs::exists(entry.path() / "golden.safetensors")) continue;
      for (const char* config : {"config.json", "config_v4.json"}) {
        if (fs::exists(entry.path() / config)) found.push_back({entry.path(), config});
      }
    }
  }
  std::sort(found.begin(), found.end(), [](const Case& a, const Case& b) {
    return std::tie(a.folder, a.config) < std::tie(b.folder, b.config);
  });
  return found;
}

/// The case's folder with the chosen config in the place of config.json, made of links.
class LinkedFolder {
 public:
  explicit LinkedFolder(const Case& c)
      : path_(fs::temp_directory_path() /
              ("qbench-forward-" + std::to_string(::getpid()) + c.folder.filename().string())) {
    fs::remove_all(path_);
    fs::create_directories(path_);
    for (const auto& entry : fs::directory_iterator(c.folder)) {
      const std::string name = entry.path().filename().string();
      if (name != "config.json") fs::create_symlink(fs::absolute(entry.path()), path_ / name);
    }
    fs::create_symlink(fs::absolute(c.folder / c.config), path_ / "config.json");
  }
  ~LinkedFolder() { fs::remove_all(path_); }
  const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

// Null if the project does not know the family yet.
std::unique_ptr<Model> load_if_supported(const fs::path& folder) {
  try {
    return load_model(folder);
  } catch (const DataError& error) {
    if (std::string(error.what()).find("not supported") == std::string::npos) throw;
    return nullptr;
  }
}

void check_blocks(const Model& model, const models::SafetensorsFile& golden) {
  const std::vector<int32_t> tokens = ids(golden, "a.input_ids");
  const SequenceLengths lengths = {std::ssize(tokens)};
  const at::Tensor expected = floats(golden, "a.blocks");
  at::Tensor fast = embed(model, tokens), plain = fast;
  for (size_t i = 0; i < model.blocks.size(); ++i) {
    fast = run_block(model, model.blocks[i], fast, lengths);
    plain = reference::run_block(model, model.blocks[i], plain, lengths);
    EXPECT_LE(max_abs_diff(fast, expected[static_cast<int64_t>(i)]), kTolerance) << "block " << i;
    EXPECT_LE(max_abs_diff(plain, expected[static_cast<int64_t>(i)]), kTolerance)
        << "plain path, block " << i;
  }
}

void check_sequence(const Model& model, const models::SafetensorsFile& golden, const std::string& name) {
  const std::vector<int32_t> tokens = ids(golden, name + ".input_ids");
  const at::Tensor hidden = hidden_states(model, tokens, {std::ssize(tokens)});
  if (golden.find(name + ".lm_head_in") != nullptr) {
    EXPECT_LE(max_abs_diff(hidden, floats(golden, name + ".lm_head_in")), kTolerance) << name;
  }
  EXPECT_LE(max_abs_diff(logits(model, hidden), floats(golden, name + ".logits")), kTolerance) << name;
  const std::vector<float> nll = golden.floats(name + ".token_nll");
  const ScoreRequest request{tokens, 1};
  const ScoreResult result = make_scorer(model, Lanes(1))->score({&request, 1})[0];
  ASSERT_EQ(result.logprobs.size(), nll.size());
  for (size_t i = 0; i < nll.size(); ++i)
    EXPECT_NEAR(-result.logprobs[i], nll[i], kTolerance) << name << " token " << i;
}

void check_greedy(const Model& model, const models::SafetensorsFile& golden, const fs::path& folder) {
  const Json json = Json::parse(read_text_file(folder / "golden.json"));
  if (!json.contains("greedy")) return;
  const Json& greedy = json.at("greedy");
  const auto expected = greedy.at("new_ids_with_cache").get<std::vector<int32_t>>();
  const GenerateRequest request{
      ids(golden, greedy.at("prompt").get<std::string>() + ".input_ids"), std::ssize(expected), {}};
  EXPECT_EQ(make_scorer(model, Lanes(1))->generate({&request, 1})[0], expected);
}

TEST(GoldenForward, SupportedFamiliesGiveTheReferenceNumbers) {
  int run = 0, skipped = 0;
  for (const Case& c : cases()) {
    SCOPED_TRACE(c.folder.string() + " with " + c.config);
    const LinkedFolder folder(c);
    const std::unique_ptr<Model> model = load_if_supported(folder.path());
    if (model == nullptr) {
      ++skipped;
      std::cout << "family not supported yet: " << c.folder.filename().string() << "\n";
      continue;
    }
    ++run;
    const models::SafetensorsFile golden(c.folder / "golden.safetensors");
    check_blocks(*model, golden);
    check_sequence(*model, golden, "a");
    check_sequence(*model, golden, "b");
    check_greedy(*model, golden, c.folder);
  }
  std::cout << run << " cases run, " << skipped << " of families that are not supported yet\n";
  EXPECT_GT(run, 0) << "no golden case was found";
}

}  // namespace
}  // namespace qbench::engine::golden
