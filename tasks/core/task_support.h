// What the kinds of tasks share: canonical strings, document selection, provenance.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "harness/data/text.h"
#include "tasks/core/task.h"

namespace qbench::tasks {

/// Raised when the meaning of any task's numbers changes: part of every identity.
inline constexpr const char* kTasksVersion = "tasks/1";

/// A call checked against its fields, in its two spellings.
struct CheckedCall {
  Call canonical;  ///< arguments that differ from their defaults, in field order
  std::vector<std::pair<std::string, std::string>> values;  ///< every parameter
};
/// @throws ConfigError
CheckedCall check_task_call(const std::vector<FieldSpec>& fields, const Call& call);

/// Identity: version, kind, every parameter except those in `places` (paths: content counts, not place), data
/// hash.
std::string task_identity(const CheckedCall& call, const std::vector<std::string>& places,
                          const std::string& data_hash);

/// Which documents are scored. limit: the first n in the protocol's own order; subset: n drawn with Python's
/// random.Random(subset_seed).sample, kept in order. 0 = all.
struct Selection {
  int64_t limit = 0, subset = 0, subset_seed = 0;

  template <class Visitor>
  void visit(Visitor& v) {
    v("limit", limit, Range{0, 100000000}, "only the first n documents; 0: all");
    v("subset", subset, Range{0, 100000000}, "n documents drawn at random instead; 0: all");
    v("subset_seed", subset_seed, Range{0.0, 4294967295.0}, "seed of the draw");
  }
  /// Indices into `available` documents. @throws ConfigError when limit and subset are both given.
  std::vector<int64_t> pick(int64_t available) const;
  /// Number of documents picked.
  int64_t count(int64_t available) const;
};

/// Data of a text as provenance.
Json describe_text(const data::TextRef& ref);

/// Model length of a task: the task's max_length if given, else the model's. @throws ConfigError if it
/// exceeds the model's.
int64_t task_max_length(int64_t wanted, const engine::Scorer& scorer, const std::string& task);

/// Code in a text of `bytes` bytes: a rough number of tokens for estimates.
inline int64_t estimate_tokens(int64_t bytes) { return bytes / 4 + 1; }

}  // namespace qbench::tasks
