#include "reports/diff.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <map>
#include <set>

#include "harness/core/errors.h"
#include "reports/view/names.h"

namespace qbench::reports {
namespace {

using results::ItemColumns;
using results::Store;

bool bitwise_equal(double a, double b) { return a == b || (std::isnan(a) && std::isnan(b)); }

std::string text_of(const Json& json) {
  return json.is_string() ? json.get<std::string>()
                          : json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

Report side_report(const DiffSide& side) {
  ReportOptions options;
  options.run = side.target.run;
  options.cell_prefix = side.target.cell_prefix;
  options.compare_with_baseline = false;
  Report report = build_report(side.store, options);
  if (side.target.run && report.runs.empty()) {
    throw ConfigError(fmt::format("{}: the store has no run {}; it has {}.", side.target.text,
                                  *side.target.run, side.store.runs().size()));
  }
  if (!side.target.cell_prefix.empty() && report.rows.empty()) {
    throw ConfigError(fmt::format(
        "{}: no cell has a key that begins with \"{}\". `qbench report --format csv` lists the keys.",
        side.target.text, side.target.cell_prefix));
  }
  return report;
}

/// What makes two rows of different stores the same cell: what the suite wrote, not what it hashed to.
std::string identity(const Row& row) {
  return fmt::format("{}\n{}\n{}\n{}\n{}", row.model, row.recipe, row.scheme, row.calibration, row.seed);
}

std::string cell_name(const Row& row, bool several_models) {
  std::string name = several_models ? row.model + ": " + row.name() : row.name();
  return row.seed == 0 ? name : name + fmt::format(" seed {}", row.seed);
}

class Differ {
 public:
  Differ(const DiffSide& a, const DiffSide& b, const CompareOptions& options)
      : a_(a), b_(b), options_(options), report_a_(side_report(a)), report_b_(side_report(b)) {
    std::set<std::string> models;
    for (const Report* report : {&report_a_, &report_b_}) {
      for (const Row& row : report->rows) models.insert(row.model);
    }
    several_models_ = models.size() > 1;
  }

  DiffResult diff() {
    result_.a = a_.target.text;
    result_.b = b_.target.text;
    pair_rows();
    compare_environments();
    compare_identities();
    for (const auto& [a, b] : pairs_) compare_rows(*a, *b);
    adjust();
    return std::move(result_);
  }

 private:
  /// Two single cells are compared whatever they are; otherwise rows are matched by identity.
  void pair_rows() {
    const bool single = !a_.target.cell_prefix.empty() && !b_.target.cell_prefix.empty() &&
                        report_a_.rows.size() == 1 && report_b_.rows.size() == 1;
    if (single) {
      pairs_.emplace_back(&report_a_.rows[0], &report_b_.rows[0]);
    } else {
      std::map<std::string, const Row*> in_b;
      for (const Row& row : report_b_.rows) in_b.emplace(identity(row), &row);
      for (const Row& row : report_a_.rows) {
        const auto found = in_b.find(identity(row));
        if (found == in_b.end()) {
          result_.one_sided.push_back({true, cell_name(row, several_models_), "", ""});
        } else {
          pairs_.emplace_back(&row, found->second);
          in_b.erase(found);
        }
      }
      for (const Row& row : report_b_.rows) {
        if (const auto left = in_b.find(identity(row)); left != in_b.end() && left->second == &row) {
          result_.one_sided.push_back({false, cell_name(row, several_models_), "", ""});
        }
      }
    }
    result_.common_cells = static_cast<int64_t>(pairs_.size());
  }

  void note(const std::string& what, const std::string& a, const std::string& b) {
    if (a != b && noted_.insert(what + "\n" + a + "\n" + b).second)
      result_.configuration.push_back({what, a, b});
  }

  void compare_environments() {
    if (report_a_.runs.empty() || report_b_.runs.empty()) return;
    const auto& a = report_a_.runs.back();
    const auto& b = report_b_.runs.back();
    note("suite", a.suite_name, b.suite_name);
    note("suite hash", a.suite_hash, b.suite_hash);
    std::set<std::string> keys;
    for (const Json* environment : {&a.environment, &b.environment}) {
      if (!environment->is_object()) continue;
      for (const auto& [key, value] : environment->items()) keys.insert(key);
    }
    const auto value_of = [](const Json& environment, const std::string& key) {
      return environment.is_object() && environment.contains(key) ? text_of(environment.at(key))
                                                                  : std::string("(absent)");
    };
    for (const auto& key : keys)
      note("environment " + key, value_of(a.environment, key), value_of(b.environment, key));
  }

  void compare_identities() {
    for (const auto& [a, b] : pairs_) {
      note("model", a->model, b->model);
      note("model hash of " + a->model, a->model_hash, b->model_hash);
      note("recipe", a->recipe, b->recipe);
      note("scheme", a->scheme, b->scheme);
      note("calibration", a->calibration, b->calibration);
      if (a->calibration == b->calibration)
        note("calibration tokens of " + a->calibration, a->calibration_hash, b->calibration_hash);
      note("seed", std::to_string(a->seed), std::to_string(b->seed));
      compare_protocols(*a, *b);
    }
  }

  static std::set<std::string> protocols(const Report& report, const Row& row, const std::string& task) {
    std::set<std::string> found;
    for (size_t c = 0; c < report.columns.size(); ++c) {
      if (row.entries[c] && report.columns[c].task == task) found.insert(report.columns[c].protocol);
    }
    return found;
  }

  void compare_protocols(const Row& a, const Row& b) {
    for (const ScoreColumn& column : report_a_.columns) {
      const auto in_a = protocols(report_a_, a, column.task), in_b = protocols(report_b_, b, column.task);
      if (!in_a.empty() && !in_b.empty())
        note("protocol of " + column.task, fmt::format("{}", fmt::join(in_a, ", ")),
             fmt::format("{}", fmt::join(in_b, ", ")));
    }
  }

  /// Top-level differences of what two steps were made of: parameters, data hashes, versions of the numerics.
  void compare_inputs(const std::string& role, const Json& a, const Json& b) {
    if (!a.is_object() || !b.is_object() || a == b) return;
    std::set<std::string> keys;
    for (const Json* inputs : {&a, &b}) {
      for (const auto& [key, value] : inputs->items()) keys.insert(key);
    }
    for (const auto& key : keys) {
      const std::string in_a = a.contains(key) ? text_of(a.at(key)) : "(absent)",
                        in_b = b.contains(key) ? text_of(b.at(key)) : "(absent)";
      if (in_a != in_b && input_notes_[role + key]++ == 0)
        note(fmt::format("{} of {}", key, role), in_a, in_b);
    }
  }

  void compare_steps(const std::string& cell, const std::string& role, const std::string& key_a,
                     const std::string& key_b) {
    const auto a = a_.store.step(key_a, false, false), b = b_.store.step(key_b, false, false);
    if (!a || !b) return;
    compare_inputs(role, a->inputs, b->inputs);
    if (a->artifact_hash != b->artifact_hash)
      result_.artifacts.push_back({cell, role, a->artifact_hash, b->artifact_hash});
  }

  void compare_rows(const Row& a, const Row& b) {
    const std::string name_a = cell_name(a, several_models_), name_b = cell_name(b, several_models_);
    const std::string cell = name_a == name_b ? name_a : name_a + " → " + name_b;
    if (!a.quantize_key.empty() && !b.quantize_key.empty())
      compare_steps(cell, "quantize", a.quantize_key, b.quantize_key);
    std::set<size_t> matched;
    std::set<std::string> tasks_done;
    for (size_t c = 0; c < report_a_.columns.size(); ++c) {
      const ScoreColumn& column = report_a_.columns[c];
      const auto other = find_column(report_b_, column);
      if (other) matched.insert(*other);
      const bool in_a = a.entries[c].has_value(), in_b = other && b.entries[*other].has_value();
      if (in_a != in_b)
        one_sided(in_a, cell, column,
                  in_a ? (other ? b.states[*other] : EntryState::kNotAsked) : a.states[c]);
      if (!in_a || !in_b) continue;
      compare_entries(cell, column, *a.entries[c], *b.entries[*other]);
      if (tasks_done.insert(column.task).second)
        compare_steps(cell, column.task, a.entries[c]->step_key, b.entries[*other]->step_key);
    }
    for (size_t c = 0; c < report_b_.columns.size(); ++c) {
      if (b.entries[c] && matched.count(c) == 0)
        one_sided(false, cell, report_b_.columns[c], EntryState::kNotAsked);
    }
  }

  void one_sided(bool in_a, const std::string& cell, const ScoreColumn& column, EntryState elsewhere) {
    static const char* const kStates[] = {"", "failed", "not legal", "not run", ""};
    result_.one_sided.push_back({in_a, cell, column.title, kStates[static_cast<size_t>(elsewhere)]});
  }

  static std::optional<size_t> find_column(const Report& report, const ScoreColumn& wanted) {
    for (size_t c = 0; c < report.columns.size(); ++c) {
      const ScoreColumn& column = report.columns[c];
      if (column.task == wanted.task && column.metric == wanted.metric && column.protocol == wanted.protocol)
        return c;
    }
    return std::nullopt;
  }

  void compare_entries(const std::string& cell, const ScoreColumn& column, const Entry& a, const Entry& b) {
    ScoreDifference difference;
    difference.cell = cell;
    difference.column = column;
    difference.a = a.score.value;
    difference.b = b.score.value;
    const auto items_a = a_.store.item_columns(a.step_key), items_b = b_.store.item_columns(b.step_key);
    difference.comparison = compare_scores(a.score, items_a ? &*items_a : nullptr, b.score,
                                           items_b ? &*items_b : nullptr, options_);
    difference.identical = bitwise_equal(difference.a, difference.b);
    result_.scores.push_back(std::move(difference));
  }

  void adjust() {
    std::map<std::string, std::vector<Comparison*>> families;
    for (ScoreDifference& score : result_.scores)
      families[score.column.task + "\n" + score.column.metric + "\n" + score.column.protocol].push_back(
          &score.comparison);
    for (const auto& [key, family] : families) adjust_family(family);
  }

  const DiffSide& a_;
  const DiffSide& b_;
  CompareOptions options_;
  Report report_a_, report_b_;
  bool several_models_ = false;
  std::vector<std::pair<const Row*, const Row*>> pairs_;
  std::set<std::string> noted_;
  std::map<std::string, int> input_notes_;
  DiffResult result_;
};

}  // namespace

DiffTarget parse_diff_target(const std::string& text) {
  DiffTarget target;
  target.text = text;
  const size_t hash = text.rfind('#');
  std::error_code none;
  if (hash == std::string::npos || std::filesystem::exists(text, none)) {
    target.store = text;
    return target;
  }
  target.store = text.substr(0, hash);
  const std::string selector = text.substr(hash + 1);
  if (selector.rfind("cell=", 0) == 0 && selector.size() > 5) {
    target.cell_prefix = selector.substr(5);
    return target;
  }
  if (selector.rfind("run=", 0) == 0) {
    int64_t run = 0;
    const char* end = selector.data() + selector.size();
    const auto [stop, error] = std::from_chars(selector.data() + 4, end, run);
    if (error == std::errc() && stop == end && run > 0) {
      target.run = run;
      return target;
    }
  }
  throw ConfigError(fmt::format("{}: found \"#{}\"; expected nothing, #run=N or #cell=PREFIX after the file.",
                                text, selector));
}

bool DiffResult::same() const { return changed_scores() == 0 && artifacts.empty() && one_sided.empty(); }

int64_t DiffResult::changed_scores() const {
  return std::count_if(scores.begin(), scores.end(),
                       [](const ScoreDifference& score) { return !score.identical; });
}

DiffResult diff_stores(const DiffSide& a, const DiffSide& b, const CompareOptions& options) {
  return Differ(a, b, options).diff();
}

DiffResult diff_targets(const std::string& a, const std::string& b) {
  const DiffTarget target_a = parse_diff_target(a), target_b = parse_diff_target(b);
  const auto store_a = Store::open_readonly(target_a.store), store_b = Store::open_readonly(target_b.store);
  return diff_stores({*store_a, target_a}, {*store_b, target_b});
}

}  // namespace qbench::reports
