// Multiple choice by log-likelihood, as lm-evaluation-harness 0.4 scores it (eval_protocol, sections 3.2
// to 3.8). A task is a YAML file over a JSON-lines file; tasks/README.md documents its keys.
#pragma once

#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "tasks/core/task.h"

namespace qbench::tasks {

/// One question, ready to be tokenised.
struct ChoiceDocument {
  std::string item;                   ///< stable id
  std::string part;                   ///< "" or the paradigm, subject, language it belongs to
  std::vector<std::string> contexts;  ///< one, or one per choice ("multiple input")
  std::vector<std::string>
      continuations;                 ///< with the delimiter in front; one per choice, or one for all contexts
  std::vector<std::string> choices;  ///< as given: acc_norm divides by their code points
  std::vector<int64_t> gold;         ///< acceptable indices
  std::vector<int64_t> labels;       ///< per choice, for mc2; else empty
};

struct ChoiceOptions {
  bool tokenizer_bos = true;
  int64_t max_length = 0;                      ///< 0: the model's
  std::vector<std::string> metrics = {"acc"};  ///< of choice_metric_names()
  bool weight_parts_by_size = true;
};

const std::vector<std::string>& choice_metric_names();

/// Tokenises, scores and reduces. Appends items, scores and counts (boundary merges, truncations, diverged
/// documents).
void score_choices(std::span<const ChoiceDocument> documents, const ChoiceOptions& options,
                   const tokenizers::Tokenizer& tokenizer, engine::Scorer& scorer, TaskResult& result);

/// Metrics of one document from its log-likelihoods: key -> value. Lowest index wins ties.
Json choice_metrics(const ChoiceDocument& document, std::span<const double> loglikelihoods,
                    std::span<const std::string> metrics);

/// Kind `mc`.
TaskInfo multiple_choice_task();

/// Task files that are shipped (tasks/defs): their names.
std::vector<std::string> task_file_names();
/// The file of a shipped task; for files with parts also NAME_PART. Empty path if there is none.
struct TaskFileRef {
  std::filesystem::path path;
  std::string part;
};
TaskFileRef find_task_file(const std::string& name);

/// Its key summary. @throws ConfigError
std::string task_file_summary(const std::filesystem::path& path);

/// A task file under its own name: hellaswag(limit=100).
std::unique_ptr<Task> make_task_file(const TaskFileRef& file, const Call& call);

}  // namespace qbench::tasks
