// The store: one SQLite file, append only. This header knows rows, not models, methods or tasks.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "harness/core/fields.h"

namespace qbench::results {

inline constexpr int kSchemaVersion = 1;

/// One invocation of `qbench run` (or eval): who measured, with what.
struct RunRow {
  int64_t id = 0;
  std::string suite_name, suite_hash, suite_yaml;
  std::string started_at;  ///< ISO 8601 UTC
  Json environment =
      Json::object();  ///< qbench version, commit, machine, cpu, cores, memory, library versions, threads
  std::string
      status;  ///< set when read: "ok", "failed cells", "interrupted"; "" while running or after a kill
};

/// One cell of a matrix as the suite names it. Cells that need no calibration still exist once per
/// calibration set; they share steps.
struct CellRow {
  std::string key;    ///< hash of everything below
  std::string model;  ///< name as written; model_hash is the identity
  std::string model_hash;
  std::string calibration;       ///< canonical spec or "" when the matrix has none
  std::string calibration_hash;  ///< token-id hash, "" when unused
  std::string recipe;            ///< canonical ("fp" for the baseline)
  std::string scheme;            ///< canonical ("fp" for the baseline)
  int64_t seed = 0;
  bool baseline = false;
  std::string quantize_key;  ///< step that made the weights; "" for the baseline
  std::string illegal;       ///< reason when the combination is not legal: no steps then
  Json notes =
      Json::array();  ///< labels that must be shown ("weights lie on a 4-bit grid (Q4_1, groups of 32)")
};

struct ScoreRow {
  std::string task, metric, protocol;
  double value = 0;
  std::optional<double> stderr_;
  int64_t n = 0;
  bool higher_is_better = true;
};

struct ItemRow {
  std::string item;
  std::vector<double> loglikelihoods;
  std::optional<double> nll;
  int64_t tokens = 0;
  Json metrics = Json::object();
  Json detail = Json::object();
};

/// The ledger of one quantized linear.
struct LayerRow {
  std::string layer;  ///< "model.layers.3.self_attn.q_proj"
  int64_t parameters = 0;
  double bits_nominal = 0;
  double bits_effective = 0;           ///< payload + scales + zeros + indices, per weight
  double weight_error = 0;             ///< ||W - W_hat||_F / ||W||_F
  std::optional<double> output_error;  ///< relative, on the calibration inputs
  std::optional<double> loss;          ///< the method's own objective
  std::string fallback;                ///< "" or what happened ("damping raised to 0.05 after 2 failures")
  std::string weight_hash;
  Json detail = Json::object();
};

/// A finished step, written with everything it produced in one transaction.
struct StepOutcome {
  std::string key;
  std::string kind;              ///< "statistics", "quantize", "evaluate"
  Json inputs = Json::object();  ///< what the key was made of: the recipe of this number
  double wall_s = 0, cpu_s = 0;
  int64_t peak_rss_bytes = 0;
  int lanes = 1;
  std::string artifact_hash;    ///< content hash of what the step made
  Json facts = Json::object();  ///< provenance of the task, phase times, warnings
  std::vector<ScoreRow> scores;
  std::vector<ItemRow> items;
  std::vector<LayerRow> layers;
  int64_t run = 0;  ///< set when read: the run that computed it
};

/// The numeric part of the items of a step, one array per column, all of the same length: what paired
/// statistics need.
struct ItemColumns {
  std::vector<std::string> ids;
  std::vector<int64_t> tokens;
  std::vector<double> nll;  ///< empty unless every item has one
  std::map<std::string, std::vector<double>>
      metrics;  ///< numeric metrics that every item has; true counts as 1
};

/// Sums over the ledger of one step.
struct LayerTotals {
  int64_t layers = 0, parameters = 0, fallbacks = 0;
  double bits_nominal = 0, bits_effective = 0;  ///< means per weight
};

struct FailureRow {
  std::string step_key, kind;  ///< kind of error: "config", "numeric", "signal", "timeout", "memory", ...
  std::string message;         ///< includes layer and phase where known
  std::string signal, phase, layer, log_tail;
  double wall_s = 0;
  int64_t run = 0;  ///< set when read
};

class Store {
 public:
  /// Opens or creates (WAL, foreign keys, migrations applied). @throws StoreError: not a database, read-only,
  /// full disk, newer schema (names both versions), with remedy.
  static std::unique_ptr<Store> open(const std::filesystem::path& path);
  /// For reports: never creates, never migrates a file it cannot write (works from a read-only copy).
  static std::unique_ptr<Store> open_readonly(const std::filesystem::path& path);
  ~Store();
  const std::filesystem::path& path() const;

  // Every call may come from any thread; each writing call is one transaction, durable when it returns.
  int64_t begin_run(const RunRow& run);
  /// Registers the cells of a run and which steps each one reads: (cell key, step key, role = task canonical
  /// or "quantize").
  struct CellStep {
    std::string cell_key, step_key, role;
  };
  /// Registering the same cells and links again changes nothing.
  void put_cells(int64_t run, const std::vector<CellRow>& cells, const std::vector<CellStep>& links);
  bool has_step(const std::string& key) const;
  /// The first outcome of a key is kept; a second one is ignored.
  void commit_step(int64_t run, const StepOutcome& outcome);
  void commit_failure(int64_t run, const FailureRow& failure);
  void end_run(int64_t run, const std::string& status);  ///< "ok", "failed cells", "interrupted"

  // Reading, for views (sorted, no clock involved).
  std::vector<RunRow> runs() const;
  std::vector<CellRow> cells(
      std::optional<int64_t> run = std::nullopt) const;  ///< latest wording of each key, in suite order
  /// Links of each cell, role by role as the latest run (or the given one) registered them.
  std::vector<CellStep> cell_steps(std::optional<int64_t> run = std::nullopt) const;
  std::optional<StepOutcome> step(const std::string& key, bool with_items = true,
                                  bool with_layers = true) const;
  /// Finished steps (of the given run), in the order of their commits.
  std::vector<std::string> step_keys(std::optional<int64_t> run = std::nullopt) const;
  /// All zero for a step without a ledger.
  LayerTotals layer_totals(const std::string& key) const;
  /// nullopt if the step is unfinished or has no items.
  std::optional<ItemColumns> item_columns(const std::string& key) const;
  std::vector<FailureRow> failures(
      std::optional<int64_t> run = std::nullopt) const;  ///< latest per step, not superseded by a success

 private:
  struct Impl;
  explicit Store(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace qbench::results
