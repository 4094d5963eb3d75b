// Two sets of results side by side: what differs in how they were made, then what differs in what came out.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "reports/view/report.h"
#include "results/store.h"

namespace qbench::reports {

/// "STORE", "STORE#run=N" or "STORE#cell=PREFIX".
struct DiffTarget {
  std::filesystem::path store;
  std::optional<int64_t> run;
  std::string cell_prefix;
  std::string text;  ///< as written
};
/// @throws ConfigError  an unknown selector after '#'. A file whose name holds '#' is found if it exists.
DiffTarget parse_diff_target(const std::string& text);

/// Something about how the results were made: "environment cpu", "model hash of smollm2-135m", "protocol of
/// lambada", ...
struct ConfigDifference {
  std::string what, a, b;
};

struct ScoreDifference {
  std::string cell;  ///< name of the row
  ScoreColumn column;
  double a = 0, b = 0;
  Comparison comparison;   ///< a is the baseline
  bool identical = false;  ///< bitwise
};

struct ArtifactDifference {
  std::string cell, role, a, b;  ///< role: "quantize" or the task
};

/// A cell, or a score of a cell of both sides, that only one side has.
struct OneSided {
  bool in_a = true;
  std::string cell;
  std::string score;   ///< "" for a whole cell
  std::string reason;  ///< of the other side: "failed", "not run", ... or ""
};

struct DiffResult {
  std::string a, b;  ///< the targets as written
  std::vector<ConfigDifference> configuration;
  std::vector<ScoreDifference> scores;  ///< of all common cells, identical ones too
  std::vector<ArtifactDifference> artifacts;
  std::vector<OneSided> one_sided;
  int64_t common_cells = 0;
  /// Identical scores and artifact hashes for all common cells, and the same set of cells and scores.
  bool same() const;
  int64_t changed_scores() const;
};

struct DiffSide {
  const results::Store& store;
  DiffTarget target;
};

/// @throws ConfigError  a run or cell that is not there.
DiffResult diff_stores(const DiffSide& a, const DiffSide& b, const CompareOptions& options = {2000, 0});

/// Opens both stores for reading. @throws ConfigError, StoreError.
DiffResult diff_targets(const std::string& a, const std::string& b);

/// @param format  one of report_formats(). @throws ConfigError.
std::string render_diff(const DiffResult& diff, const std::string& format, bool color = false);

}  // namespace qbench::reports
