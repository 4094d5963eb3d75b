#include "reports/view/tables.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <tuple>

#include "reports/view/names.h"

namespace qbench::reports {
namespace {

constexpr const char* kNone = "–";

Value text(std::string content, Tone tone = Tone::kPlain) {
  return {std::move(content), "", std::nullopt, tone};
}
Value number(std::string content, double value) { return {std::move(content), "", value, Tone::kPlain}; }
Value count(int64_t value) { return number(std::to_string(value), static_cast<double>(value)); }

Value state_value(EntryState state) {
  switch (state) {
    case EntryState::kFailed:
      return text("failed", Tone::kBad);
    case EntryState::kIllegal:
      return text("not legal", Tone::kDim);
    case EntryState::kNotRun:
      return text("not run", Tone::kWarn);
    default:
      return text(kNone, Tone::kDim);
  }
}

std::string short_key(const std::string& key) { return key.substr(0, 12); }

Value score_value(const Row& row, size_t column) {
  if (!row.entries[column]) return state_value(row.states[column]);
  const auto& score = row.entries[column]->score;
  return number(format_score(score.metric, score.value), score.value);
}

/// Coloured only where the difference is significant: the eye should not follow noise.
Value delta_value(const ScoreColumn& column, const Row& row, size_t c) {
  if (!row.entries[c] || !row.entries[c]->against_baseline) return text("", Tone::kDim);
  const Comparison& comparison = *row.entries[c]->against_baseline;
  Value value = number(format_delta(column.metric, comparison.delta), comparison.delta);
  value.suffix = stars(comparison.p_adjusted);
  if (!value.suffix.empty())
    value.tone = (comparison.delta > 0) == column.higher_is_better ? Tone::kGood : Tone::kBad;
  return value;
}

/// Models in order, each with the indices of its rows.
std::vector<std::vector<size_t>> rows_by_model(const Report& report) {
  std::vector<std::vector<size_t>> models;
  for (size_t r = 0; r < report.rows.size(); ++r) {
    const bool same = r > 0 && report.rows[r].model == report.rows[r - 1].model &&
                      report.rows[r].model_hash == report.rows[r - 1].model_hash;
    if (!same) models.emplace_back();
    models.back().push_back(r);
  }
  return models;
}

std::string baseline_caption(const Report& report, const std::vector<size_t>& rows, size_t column) {
  const ScoreColumn& c = report.columns[column];
  for (const size_t r : rows) {
    const Row& row = report.rows[r];
    if (!row.baseline || !row.entries[column]) continue;
    const auto& score = row.entries[column]->score;
    std::string line = fmt::format("Baseline {} = {}", row.recipe, format_score(c.metric, score.value));
    if (score.stderr_) line += fmt::format(" ± {}", format_score(c.metric, *score.stderr_));
    return line +
           fmt::format(", n = {}. Protocol {}; {} is better. In brackets the difference to the baseline.",
                       score.n, c.protocol, c.higher_is_better ? "higher" : "lower");
  }
  return fmt::format("No baseline. Protocol {}; {} is better.", c.protocol,
                     c.higher_is_better ? "higher" : "lower");
}

struct Line {
  std::string recipe, calibration_title;
  size_t calibration = 0;
  int64_t seed = 0;
  bool holds(const Row& row) const {
    return row.recipe == recipe && row.calibration_title == calibration_title && row.seed == seed;
  }
};

/// Recipe by recipe. What is not legal has a line of its own only if the recipe is legal with no scheme at
/// all.
std::vector<Line> matrix_lines(const Report& report, const std::vector<size_t>& rows) {
  std::vector<Line> lines;
  for (const bool legal : {true, false}) {
    for (const auto& recipe : report.recipes) {
      const bool known =
          std::any_of(lines.begin(), lines.end(), [&](const Line& line) { return line.recipe == recipe; });
      if (!legal && known) continue;
      for (const size_t r : rows) {
        const Row& row = report.rows[r];
        if (row.baseline || row.recipe != recipe || row.illegal.empty() != legal) continue;
        if (std::any_of(lines.begin(), lines.end(), [&](const Line& line) { return line.holds(row); }))
          continue;
        const auto place =
            std::find(report.calibrations.begin(), report.calibrations.end(), row.calibration) -
            report.calibrations.begin();
        lines.push_back({row.recipe, row.calibration_title,
                         row.calibration.empty() ? 0 : static_cast<size_t>(place) + 1, row.seed});
      }
    }
  }
  const auto order = [&](const Line& line) {
    return std::make_tuple(
        std::find(report.recipes.begin(), report.recipes.end(), line.recipe) - report.recipes.begin(),
        line.calibration, line.seed);
  };
  std::stable_sort(lines.begin(), lines.end(),
                   [&](const Line& a, const Line& b) { return order(a) < order(b); });
  return lines;
}

bool several_seeds(const Report& report) {
  return std::any_of(report.rows.begin(), report.rows.end(),
                     [&](const Row& row) { return row.seed != report.rows.front().seed; });
}

Value matrix_value(const ScoreColumn& column, const Row& row, size_t c) {
  Value value = score_value(row, c);
  const Value delta = delta_value(column, row, c);
  if (!delta.text.empty()) value.text += fmt::format(" ({}{})", delta.text, delta.suffix);
  value.tone = row.entries[c] ? delta.tone : value.tone;
  return value;
}

Value line_value(const Report& report, const std::vector<size_t>& rows, const Line& line,
                 const std::string& scheme, size_t column) {
  bool illegal = false;
  for (const size_t r : rows) {
    const Row& row = report.rows[r];
    if (row.baseline || row.scheme != scheme || row.recipe != line.recipe) continue;
    if (row.illegal.empty() && line.holds(row)) return matrix_value(report.columns[column], row, column);
    illegal = illegal || !row.illegal.empty();
  }
  return illegal ? state_value(EntryState::kIllegal) : text("", Tone::kDim);
}

Table score_matrix(const Report& report, const std::vector<size_t>& rows, size_t column) {
  Table table;
  const ScoreColumn& score = report.columns[column];
  table.title = fmt::format("{}: {}", report.rows[rows.front()].model_title, score.title);
  table.caption = baseline_caption(report, rows, column);
  const bool seeds = several_seeds(report);
  table.columns = {{"recipe"}, {"calibration"}};
  if (seeds) table.columns.push_back({"seed", true});
  for (const auto& scheme : report.schemes) table.columns.push_back({scheme, true});
  for (const Line& line : matrix_lines(report, rows)) {
    auto& values = table.rows.emplace_back();
    values = {text(line.recipe), text(line.calibration_title)};
    if (seeds) values.push_back(count(line.seed));
    for (const auto& scheme : report.schemes)
      values.push_back(line_value(report, rows, line, scheme, column));
  }
  return table;
}

std::vector<Value> scheme_line(const Report& report, const Row& row, const std::vector<size_t>& columns,
                               bool seeds) {
  std::vector<Value> line = {text(row.recipe), text(row.calibration_title)};
  if (seeds) line.push_back(count(row.seed));
  for (const size_t c : columns) {
    line.push_back(score_value(row, c));
    line.push_back(delta_value(report.columns[c], row, c));
  }
  line.push_back(row.ledger.layers > 0
                     ? number(format_bits(row.ledger.bits_effective), row.ledger.bits_effective)
                     : text(""));
  line.push_back(row.quantize_s ? number(format_seconds(*row.quantize_s), *row.quantize_s) : text(""));
  return line;
}

bool is_hidden(const Report& report, size_t c, size_t most_metrics) {
  const auto same_task = [&](const ScoreColumn& other) {
    return other.task == report.columns[c].task && other.protocol == report.columns[c].protocol;
  };
  const auto place = report.columns.begin() + static_cast<std::ptrdiff_t>(c);
  const bool first = std::none_of(report.columns.begin(), place, same_task);
  return !first && static_cast<size_t>(
                       std::count_if(report.columns.begin(), report.columns.end(), same_task)) > most_metrics;
}

Table scheme_table(const Report& report, const std::vector<size_t>& rows, const std::string& scheme,
                   size_t most_metrics) {
  Table table;
  table.title = fmt::format("{}, {}", report.rows[rows.front()].model_title, scheme);
  std::vector<size_t> columns;
  for (size_t c = 0; c < report.columns.size(); ++c) {
    const bool asked = std::any_of(rows.begin(), rows.end(), [&](size_t r) {
      return report.rows[r].states[c] != EntryState::kNotAsked;
    });
    if (asked && !is_hidden(report, c, most_metrics)) columns.push_back(c);
  }
  const bool seeds = several_seeds(report);
  table.columns = {{"recipe"}, {"calibration"}};
  if (seeds) table.columns.push_back({"seed", true});
  for (const size_t c : columns) {
    table.columns.push_back({metric_title(report.columns[c].metric), true, report.columns[c].task_title});
    table.columns.push_back({"Δ", true, report.columns[c].task_title});
  }
  table.columns.push_back({"bits", true});
  table.columns.push_back({"time", true});
  for (const size_t r : rows) {
    const Row& row = report.rows[r];
    if (row.baseline || row.scheme == scheme) table.rows.push_back(scheme_line(report, row, columns, seeds));
  }
  return table;
}

}  // namespace

std::vector<Table> score_matrices(const Report& report) {
  std::vector<Table> tables;
  for (const auto& rows : rows_by_model(report)) {
    for (size_t c = 0; c < report.columns.size(); ++c) {
      const bool asked = std::any_of(rows.begin(), rows.end(), [&](size_t r) {
        return report.rows[r].states[c] != EntryState::kNotAsked;
      });
      if (asked) tables.push_back(score_matrix(report, rows, c));
    }
  }
  return tables;
}

bool hides_metrics(const Report& report, size_t most_metrics) {
  for (size_t c = 0; c < report.columns.size(); ++c) {
    if (is_hidden(report, c, most_metrics)) return true;
  }
  return false;
}

std::vector<Table> scheme_tables(const Report& report, size_t most_metrics) {
  std::vector<Table> tables;
  for (const auto& rows : rows_by_model(report)) {
    bool any = false;
    for (const auto& scheme : report.schemes) {
      if (std::none_of(rows.begin(), rows.end(),
                       [&](size_t r) { return !report.rows[r].baseline && report.rows[r].scheme == scheme; }))
        continue;
      tables.push_back(scheme_table(report, rows, scheme, most_metrics));
      any = true;
    }
    if (!any) tables.push_back(scheme_table(report, rows, report.rows[rows.front()].scheme, most_metrics));
  }
  return tables;
}

Table cell_table(const Report& report) {
  Table table{"Cells",
              "Bits, size and errors are of the quantized linears; embeddings and head are kept.",
              {{"model"},
               {"recipe"},
               {"calibration"},
               {"scheme"},
               {"seed", true},
               {"bits", true},
               {"effective bits", true},
               {"size", true},
               {"layers", true},
               {"fallbacks", true},
               {"quantize time", true},
               {"peak memory", true},
               {"artifact"},
               {"cell"}},
              {}};
  for (const Row& row : report.rows) {
    const bool ledger = row.ledger.layers > 0;
    table.rows.push_back(
        {text(row.model_title), text(row.recipe), text(row.calibration_title), text(row.scheme),
         count(row.seed),
         ledger ? number(format_bits(row.ledger.bits_nominal), row.ledger.bits_nominal) : text(""),
         ledger ? number(format_bits(row.ledger.bits_effective), row.ledger.bits_effective) : text(""),
         ledger ? number(format_bytes(*row.bytes()), static_cast<double>(*row.bytes())) : text(""),
         ledger ? count(row.ledger.layers) : text(""), ledger ? count(row.ledger.fallbacks) : text(""),
         row.quantize_s ? number(format_seconds(*row.quantize_s), *row.quantize_s) : text(""),
         row.quantize_rss ? number(format_bytes(*row.quantize_rss), static_cast<double>(*row.quantize_rss))
                          : text(""),
         text(short_key(row.artifact_hash)), text(short_key(row.cell))});
  }
  return table;
}

Table column_table(const Report& report) {
  Table table{"Scores", "", {{"score"}, {"task"}, {"metric"}, {"protocol"}, {"better"}}, {}};
  for (const ScoreColumn& c : report.columns) {
    table.rows.push_back({text(c.title), text(c.task), text(c.metric), text(c.protocol),
                          text(c.higher_is_better ? "higher" : "lower")});
  }
  return table;
}

Table spread_table(const Report& report) {
  Table table{"Calibration spread",
              "The same recipe and scheme over the calibration sets.",
              {{"score"},
               {"model"},
               {"recipe"},
               {"scheme"},
               {"sets", true},
               {"lowest", true},
               {"highest", true},
               {"range", true},
               {"best set"},
               {"worst set"}},
              {}};
  for (const Spread& spread : report.spreads) {
    const ScoreColumn& column = report.columns[spread.column];
    const auto title_of = [&](double value) {
      return std::find_if(spread.points.begin(), spread.points.end(),
                          [&](const auto& point) { return point.value == value; })
          ->calibration_title;
    };
    const double range = spread.highest - spread.lowest;
    const std::string recipe =
        several_seeds(report) ? fmt::format("{} (seed {})", spread.recipe, spread.seed) : spread.recipe;
    table.rows.push_back({text(column.title), text(spread.model), text(recipe), text(spread.scheme),
                          count(static_cast<int64_t>(spread.points.size())),
                          number(format_score(column.metric, spread.lowest), spread.lowest),
                          number(format_score(column.metric, spread.highest), spread.highest),
                          number(format_delta(column.metric, range).substr(1), range),
                          text(title_of(column.higher_is_better ? spread.highest : spread.lowest)),
                          text(title_of(column.higher_is_better ? spread.lowest : spread.highest))});
  }
  return table;
}

Table failure_table(const Report& report) {
  Table table{"Failures", "", {{"what"}, {"kind"}, {"where"}, {"message"}, {"after", true}, {"cells"}}, {}};
  for (const Failure& failure : report.failures) {
    std::string where = failure.row.phase;
    for (const std::string& part : {failure.row.layer, failure.row.signal}) {
      if (!part.empty()) where += (where.empty() ? "" : ", ") + part;
    }
    std::string cells;
    for (size_t i = 0; i < failure.cells.size() && i < 3; ++i)
      cells += (i > 0 ? "; " : "") + failure.cells[i];
    if (failure.cells.size() > 3) cells += fmt::format("; {} more", failure.cells.size() - 3);
    table.rows.push_back({text(failure.what), text(failure.row.kind, Tone::kBad), text(where),
                          text(failure.row.message),
                          number(format_seconds(failure.row.wall_s), failure.row.wall_s), text(cells)});
  }
  return table;
}

Table illegal_table(const Report& report) {
  Table table{"Combinations that are not legal", "", {{"model"}, {"recipe"}, {"scheme"}, {"reason"}}, {}};
  for (const Row& row : report.rows) {
    if (!row.illegal.empty())
      table.rows.push_back({text(row.model_title), text(row.recipe), text(row.scheme), text(row.illegal)});
  }
  return table;
}

Table fallback_table(const Report& report) {
  Table table{"Ledger: fallbacks",
              "Layers where the method could not do what it asks for.",
              {{"cell"}, {"layer"}, {"what happened"}},
              {}};
  for (const auto& line : report.fallbacks) {
    table.rows.push_back(
        {text(report.rows[line.row].name()), text(line.layer), text(line.fallback, Tone::kWarn)});
  }
  return table;
}

Table coverage_table(const Report& report) {
  const Coverage& c = report.coverage;
  Table table{"Coverage",
              "",
              {{"cells", true},
               {"not legal", true},
               {"step uses", true},
               {"shared", true},
               {"steps", true},
               {"from earlier runs", true},
               {"run", true},
               {"failed", true},
               {"not run", true}},
              {}};
  table.rows.push_back({count(c.cells), count(c.illegal), count(c.links), count(c.shared), count(c.steps),
                        count(c.cached), count(c.run), count(c.failed), count(c.not_run)});
  return table;
}

Table cost_table(const Report& report) {
  Table table{"Cost",
              fmt::format("Sharing steps between cells saved {}.", format_seconds(report.saved_s)),
              {{"steps of kind"},
               {"number", true},
               {"wall time", true},
               {"processor time", true},
               {"peak memory", true}},
              {}};
  for (const CostLine& line : report.costs) {
    table.rows.push_back(
        {text(line.kind), count(line.steps), number(format_seconds(line.wall_s), line.wall_s),
         number(format_seconds(line.cpu_s), line.cpu_s),
         number(format_bytes(line.peak_rss_bytes), static_cast<double>(line.peak_rss_bytes))});
  }
  return table;
}

Table run_table(const Report& report) {
  Table table{"Runs", "", {{""}}, {}};
  std::set<std::string> keys;
  for (const auto& run : report.runs) {
    table.columns.push_back({fmt::format("run {}", run.id)});
    if (!run.environment.is_object()) continue;
    for (const auto& [key, value] : run.environment.items()) keys.insert(key);
  }
  const auto add = [&](const std::string& name, const auto& value_of) {
    std::vector<Value> line = {text(name)};
    for (const auto& run : report.runs) line.push_back(text(value_of(run)));
    table.rows.push_back(std::move(line));
  };
  add("suite", [](const auto& run) { return run.suite_name; });
  add("suite hash", [](const auto& run) { return run.suite_hash; });
  add("started", [](const auto& run) { return run.started_at; });
  add("status", [](const auto& run) { return run.status.empty() ? "unfinished" : run.status; });
  for (const std::string& key : keys) {
    add(key, [&](const auto& run) -> std::string {
      if (!run.environment.is_object() || !run.environment.contains(key)) return "";
      const Json& value = run.environment.at(key);
      return value.is_string() ? value.template get<std::string>() : value.dump();
    });
  }
  return table;
}

}  // namespace qbench::reports
