#include <cmath>

#include "reports/render/documents.h"
#include "reports/render/json_values.h"

namespace qbench::reports {
namespace {

Json score_json(const Entry& entry) {
  Json json = {{"value", json_number(entry.score.value)},
               {"stderr", json_number(entry.score.stderr_)},
               {"n", entry.score.n},
               {"step", entry.step_key}};
  if (entry.against_baseline) json["against_baseline"] = comparison_json(*entry.against_baseline, false);
  return json;
}

Json row_json(const Report& report, const Row& row) {
  Json scores = Json::array();
  static const char* const kStates[] = {"done", "failed", "illegal", "not run", "not asked"};
  for (size_t c = 0; c < report.columns.size(); ++c) {
    if (row.states[c] == EntryState::kNotAsked) continue;
    Json score = row.entries[c] ? score_json(*row.entries[c]) : Json::object();
    score["column"] = c;
    score["state"] = kStates[static_cast<size_t>(row.states[c])];
    scores.push_back(std::move(score));
  }
  Json json = {{"cell", row.cell},
               {"cells", row.cells},
               {"model", row.model},
               {"model_hash", row.model_hash},
               {"recipe", row.recipe},
               {"scheme", row.scheme},
               {"calibration", row.calibration},
               {"calibration_hash", row.calibration_hash},
               {"seed", row.seed},
               {"baseline", row.baseline},
               {"illegal", row.illegal},
               {"artifact_hash", row.artifact_hash},
               {"scores", std::move(scores)}};
  if (row.baseline_row) json["baseline_row"] = *row.baseline_row;
  if (row.quantize_s) json["quantize_s"] = *row.quantize_s;
  if (row.ledger.layers > 0) {
    json["ledger"] = {{"layers", row.ledger.layers},
                      {"parameters", row.ledger.parameters},
                      {"fallbacks", row.ledger.fallbacks},
                      {"bits_nominal", row.ledger.bits_nominal},
                      {"bits_effective", row.ledger.bits_effective},
                      {"bytes", *row.bytes()}};
  }
  return json;
}

Json failures_json(const Report& report) {
  Json all = Json::array();
  for (const Failure& failure : report.failures) {
    const auto& row = failure.row;
    all.push_back({{"step", row.step_key},
                   {"what", failure.what},
                   {"kind", row.kind},
                   {"message", row.message},
                   {"signal", row.signal},
                   {"phase", row.phase},
                   {"layer", row.layer},
                   {"log_tail", row.log_tail},
                   {"wall_s", row.wall_s},
                   {"run", row.run},
                   {"cells", failure.cells}});
  }
  return all;
}

Json spreads_json(const Report& report) {
  Json all = Json::array();
  for (const Spread& spread : report.spreads) {
    Json points = Json::array();
    for (const auto& point : spread.points) points.push_back({{"row", point.row}, {"value", point.value}});
    all.push_back({{"model", spread.model},
                   {"recipe", spread.recipe},
                   {"scheme", spread.scheme},
                   {"seed", spread.seed},
                   {"column", spread.column},
                   {"lowest", spread.lowest},
                   {"highest", spread.highest},
                   {"points", std::move(points)}});
  }
  return all;
}

Json costs_json(const Report& report) {
  Json all = Json::array();
  for (const CostLine& line : report.costs) {
    all.push_back({{"kind", line.kind},
                   {"steps", line.steps},
                   {"wall_s", line.wall_s},
                   {"cpu_s", line.cpu_s},
                   {"peak_rss_bytes", line.peak_rss_bytes}});
  }
  return all;
}

}  // namespace

Json comparison_json(const Comparison& comparison, bool with_flips) {
  Json json = {{"delta", json_number(comparison.delta)},
               {"delta_stderr", json_number(comparison.delta_stderr)},
               {"test", comparison.test},
               {"p", json_number(comparison.p)},
               {"p_holm", json_number(comparison.p_adjusted)},
               {"paired_items", comparison.paired},
               {"unpaired_items", comparison.unpaired}};
  if (comparison.interval)
    json["interval95"] = {json_number(comparison.interval->low), json_number(comparison.interval->high)};
  if (comparison.test == "exact McNemar") {
    json["n10"] = comparison.n10;
    json["n01"] = comparison.n01;
    json["flips"] = comparison.flips.size();
  }
  if (!with_flips) return json;
  json["flipped_items"] = Json::array();
  for (const Flip& flip : comparison.flips)
    json["flipped_items"].push_back({{"item", flip.item}, {"was", flip.was}, {"is", flip.is}});
  return json;
}

std::string json_text(const Json& json) {
  return json.dump(1, ' ', false, Json::error_handler_t::replace) + "\n";
}

std::string json_document(const Report& report) {
  Json document = {{"schema_version", 1},
                   {"kind", "report"},
                   {"store_schema", results::kSchemaVersion},
                   {"notes", report.notes}};
  document["runs"] = Json::array();
  for (const auto& run : report.runs) {
    document["runs"].push_back({{"id", run.id},
                                {"suite_name", run.suite_name},
                                {"suite_hash", run.suite_hash},
                                {"suite_yaml", run.suite_yaml},
                                {"started_at", run.started_at},
                                {"status", run.status},
                                {"environment", run.environment}});
  }
  document["columns"] = Json::array();
  for (const ScoreColumn& c : report.columns) {
    document["columns"].push_back({{"task", c.task},
                                   {"metric", c.metric},
                                   {"protocol", c.protocol},
                                   {"title", c.title},
                                   {"higher_is_better", c.higher_is_better}});
  }
  document["rows"] = Json::array();
  for (const Row& row : report.rows) document["rows"].push_back(row_json(report, row));
  document["failures"] = failures_json(report);
  const Coverage& c = report.coverage;
  document["coverage"] = {{"cells", c.cells},     {"illegal", c.illegal}, {"rows", c.rows},
                          {"step_uses", c.links}, {"steps", c.steps},     {"shared", c.shared},
                          {"cached", c.cached},   {"run", c.run},         {"failed", c.failed},
                          {"not_run", c.not_run}};
  document["calibration_spreads"] = spreads_json(report);
  document["costs"] = costs_json(report);
  document["saved_s"] = report.saved_s;
  document["fallbacks"] = Json::array();
  for (const auto& line : report.fallbacks)
    document["fallbacks"].push_back({{"row", line.row}, {"layer", line.layer}, {"fallback", line.fallback}});
  return json_text(document);
}

}  // namespace qbench::reports
