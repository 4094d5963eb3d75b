#include <fmt/format.h>

#include <cmath>
#include <cstdlib>
#include <map>
#include <set>
#include <string_view>
#include <utility>

#include "harness/core/errors.h"
#include "reports/render/documents.h"
#include "reports/render/html.h"
#include "reports/view/names.h"

namespace qbench::reports {
namespace {

/// Above this number of ledger lines the page carries sums by kind of layer instead of every layer.
constexpr int64_t kMostLedgerLines = 12'000;

/// Six digits are more than a page shows; the full ones are in the JSON report.
Json brief(double value, int digits = 6) {
  if (!std::isfinite(value)) return nullptr;
  return std::strtod(fmt::format("{:.{}g}", value, digits).c_str(), nullptr);
}
Json brief(const std::optional<double>& value, int digits = 6) {
  return value ? brief(*value, digits) : Json(nullptr);
}

/// [value, n, delta, low, high, p, p_holm, flips, test], or the state as a word. low and high: 95 % interval
/// of the delta.
Json entry_json(const Row& row, size_t c) {
  static const char* const kStates[] = {"", "failed", "not legal", "not run", ""};
  if (!row.entries[c]) return kStates[static_cast<size_t>(row.states[c])];
  const Entry& entry = *row.entries[c];
  Json json = Json::array({brief(entry.score.value, 7), entry.score.n});
  if (!entry.against_baseline) return json;
  const Comparison& against = *entry.against_baseline;
  const std::optional<Interval>& interval = against.interval;
  json.push_back(brief(against.delta, 5));
  json.push_back(interval ? brief(interval->low, 5) : Json(nullptr));
  json.push_back(interval ? brief(interval->high, 5) : Json(nullptr));
  json.push_back(brief(against.p, 4));
  json.push_back(brief(against.p_adjusted, 4));
  json.push_back(against.test == "exact McNemar" ? Json(against.flips.size()) : Json(nullptr));
  json.push_back(against.test);
  return json;
}

Json row_json(const Report& report, const Row& row) {
  Json entries = Json::array();
  for (size_t c = 0; c < report.columns.size(); ++c) entries.push_back(entry_json(row, c));
  Json json = {{"m", row.model_title},
               {"r", row.recipe},
               {"s", row.scheme},
               {"c", row.calibration_title},
               {"k", row.cell.substr(0, 16)},
               {"e", std::move(entries)}};
  if (row.seed != 0) json["seed"] = row.seed;
  if (row.baseline) json["base"] = true;
  if (row.baseline_row) json["b"] = *row.baseline_row;
  if (!row.illegal.empty()) json["x"] = row.illegal;
  if (!row.artifact_hash.empty()) json["a"] = row.artifact_hash.substr(0, 16);
  if (!row.calibration.empty()) json["cs"] = row.calibration;
  if (row.quantize_s) json["t"] = format_seconds(*row.quantize_s);
  if (row.quantize_rss) json["rss"] = format_bytes(*row.quantize_rss);
  if (row.ledger.layers > 0) {
    json["bits"] = brief(row.ledger.bits_effective);
    json["nom"] = brief(row.ledger.bits_nominal);
    json["size"] = format_bytes(*row.bytes());
    json["n"] = row.ledger.layers;
    if (row.ledger.fallbacks > 0) json["fb"] = row.ledger.fallbacks;
  }
  return json;
}

/// "model.layers.12.mlp.down_proj" -> "mlp.down_proj"
std::string layer_kind(const std::string& layer) {
  const size_t digit = layer.find_last_of("0123456789");
  const size_t dot = digit == std::string::npos ? std::string::npos : layer.find('.', digit);
  return dot == std::string::npos ? layer : layer.substr(dot + 1);
}

class LedgerWriter {
 public:
  LedgerWriter(const Report& report, const results::Store& store) : report_(report), store_(store) {
    int64_t lines = 0;
    for (const Row& row : report.rows) lines += row.ledger.layers;
    whole_ = lines <= kMostLedgerLines;
  }

  /// {"names": [...], "rows": {"3": [[name, bits, weight error, output error, fallback?], ...]}}; or, with
  /// "sums": true, by kind: [name, layers, bits, largest weight error, largest output error].
  Json write() {
    Json rows = Json::object();
    for (size_t r = 0; r < report_.rows.size(); ++r) {
      const Row& row = report_.rows[r];
      if (row.ledger.layers == 0) continue;
      const auto outcome = store_.step(row.quantize_key, false, true);
      rows[std::to_string(r)] = whole_ ? all_layers(outcome->layers) : by_kind(outcome->layers);
    }
    return {{"sums", !whole_}, {"names", names_}, {"rows", std::move(rows)}};
  }

 private:
  size_t name(const std::string& text) {
    const auto [place, added] = places_.try_emplace(text, places_.size());
    if (added) names_.push_back(text);
    return place->second;
  }

  Json all_layers(const std::vector<results::LayerRow>& layers) {
    Json lines = Json::array();
    for (const auto& layer : layers) {
      Json line = {name(layer.layer), brief(layer.bits_effective, 4), brief(layer.weight_error, 3),
                   brief(layer.output_error, 3)};
      if (!layer.fallback.empty()) line.push_back(layer.fallback);
      lines.push_back(std::move(line));
    }
    return lines;
  }

