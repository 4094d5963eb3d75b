#include <fmt/format.h>

#include <algorithm>

#include "harness/core/errors.h"
#include "reports/diff.h"
#include "reports/render/html.h"
#include "reports/render/json_values.h"
#include "reports/render/text.h"
#include "reports/report.h"
#include "reports/view/names.h"
#include "reports/view/tables.h"

namespace qbench::reports {
namespace {

constexpr size_t kMostFlipsShown = 20;  // per score, in terminal and Markdown; JSON and HTML have all

std::string verdict(const DiffResult& diff) {
  if (diff.same())
    return fmt::format("The same: {} common cells, {} scores, all identical.", diff.common_cells,
                       diff.scores.size());
  return fmt::format(
      "Different: {} of {} scores of {} common cells differ, {} artifact hashes differ, {} entries on one "
      "side only.",
      diff.changed_scores(), diff.scores.size(), diff.common_cells, diff.artifacts.size(),
      diff.one_sided.size());
}

Value plain(std::string text, Tone tone = Tone::kPlain) { return {std::move(text), "", std::nullopt, tone}; }
Value numeric(std::string text) { return {std::move(text), "", std::nullopt, Tone::kPlain}; }

std::string shortened(const std::string& text) {
  return text.size() > 60 ? text.substr(0, 57) + "..." : text;
}

Table configuration_table(const DiffResult& diff) {
  Table table{"What differs in how they were made", "", {{"what"}, {"A"}, {"B"}}, {}};
  for (const auto& line : diff.configuration)
    table.rows.push_back({plain(line.what), plain(shortened(line.a)), plain(shortened(line.b))});
  return table;
}

std::string interval_text(const ScoreDifference& score) {
  const auto& interval = score.comparison.interval;
  return interval ? format_delta(score.column.metric, interval->low) + " … " +
                        format_delta(score.column.metric, interval->high)
                  : "";
}

Table score_table(const DiffResult& diff) {
  Table table{
      "Scores that differ",
      "B against A, item by item. * p < 0.05, ** p < 0.01, *** p < 0.001, Holm-corrected within each score.",
      {{"cell"},
       {"score"},
       {"A", true},
       {"B", true},
       {"B − A", true},
       {"95 % interval", true},
       {"p", true},
       {"p (Holm)", true},
       {"flips", true},
       {"test"}},
      {}};
  for (const auto& score : diff.scores) {
    if (score.identical) continue;
    const Comparison& c = score.comparison;
    Value delta = numeric(format_delta(score.column.metric, c.delta));
    delta.suffix = stars(c.p_adjusted);
    if (!delta.suffix.empty())
      delta.tone = (c.delta > 0) == score.column.higher_is_better ? Tone::kGood : Tone::kBad;
    table.rows.push_back(
        {plain(score.cell), plain(score.column.title), numeric(format_score(score.column.metric, score.a)),
         numeric(format_score(score.column.metric, score.b)), delta, plain(interval_text(score)),
         plain(c.p ? format_p(*c.p) : ""), plain(c.p_adjusted ? format_p(*c.p_adjusted) : ""),
         plain(c.test == "exact McNemar" ? fmt::format("{} (−{} +{})", c.flips.size(), c.n10, c.n01) : ""),
         plain(c.test)});
  }
  return table;
}

Table flip_table(const DiffResult& diff) {
  Table table{"Flips",
              "Items whose answer changed: right in A and wrong in B, and the reverse.",
              {{"cell"}, {"score"}, {"right → wrong"}, {"wrong → right"}},
              {}};
  for (const auto& score : diff.scores) {
    if (score.comparison.flips.empty()) continue;
    std::string lists[2];
    size_t counts[2] = {0, 0};
    for (const Flip& flip : score.comparison.flips) {
      const size_t side = flip.was > flip.is ? 0 : 1;
      if (++counts[side] <= kMostFlipsShown) lists[side] += (lists[side].empty() ? "" : ", ") + flip.item;
    }
    for (const size_t side : {0, 1}) {
      if (counts[side] > kMostFlipsShown)
        lists[side] += fmt::format(", {} more", counts[side] - kMostFlipsShown);
    }
    table.rows.push_back({plain(score.cell), plain(score.column.title), plain(lists[0]), plain(lists[1])});
  }
  return table;
}

Table artifact_table(const DiffResult& diff) {
  Table table{"Artifacts that differ",
              "Content hashes of quantized weights and of per-item results.",
              {{"cell"}, {"step"}, {"A"}, {"B"}},
              {}};
  for (const auto& line : diff.artifacts)
    table.rows.push_back(
        {plain(line.cell), plain(line.role), plain(line.a.substr(0, 12)), plain(line.b.substr(0, 12))});
  return table;
}

Table one_sided_table(const DiffResult& diff) {
  Table table{"Only on one side", "", {{"only in"}, {"cell"}, {"score"}, {"on the other side"}}, {}};
  for (const auto& line : diff.one_sided) {
    table.rows.push_back({plain(line.in_a ? "A" : "B"), plain(line.cell),
                          plain(line.score.empty() ? "(the whole cell)" : line.score),
                          plain(line.reason.empty() ? "absent" : line.reason)});
  }
  return table;
}

std::vector<Table> tables_of(const DiffResult& diff) {
  std::vector<Table> tables = {configuration_table(diff), score_table(diff), flip_table(diff),
                               artifact_table(diff), one_sided_table(diff)};
  std::erase_if(tables, [](const Table& table) { return table.rows.empty(); });
  return tables;
}

std::string terminal_diff(const DiffResult& diff, bool color) {
  std::string text = "A: " + terminal_escape(diff.a) + "\nB: " + terminal_escape(diff.b) + "\n\n";
  if (diff.configuration.empty()) text += "Made in the same way.\n\n";
  for (const Table& table : tables_of(diff)) text += terminal_table(table, color) + "\n";
  const char* tone = diff.same() ? "\x1b[32m" : "\x1b[31m";
  return text + (color ? tone + verdict(diff) + "\x1b[0m\n" : verdict(diff) + "\n");
}

std::string markdown_diff(const DiffResult& diff) {
  std::string text = "# qbench diff\n\nA: " + markdown_escape(diff.a) + "  \nB: " + markdown_escape(diff.b) +
                     "\n\n**" + verdict(diff) + "**\n\n";
  if (diff.configuration.empty()) text += "Made in the same way.\n\n";
  for (const Table& table : tables_of(diff)) text += markdown_table(table, 2);
  text.pop_back();
  return text;
}

std::string csv_diff(const DiffResult& diff) {
  const auto full = [](const std::optional<double>& value) {
    return value ? fmt::format("{}", *value) : std::string();
  };
  std::string text =
      "cell,task,metric,protocol,state,a,b,delta,test,p,p_holm,low95,high95,n10,n01,paired_items,unpaired_"
      "items\n";
  const auto add = [&](const std::vector<std::string>& fields) {
    for (size_t i = 0; i < fields.size(); ++i) text += (i > 0 ? "," : "") + csv_field(fields[i]);
    text += "\n";
  };
  for (const auto& score : diff.scores) {
    const Comparison& c = score.comparison;
    add({score.cell, score.column.task, score.column.metric, score.column.protocol,
         score.identical ? "identical" : "differs", full(score.a), full(score.b), full(c.delta), c.test,
         full(c.p), full(c.p_adjusted), c.interval ? full(c.interval->low) : "",
         c.interval ? full(c.interval->high) : "", std::to_string(c.n10), std::to_string(c.n01),
         std::to_string(c.paired), std::to_string(c.unpaired)});
  }
  for (const auto& line : diff.one_sided)
    add({line.cell, line.score, "", "", line.in_a ? "only in A" : "only in B", "", "", "", "", "", "", "", "",
         "", "", "", ""});
  return text;
}

Json diff_json(const DiffResult& diff) {
  Json json = {{"schema_version", 1},
               {"kind", "diff"},
               {"a", diff.a},
               {"b", diff.b},
               {"same", diff.same()},
               {"common_cells", diff.common_cells},
               {"verdict", verdict(diff)}};
  for (const char* key : {"configuration", "scores", "artifacts", "one_sided"}) json[key] = Json::array();
  for (const auto& line : diff.configuration)
    json["configuration"].push_back({{"what", line.what}, {"a", line.a}, {"b", line.b}});
  for (const auto& score : diff.scores) {
    Json line = comparison_json(score.comparison, true);
    line["cell"] = score.cell;
    line["task"] = score.column.task;
    line["metric"] = score.column.metric;
    line["protocol"] = score.column.protocol;
    line["title"] = score.column.title;
    line["share"] = is_share(score.column.metric);
    line["higher_is_better"] = score.column.higher_is_better;
    line["a"] = json_number(score.a);
    line["b"] = json_number(score.b);
    line["identical"] = score.identical;
    json["scores"].push_back(std::move(line));
  }
  for (const auto& line : diff.artifacts)
    json["artifacts"].push_back({{"cell", line.cell}, {"role", line.role}, {"a", line.a}, {"b", line.b}});
  for (const auto& line : diff.one_sided)
    json["one_sided"].push_back({{"side", line.in_a ? "a" : "b"},
                                 {"cell", line.cell},
                                 {"score", line.score},
                                 {"reason", line.reason}});
  return json;
}

}  // namespace

std::string render_diff(const DiffResult& diff, const std::string& format, bool color) {
  const auto& known = report_formats();
  if (format == "terminal") return terminal_diff(diff, color);
  if (format == "md") return markdown_diff(diff);
  if (format == "csv") return csv_diff(diff);
  if (format == "json") return json_text(diff_json(diff));
  if (format == "html") return html_page("qbench diff", asset("diff.js"), diff_json(diff));
  throw ConfigError(
      fmt::format("--format: unknown format \"{}\"; expected terminal, md, csv, json or html.{}", format,
                  did_you_mean(format, known)));
}

}  // namespace qbench::reports
