#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <set>
#include <tuple>
#include <unordered_map>
#include <unordered_set>

#include "reports/view/names.h"
#include "reports/view/report.h"

namespace qbench::reports {
namespace {

using results::CellRow;
using results::FailureRow;
using results::ItemColumns;
using results::StepOutcome;
using results::Store;

std::string text_of(const Json& json) {
  return json.is_string() ? json.get<std::string>()
                          : json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

/// Tasks that link a cell to steps have any other role.
constexpr const char* kQuantizeRole = "quantize";

struct Link {
  std::string step_key, role;
};

class Builder {
 public:
  Builder(const Store& store, const ReportOptions& options) : store_(store), options_(options) {}

  Report build() {
    report_.runs = store_.runs();
    if (options_.run) std::erase_if(report_.runs, [&](const auto& run) { return run.id != *options_.run; });
    read_cells();
    read_failures();
    make_rows();
    make_columns();
    fill_entries();
    compare_with_baselines();
    make_spreads();
    make_failures();
    make_coverage_and_costs();
    make_fallbacks();
    make_notes();
    return std::move(report_);
  }

 private:
  const StepOutcome* step(const std::string& key) {
    const auto [place, added] = steps_.try_emplace(key);
    if (added) place->second = store_.step(key, false, false);
    return place->second ? &*place->second : nullptr;
  }

  const ItemColumns* items(const std::string& key) {
    const auto [place, added] = items_.try_emplace(key);
    if (added) place->second = store_.item_columns(key);
    return place->second ? &*place->second : nullptr;
  }

  void read_cells() {
    cells_ = store_.cells(options_.run);
    std::erase_if(cells_, [&](const CellRow& cell) { return cell.key.rfind(options_.cell_prefix, 0) != 0; });
    for (auto& link : store_.cell_steps(options_.run))
      links_[link.cell_key].push_back({link.step_key, link.role});
  }

  void read_failures() {
    for (FailureRow& failure : store_.failures(options_.run)) {
      failed_[failure.step_key] = all_failures_.size();
      all_failures_.push_back(std::move(failure));
    }
  }

  /// Equal for cells whose every result is the same by construction.
  std::string row_identity(const CellRow& cell) {
    std::string identity = fmt::format("{}\n{}\n{}\n{}\n{}\n{}\n{}", cell.model, cell.model_hash, cell.recipe,
                                       cell.scheme, cell.seed, cell.baseline, cell.quantize_key);
    if (cell.quantize_key.empty() && !cell.baseline) identity += "\n" + cell.illegal;
    std::vector<std::string> keys;
    for (const Link& link : links_[cell.key]) keys.push_back(link.step_key);
    std::sort(keys.begin(), keys.end());
    for (const auto& key : keys) identity += "\n" + key;
    return identity;
  }

  static void add_distinct(std::vector<std::string>& list, const std::string& value) {
    if (std::find(list.begin(), list.end(), value) == list.end()) list.push_back(value);
  }

  void make_rows() {
    std::unordered_map<std::string, size_t> places;
    for (const CellRow& cell : cells_) {
      const auto [place, added] = places.try_emplace(row_identity(cell), report_.rows.size());
      if (added) {
        report_.rows.push_back(new_row(cell));
      } else {
        Row& row = report_.rows[place->second];
        ++row.cells;
        if (row.calibration != cell.calibration) row.calibration = row.calibration_hash = "";
      }
    }
    name_models();
    name_calibrations();
    order_rows();
  }

  /// By model, baseline first, then scheme, recipe and calibration set in the order of their first
  /// appearance.
  void order_rows() {
    const auto place = [](const std::vector<std::string>& list, const std::string& value) {
      return std::find(list.begin(), list.end(), value) - list.begin();
    };
    std::vector<std::string> models;
    for (const Row& row : report_.rows) add_distinct(models, row.model + "\n" + row.model_hash);
    const auto order = [&](const Row& row) {
      return std::make_tuple(place(models, row.model + "\n" + row.model_hash), !row.baseline,
                             place(report_.schemes, row.scheme), place(report_.recipes, row.recipe),
                             place(report_.calibrations, row.calibration), row.seed);
    };
    std::stable_sort(report_.rows.begin(), report_.rows.end(),
                     [&](const Row& a, const Row& b) { return order(a) < order(b); });
  }

  static Row new_row(const CellRow& cell) {
    Row row;
    row.cell = cell.key;
    row.model = cell.model;
    row.model_hash = cell.model_hash;
    row.recipe = cell.recipe;
    row.scheme = cell.scheme;
    // Without token hash the cell did not use its calibration set (an illegal cell never drew one).
    const bool used = !cell.baseline && (!cell.calibration_hash.empty() || !cell.illegal.empty());
    row.calibration = used ? cell.calibration : "";
    row.calibration_hash = cell.calibration_hash;
    row.seed = cell.seed;
    row.baseline = cell.baseline;
    row.illegal = cell.illegal;
    row.quantize_key = cell.quantize_key;
    return row;
  }

  /// Short, and distinct for each model and content: the file behind a name may have changed between runs.
  void name_models() {
    std::vector<std::string> models;
    std::map<std::string, std::set<std::string>> hashes;
    for (const Row& row : report_.rows) {
      models.push_back(row.model);
      hashes[row.model].insert(row.model_hash);
    }
    const auto titles = short_model_names(models);
    for (size_t r = 0; r < titles.size(); ++r) {
      Row& row = report_.rows[r];
      model_titles_[row.model] = titles[r];
      row.model_title =
          hashes[row.model].size() == 1 ? titles[r] : titles[r] + " " + row.model_hash.substr(0, 12);
    }
  }

  void name_calibrations() {
    for (const CellRow& cell : cells_) {
      if (!cell.calibration.empty()) add_distinct(report_.calibrations, cell.calibration);
    }
    const auto titles = short_names(report_.calibrations);
    for (Row& row : report_.rows) {
      const auto place = std::find(report_.calibrations.begin(), report_.calibrations.end(), row.calibration);
      row.calibration_title = row.calibration.empty()
                                  ? (row.baseline || report_.calibrations.empty() ? "" : "any")
                                  : titles[static_cast<size_t>(place - report_.calibrations.begin())];
      if (row.baseline) continue;
      add_distinct(report_.recipes, row.recipe);
      add_distinct(report_.schemes, row.scheme);
    }
  }

  /// Columns in the order in which cells ask for tasks; failed or unfinished tasks have none unless another
  /// cell has a score.
  void make_columns() {
    std::unordered_map<std::string, size_t> known;
    for (const Row& row : report_.rows) {
      for (const Link& link : links_[row.cell]) {
        const StepOutcome* outcome = step(link.step_key);
        if (outcome == nullptr) continue;
        for (const auto& score : outcome->scores) {
          const auto [place, added] = known.try_emplace(column_key(score), report_.columns.size());
          if (!added) continue;
          report_.columns.push_back(
              {score.task, score.metric, score.protocol, "", "", score.higher_is_better});
          roles_.push_back({});
        }
        for (const auto& score : outcome->scores) roles_[known[column_key(score)]].insert(link.role);
      }
    }
    columns_ = std::move(known);
    name_columns();
  }

  static std::string column_key(const results::ScoreRow& score) {
    return score.task + "\n" + score.metric + "\n" + score.protocol;
  }

  void name_columns() {
    std::vector<std::string> tasks;
    for (const ScoreColumn& column : report_.columns) tasks.push_back(column.task);
    const auto titles = short_task_names(tasks);
    std::map<std::string, int> uses;
    for (size_t i = 0; i < titles.size(); ++i) ++uses[titles[i] + "\n" + report_.columns[i].metric];
    for (size_t i = 0; i < titles.size(); ++i) {
      ScoreColumn& column = report_.columns[i];
      const bool shared = uses[titles[i] + "\n" + column.metric] > 1;
      column.task_title = shared ? titles[i] + " [" + column.protocol + "]" : titles[i];
      column.title = column.task_title + " " + metric_title(column.metric);
    }
  }

  void fill_entries() {
    for (Row& row : report_.rows) {
      row.entries.resize(report_.columns.size());
      for (const Link& link : links_[row.cell]) {
        const StepOutcome* outcome = step(link.step_key);
        if (outcome == nullptr) continue;
        for (const auto& score : outcome->scores)
          row.entries[columns_.at(column_key(score))] = Entry{score, link.step_key, std::nullopt};
      }
      fill_states(row);
      fill_quantization(row);
    }
  }

  void fill_states(Row& row) {
    bool prepared = true;  // no step before the tasks failed
    std::set<std::string> asked, failed;
    if (failed_.count(row.quantize_key) != 0) prepared = false;
    for (const Link& link : links_[row.cell]) {
      asked.insert(link.role);
      if (failed_.count(link.step_key) == 0) continue;
      failed.insert(link.role);
      if (!is_task_role(link.role)) prepared = false;
    }
    for (size_t c = 0; c < report_.columns.size(); ++c) {
      const auto any_role_in = [&](const std::set<std::string>& roles) {
        return std::any_of(roles_[c].begin(), roles_[c].end(),
                           [&](const auto& role) { return roles.count(role) != 0; });
      };
      row.states.push_back(row.entries[c]         ? EntryState::kDone
                           : !row.illegal.empty() ? EntryState::kIllegal
                           : !any_role_in(asked)  ? EntryState::kNotAsked
                           : !prepared            ? EntryState::kFailed
                           : any_role_in(failed)  ? EntryState::kFailed
                                                  : EntryState::kNotRun);
    }
  }

  bool is_task_role(const std::string& role) const {
    return std::any_of(roles_.begin(), roles_.end(),
                       [&](const auto& roles) { return roles.count(role) != 0; });
  }

  void fill_quantization(Row& row) {
    if (row.quantize_key.empty()) return;
    const StepOutcome* outcome = step(row.quantize_key);
    if (outcome == nullptr) return;
    row.artifact_hash = outcome->artifact_hash;
    row.quantize_s = outcome->wall_s;
    row.quantize_rss = outcome->peak_rss_bytes;
    row.ledger = store_.layer_totals(row.quantize_key);
  }

  /// The unquantized row of the same model; of the same seed where there are several.
  std::optional<size_t> find_baseline(const Row& row) const {
    std::optional<size_t> found;
    for (size_t i = 0; i < report_.rows.size(); ++i) {
      const Row& candidate = report_.rows[i];
      if (!candidate.baseline || candidate.model != row.model || candidate.model_hash != row.model_hash)
        continue;
      if (candidate.seed == row.seed) return i;
      if (!found) found = i;
    }
    return found;
  }

  void compare_with_baselines() {
    std::map<std::pair<size_t, size_t>, std::vector<Comparison*>> families;  // one per baseline and column
    for (Row& row : report_.rows) {
      if (row.baseline) continue;
      row.baseline_row = find_baseline(row);
      if (!row.baseline_row || !options_.compare_with_baseline) continue;
      const Row& baseline = report_.rows[*row.baseline_row];
      for (size_t c = 0; c < report_.columns.size(); ++c) {
        if (!row.entries[c] || !baseline.entries[c]) continue;
        Entry& entry = *row.entries[c];
        const Entry& reference = *baseline.entries[c];
        entry.against_baseline = compare_scores(reference.score, items(reference.step_key), entry.score,
                                                items(entry.step_key), options_.compare);
        families[{*row.baseline_row, c}].push_back(&*entry.against_baseline);
      }
    }
    for (const auto& [key, family] : families) adjust_family(family);
  }

  void make_spreads() {
    std::map<std::string, size_t> groups;
    for (size_t r = 0; r < report_.rows.size(); ++r) {
      const Row& row = report_.rows[r];
      if (row.baseline || row.calibration.empty()) continue;
      for (size_t c = 0; c < report_.columns.size(); ++c) {
        if (!row.entries[c] || !std::isfinite(row.entries[c]->score.value)) continue;
        const std::string key = fmt::format("{}\n{}\n{}\n{}\n{}\n{}", row.model, row.model_hash, row.recipe,
                                            row.scheme, row.seed, c);
        const auto [place, added] = groups.try_emplace(key, report_.spreads.size());
        if (added)
          report_.spreads.push_back({row.model_title, row.recipe, row.scheme, row.seed, c, {}, 0, 0});
        report_.spreads[place->second].points.push_back(
            {row.calibration_title, r, row.entries[c]->score.value});
      }
    }
    std::erase_if(report_.spreads, [](const Spread& spread) { return spread.points.size() < 2; });
    for (Spread& spread : report_.spreads) {
      const auto [low, high] =
          std::minmax_element(spread.points.begin(), spread.points.end(),
                              [](const auto& a, const auto& b) { return a.value < b.value; });
      spread.lowest = low->value;
      spread.highest = high->value;
    }
    std::stable_sort(report_.spreads.begin(), report_.spreads.end(),
                     [](const auto& a, const auto& b) { return a.column < b.column; });
  }

  void make_failures() {
    for (const FailureRow& failure : all_failures_) {
      Failure shown{failure, {}, "step"};
      for (const Row& row : report_.rows) {
        bool touched = row.quantize_key == failure.step_key && !row.quantize_key.empty();
        if (touched) shown.what = kQuantizeRole;
        for (const Link& link : links_[row.cell]) {
          if (link.step_key != failure.step_key) continue;
          touched = true;
          shown.what = link.role;
        }
        if (touched) shown.cells.push_back(row.name());
      }
      // Seen through a filter of cells, the failures of others are not shown.
      if (!shown.cells.empty() || options_.cell_prefix.empty()) report_.failures.push_back(std::move(shown));
    }
  }

  void make_coverage_and_costs() {
    Coverage& coverage = report_.coverage;
    coverage.cells = static_cast<int64_t>(cells_.size());
    coverage.rows = static_cast<int64_t>(report_.rows.size());
    const int64_t latest = report_.runs.empty() ? 0 : report_.runs.back().id;
    std::map<std::string, int64_t> uses;
    for (const CellRow& cell : cells_) {
      coverage.illegal += !cell.illegal.empty();
      for (const Link& link : links_[cell.key]) ++uses[link.step_key];
    }
    for (const auto& [key, count] : uses) count_use(key, count, latest);
    coverage.shared = coverage.links - coverage.steps;
    std::set<std::string> keys;
    for (const auto& [key, count] : uses) keys.insert(key);
    if (options_.cell_prefix.empty()) {  // statistics serve cells through other steps: no cell links to them
      for (const auto& key : store_.step_keys(options_.run)) keys.insert(key);
    }
    make_costs(keys);
  }

  void count_use(const std::string& key, int64_t count, int64_t latest) {
    Coverage& coverage = report_.coverage;
    coverage.links += count;
    ++coverage.steps;
    const StepOutcome* outcome = step(key);
    if (outcome == nullptr) {
      ++(failed_.count(key) != 0 ? coverage.failed : coverage.not_run);
      return;
    }
    ++(outcome->run == latest ? coverage.run : coverage.cached);
    report_.saved_s += static_cast<double>(count - 1) * outcome->wall_s;
  }

  void make_costs(const std::set<std::string>& keys) {
    std::map<std::string, CostLine> costs;
    CostLine sum{"all"};
    for (const auto& key : keys) {
      const StepOutcome* outcome = step(key);
      if (outcome == nullptr) continue;
      for (CostLine* line : {&costs[outcome->kind], &sum}) {
        ++line->steps;
        line->wall_s += outcome->wall_s;
        line->cpu_s += outcome->cpu_s;
        line->peak_rss_bytes = std::max(line->peak_rss_bytes, outcome->peak_rss_bytes);
      }
    }
    for (auto& [kind, line] : costs) {
      line.kind = kind;
      report_.costs.push_back(line);
    }
    if (!costs.empty()) report_.costs.push_back(sum);
  }

  void make_fallbacks() {
    for (size_t r = 0; r < report_.rows.size(); ++r) {
      const Row& row = report_.rows[r];
      if (row.ledger.fallbacks == 0) continue;
      const auto outcome = store_.step(row.quantize_key, false, true);
      for (const auto& layer : outcome->layers) {
        if (!layer.fallback.empty()) report_.fallbacks.push_back({r, layer.layer, layer.fallback});
      }
    }
  }

  void make_notes() {
    note_labels();
    note_warnings();
    note_pairing();
    const auto& c = report_.coverage;
    if (!report_.failures.empty()) {
      report_.notes.push_back(fmt::format(
          "{} failed; see Failures.",
          report_.failures.size() == 1 ? "1 step" : fmt::format("{} steps", report_.failures.size())));
    }
    if (c.not_run > 0)
      report_.notes.push_back(
          fmt::format("{} of {} steps have not run: the table is incomplete.", c.not_run, c.steps));
    if (!report_.fallbacks.empty()) {
      report_.notes.push_back(fmt::format("{} layer{} fell back from what the method asks for; see Ledger.",
                                          report_.fallbacks.size(),
                                          report_.fallbacks.size() == 1 ? "" : "s"));
    }
  }

  /// Labels of cells, each once, with the models or cells it is about.
  void note_labels() {
    std::vector<std::pair<std::string, std::string>> order;  // model, label
    std::map<std::pair<std::string, std::string>, size_t> cells_with;
    std::map<std::string, size_t> cells_of;
    for (const CellRow& cell : cells_) {
      ++cells_of[cell.model];
      for (const Json& note : cell.notes) {
        const std::pair<std::string, std::string> label = {cell.model, text_of(note)};
        if (cells_with[label]++ == 0) order.push_back(label);
      }
    }
    for (const auto& label : order) {
      const std::string text = model_titles_[label.first] + ": " + label.second;
      const size_t with = cells_with[label], of = cells_of[label.first];
      report_.notes.push_back(with == of ? text : fmt::format("{} ({} of {} cells)", text, with, of));
    }
  }

  /// What a step says about its own numbers: "warnings", values that are not finite, requests that did not
  /// fit.
  static std::vector<std::string> warnings_of(const StepOutcome& outcome) {
    std::vector<std::string> warnings;
    if (!outcome.facts.is_object()) return warnings;
    const auto positive = [](const Json& facts, const char* key) {
      return facts.is_object() && facts.contains(key) && facts.at(key).is_number() &&
             facts.at(key).get<double>() > 0;
    };
    if (const auto listed = outcome.facts.find("warnings");
        listed != outcome.facts.end() && listed->is_array()) {
      for (const Json& warning : *listed) warnings.push_back(text_of(warning));
    }
    if (positive(outcome.facts, "diverged")) {
      warnings.push_back(text_of(outcome.facts.at("diverged")) + " values are not finite");
    }
    if (outcome.facts.contains("requests") && positive(outcome.facts.at("requests"), "truncated")) {
      warnings.push_back(text_of(outcome.facts.at("requests").at("truncated")) +
                         " requests were longer than the model's context and lost their beginning");
    }
    return warnings;
  }

  void note_warnings() {
    std::vector<std::string> order;
    std::map<std::string, std::set<std::string>> steps_with;
    for (const Row& row : report_.rows) {
      for (const Link& link : links_[row.cell]) {
        const StepOutcome* outcome = step(link.step_key);
        if (outcome == nullptr) continue;
        for (const std::string& warning : warnings_of(*outcome)) {
          const std::string text = link.role + ": " + warning;
          add_distinct(order, text);
          steps_with[text].insert(link.step_key);
        }
      }
    }
    for (const std::string& text : order) {
      const size_t count = steps_with[text].size();
      report_.notes.push_back(count == 1 ? text : fmt::format("{} ({} steps)", text, count));
    }
  }

  void note_pairing() {
    std::set<std::string> unequal, bare;
    for (const Row& row : report_.rows) {
      if (!row.baseline && row.illegal.empty() && !row.baseline_row) bare.insert(row.model_title);
      for (size_t c = 0; c < row.entries.size(); ++c) {
        if (row.entries[c] && row.entries[c]->against_baseline &&
            row.entries[c]->against_baseline->unpaired > 0)
          unequal.insert(report_.columns[c].title);
      }
    }
    for (const auto& model : bare)
      report_.notes.push_back(model + ": no baseline was measured; there are no deltas.");
    for (const auto& title : unequal)
      report_.notes.push_back(title +
                              ": some cells were scored on other items than the baseline; tests use the "
                              "common items, deltas do not.");
  }

  const Store& store_;
  const ReportOptions& options_;
  Report report_;
  std::vector<CellRow> cells_;
  std::unordered_map<std::string, std::vector<Link>> links_;
  std::unordered_map<std::string, std::optional<StepOutcome>> steps_;
  std::unordered_map<std::string, std::optional<ItemColumns>> items_;
  std::map<std::string, std::string> model_titles_;
  std::vector<FailureRow> all_failures_;
  std::unordered_map<std::string, size_t> failed_;
  std::unordered_map<std::string, size_t> columns_;
  std::vector<std::set<std::string>> roles_;  // of each column
};

}  // namespace

std::optional<int64_t> Row::bytes() const {
  if (ledger.layers == 0) return std::nullopt;
  return std::llround(ledger.bits_effective * static_cast<double>(ledger.parameters) / 8);
}

std::string Row::name() const {
  std::string text = recipe;
  if (scheme != recipe) text += " " + scheme;
  if (!calibration.empty()) text += " " + calibration_title;
  return text;
}

Report build_report(const Store& store, const ReportOptions& options) {
  return Builder(store, options).build();
}

}  // namespace qbench::reports
