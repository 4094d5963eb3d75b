// A task: what is measured on a cell. Builds requests from data and a tokenizer, scores them, reduces to
// metrics. No torch here: the model is a Scorer.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "harness/core/call.h"
#include "harness/core/fields.h"
#include "harness/engine/scorer.h"
#include "harness/tokenizers/tokenizer.h"

namespace qbench::tasks {

struct Score {
  std::string metric;  ///< "ppl", "acc", "acc_norm", "kl_mean", ...
  double value = 0;
  std::optional<double> stderr_;
  int64_t n = 0;  ///< items (documents, windows, tokens) behind the value
  bool higher_is_better = true;
};

/// One document, window or page. What paired tests and `--items` need.
struct ItemRecord {
  std::string item;                    ///< stable id within the task
  std::vector<double> loglikelihoods;  ///< per choice (or one); empty for perplexity windows
  std::optional<double> nll;           ///< summed negative log likelihood of a window
  int64_t tokens = 0;                  ///< scored tokens
  Json metrics = Json::object();       ///< {"acc": 1.0, "acc_norm": 0.0}
  Json detail = Json::object();  ///< texts, chosen answer, per-request ids if asked: what a drill-down shows
};

struct TaskResult {
  std::string task;      ///< canonical call
  std::string protocol;  ///< id of the exact semantics, e.g. "ppl/win B S=2048 bos=default"
  std::vector<Score> scores;
  std::vector<ItemRecord> items;
  Json provenance =
      Json::object();  ///< data hash, token stream hash, docs, limit, truncations, boundary merges, NaN count
};

/// Size of the work before any data is tokenised, for the plan's estimate.
struct TaskCost {
  int64_t tokens = 0;         ///< tokens fed
  int64_t scored_tokens = 0;  ///< rows of the head
  int64_t longest = 0;        ///< longest sequence
};

class Task {
 public:
  virtual ~Task() = default;
  /// The task's name with every parameter after defaults, plus the data file's hash: its identity in keys.
  virtual std::string identity() const = 0;
  virtual std::string canonical() const = 0;  ///< as written by a user, non-default parameters only
  virtual std::string protocol() const = 0;
  virtual TaskCost cost() const = 0;
  /// Requests whose baseline states diverge() will need; empty for tasks without a baseline.
  virtual std::vector<engine::ScoreRequest> baseline_requests(const tokenizers::Tokenizer&) const {
    return {};
  }
  virtual TaskResult run(const tokenizers::Tokenizer& tokenizer, engine::Scorer& scorer) const = 0;
};

/// One registered kind of task, for `describe tasks` and messages.
struct TaskInfo {
  std::string name;
  std::string summary;
  std::string source;  ///< whose semantics (program, version)
  std::vector<FieldSpec> fields;
  std::unique_ptr<Task> (*make)(const Call& call);
};

/// All kinds, in the order of the registry (tasks/core/registry.cpp, the one list).
const std::vector<TaskInfo>& task_registry();
/// Names that can be written directly: kinds plus task files (tasks/defs/*.yaml, shipped BIG-bench tasks).
std::vector<std::string> task_names();
/// One line about any of task_names(). "" for an unknown name.
std::string task_summary(const std::string& name);
/// Parses, checks parameters and finds the data (its header, not its tokens). @throws ConfigError, DataError.
std::unique_ptr<Task> make_task(const std::string& text);

}  // namespace qbench::tasks
