#include "harness/schedule/wire.h"

#include "harness/core/json_number.h"

namespace qbench::schedule {
namespace {

std::optional<double> optional_number(const Json& json) {
  return json.is_null() ? std::nullopt : std::optional(number_from_json(json));
}

Json score_json(const results::ScoreRow& s) {
  return {{"task", s.task},
          {"metric", s.metric},
          {"protocol", s.protocol},
          {"value", json_number(s.value)},
          {"stderr", json_number(s.stderr_)},
          {"n", s.n},
          {"higher_is_better", s.higher_is_better}};
}

results::ScoreRow score_row(const Json& j) {
  return {j.at("task"),
          j.at("metric"),
          j.at("protocol"),
          number_from_json(j.at("value")),
          optional_number(j.at("stderr")),
          j.at("n"),
          j.at("higher_is_better")};
}

Json item_json(const results::ItemRow& i) {
  Json lls = Json::array();
  for (const double ll : i.loglikelihoods) lls.push_back(json_number(ll));
  return {{"item", i.item},     {"loglikelihoods", lls}, {"nll", json_number(i.nll)},
          {"tokens", i.tokens}, {"metrics", i.metrics},  {"detail", i.detail}};
}

results::ItemRow item_row(const Json& j) {
  results::ItemRow item;
  item.item = j.at("item");
  for (const Json& ll : j.at("loglikelihoods")) item.loglikelihoods.push_back(number_from_json(ll));
  item.nll = optional_number(j.at("nll"));
  item.tokens = j.at("tokens");
  item.metrics = j.at("metrics");
  item.detail = j.at("detail");
  return item;
}

Json layer_json(const results::LayerRow& l) {
  return {{"layer", l.layer},
          {"parameters", l.parameters},
          {"bits_nominal", l.bits_nominal},
          {"bits_effective", l.bits_effective},
          {"weight_error", json_number(l.weight_error)},
          {"output_error", json_number(l.output_error)},
          {"loss", json_number(l.loss)},
          {"fallback", l.fallback},
          {"weight_hash", l.weight_hash},
          {"detail", l.detail}};
}

results::LayerRow layer_row(const Json& j) {
  results::LayerRow layer;
  layer.layer = j.at("layer");
  layer.parameters = j.at("parameters");
  layer.bits_nominal = j.at("bits_nominal");
  layer.bits_effective = j.at("bits_effective");
  layer.weight_error = number_from_json(j.at("weight_error"));
  layer.output_error = optional_number(j.at("output_error"));
  layer.loss = optional_number(j.at("loss"));
  layer.fallback = j.at("fallback");
  layer.weight_hash = j.at("weight_hash");
  layer.detail = j.at("detail");
  return layer;
}

template <class Row, class Convert>
Json array(const std::vector<Row>& rows, Convert convert) {
  Json out = Json::array();
  for (const Row& row : rows) out.push_back(convert(row));
  return out;
}

}  // namespace

Json outcome_to_json(const results::StepOutcome& o) {
  return {{"key", o.key},
          {"kind", o.kind},
          {"inputs", o.inputs},
          {"wall_s", o.wall_s},
          {"cpu_s", o.cpu_s},
          {"peak_rss_bytes", o.peak_rss_bytes},
          {"lanes", o.lanes},
          {"artifact_hash", o.artifact_hash},
          {"facts", o.facts},
          {"scores", array(o.scores, score_json)},
          {"items", array(o.items, item_json)},
          {"layers", array(o.layers, layer_json)}};
}

results::StepOutcome outcome_from_json(const Json& j) {
  results::StepOutcome o;
  o.key = j.at("key");
  o.kind = j.at("kind");
  o.inputs = j.at("inputs");
  o.wall_s = j.at("wall_s");
  o.cpu_s = j.at("cpu_s");
  o.peak_rss_bytes = j.at("peak_rss_bytes");
  o.lanes = j.at("lanes");
  o.artifact_hash = j.at("artifact_hash");
  o.facts = j.at("facts");
  for (const Json& s : j.at("scores")) o.scores.push_back(score_row(s));
  for (const Json& i : j.at("items")) o.items.push_back(item_row(i));
  for (const Json& l : j.at("layers")) o.layers.push_back(layer_row(l));
  return o;
}

}  // namespace qbench::schedule
