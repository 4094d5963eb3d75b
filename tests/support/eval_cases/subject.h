// What the checks share: models, files, texts.
#pragma once

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "harness/engine/model.h"
#include "harness/engine/scorer.h"
#include "harness/tokenizers/tokenizer.h"
#include "tasks/core/task.h"
#include "tests/support/eval_cases/cases.h"

namespace qbench::eval_cases {

/// A model that cases were computed with.
struct Subject {
  std::string name;
  bool large = false;  ///< the real model: wider tolerances
  std::shared_ptr<const models::Checkpoint> checkpoint;
  std::unique_ptr<tokenizers::Tokenizer> tokenizer;
  std::unique_ptr<engine::Model> model;
  std::unique_ptr<engine::Scorer> scorer;
};

/// A tiny model below `root` (else the project's copy), or smollm2 where it is set up; null if it is nowhere.
Subject* subject(const fs::path& root, const std::string& name);

/// Passes requests on and keeps what came back.
class RecordingScorer final : public engine::Scorer {
 public:
  explicit RecordingScorer(engine::Scorer& inner) : inner_(inner) {}
  int64_t vocab_size() const override { return inner_.vocab_size(); }
  int64_t max_position() const override { return inner_.max_position(); }
  std::vector<engine::ScoreResult> score(std::span<const engine::ScoreRequest> asked) override;
  std::vector<std::vector<int32_t>> generate(std::span<const engine::GenerateRequest> asked) override {
    return inner_.generate(asked);
  }
  bool has_baseline() const override { return inner_.has_baseline(); }
  std::vector<std::vector<engine::DivergenceToken>> diverge(
      std::span<const engine::ScoreRequest> asked) override {
    return inner_.diverge(asked);
  }
  std::vector<engine::ScoreRequest> requests;
  std::vector<engine::ScoreResult> results;

 private:
  engine::Scorer& inner_;
};

Json read_json(const fs::path& path);
/// Files below `folder` that end in `ending`, sorted; none if there is no such folder.
std::vector<fs::path> files_in(const fs::path& folder, const std::string& ending);
/// Folders of `root` whose name starts with `prefix`, sorted.
std::vector<fs::path> folders_in(const fs::path& root, const std::string& prefix);
/// Arguments of perplexity() that give the text of that hash ("text=...,join=..."), "" if no data set here
/// has it.
std::string text_arguments(const std::string& text_sha256);
double score_of(const tasks::TaskResult& result, const std::string& metric);
const tasks::Score& find_score(const tasks::TaskResult& result, const std::string& metric);

}  // namespace qbench::eval_cases