  Json by_kind(const std::vector<results::LayerRow>& layers) {
    struct Sum {
      int64_t layers = 0;
      double bits = 0, parameters = 0, weight_error = 0;
      std::optional<double> output_error;
    };
    std::map<std::string, Sum> sums;
    for (const auto& layer : layers) {
      Sum& sum = sums[layer_kind(layer.layer)];
      ++sum.layers;
      sum.bits += layer.bits_effective * static_cast<double>(layer.parameters);
      sum.parameters += static_cast<double>(layer.parameters);
      sum.weight_error = std::max(sum.weight_error, layer.weight_error);
      if (layer.output_error) sum.output_error = std::max(sum.output_error.value_or(0), *layer.output_error);
    }
    Json lines = Json::array();
    for (const auto& [kind, sum] : sums) {
      lines.push_back({name(kind), sum.layers, brief(sum.bits / sum.parameters, 4),
                       brief(sum.weight_error, 3), brief(sum.output_error, 3)});
    }
    return lines;
  }

  const Report& report_;
  const results::Store& store_;
  bool whole_ = true;
  std::map<std::string, size_t> places_;
  Json names_ = Json::array();
};

Json failures_json(const Report& report) {
  Json all = Json::array();
  for (const Failure& failure : report.failures) {
    const auto& row = failure.row;
    all.push_back({{"what", failure.what},
                   {"kind", row.kind},
                   {"message", row.message},
                   {"signal", row.signal},
                   {"phase", row.phase},
                   {"layer", row.layer},
                   {"log", row.log_tail},
                   {"after", format_seconds(row.wall_s)},
                   {"cells", failure.cells}});
  }
  return all;
}

Json page_data(const Report& report, const results::Store& store) {
  Json data = {{"notes", report.notes}, {"recipes", report.recipes}, {"schemes", report.schemes}};
  data["calibrations"] = short_names(report.calibrations);
  for (const char* key : {"columns", "rows", "spreads", "costs", "fallbacks", "runs"})
    data[key] = Json::array();
  for (const ScoreColumn& c : report.columns) {
    data["columns"].push_back({{"title", c.title},
                               {"group", c.task_title},
                               {"name", metric_title(c.metric)},
                               {"task", c.task},
                               {"metric", c.metric},
                               {"protocol", c.protocol},
                               {"up", c.higher_is_better},
                               {"share", is_share(c.metric)}});
  }
  for (const Row& row : report.rows) data["rows"].push_back(row_json(report, row));
  for (const CostLine& line : report.costs) {
    data["costs"].push_back({line.kind, line.steps, format_seconds(line.wall_s), format_seconds(line.cpu_s),
                             format_bytes(line.peak_rss_bytes)});
  }
  data["saved"] = format_seconds(report.saved_s);
  for (const auto& line : report.fallbacks)
    data["fallbacks"].push_back({report.rows[line.row].name(), line.layer, line.fallback});
  for (const auto& run : report.runs) {
    data["runs"].push_back({{"id", run.id},
                            {"suite", run.suite_name},
                            {"hash", run.suite_hash},
                            {"started", run.started_at},
                            {"status", run.status},
                            {"env", run.environment},
                            {"yaml", run.suite_yaml}});
  }
  const Coverage& c = report.coverage;
  data["coverage"] = Json::array({Json::array({"cells", c.cells}), Json::array({"not legal", c.illegal}),
                                  Json::array({"steps", c.steps}), Json::array({"shared uses", c.shared}),
                                  Json::array({"from earlier runs", c.cached}), Json::array({"run", c.run}),
                                  Json::array({"failed", c.failed}), Json::array({"not run", c.not_run})});
  data["failures"] = failures_json(report);
  data["ledger"] = LedgerWriter(report, store).write();
  return data;
}

}  // namespace

std::string html_escape(std::string_view text) {
  std::string safe;
  for (const char c : text) {
    switch (c) {
      case '&':
        safe += "&amp;";
        break;
      case '<':
        safe += "&lt;";
        break;
      case '>':
        safe += "&gt;";
        break;
      case '"':
        safe += "&quot;";
        break;
      case '\'':
        safe += "&#39;";
        break;
      default:
        safe += c;
    }
  }
  return safe;
}

std::string script_json(const Json& json) {
  const std::string text = json.dump(-1, ' ', false, Json::error_handler_t::replace);
  std::string safe;
  safe.reserve(text.size());
  for (const char c : text) {
    if (c == '<') {
      safe += "\\u003c";
    } else {
      safe += c;
    }
  }
  return safe;
}

std::string_view asset(std::string_view name) {
  for (const auto& [file, content] : assets()) {
    if (file == name) return content;
  }
  check_failed("the asset is embedded", std::string(name));
}

std::string html_page(const std::string& title, std::string_view script, const Json& data) {
  std::string page =
      "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
      "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; "
      "script-src 'unsafe-inline'\">\n";
  page += "<title>" + html_escape(title) + "</title>\n<style>\n";
  page.append(asset("report.css"));
  page += "</style>\n</head>\n<body>\n<header class=\"page\"><h1>" + html_escape(title) +
          "</h1></header>\n<main id=\"main\"><noscript><section>This page draws its tables and plots with "
          "JavaScript; "
          "<code>qbench report --format md</code> writes one without.</section></noscript></main>\n<div "
          "id=\"tip\" role=\"status\" hidden></div>\n"
          "<script type=\"application/json\" id=\"data\">";
  page += script_json(data) + "</script>\n<script>\n";
  page.append(asset("common.js"));
  page.append(script);
  page += "</script>\n</body>\n</html>\n";
  return page;
}

std::string html_document(const Report& report, const results::Store& store) {
  std::string names;
  std::set<std::string> seen;
  for (const auto& run : report.runs) {
    if (seen.insert(run.suite_name).second) names += (names.empty() ? "" : ", ") + run.suite_name;
  }
  return html_page("qbench report" + (names.empty() ? "" : ": " + names), asset("report.js"),
                   page_data(report, store));
}

}  // namespace qbench::reports
