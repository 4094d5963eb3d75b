// From documents to log-likelihoods to metrics; the YAML side is in multiple_choice.cpp.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "harness/core/errors.h"
#include "harness/core/hash.h"
#include "tasks/core/pairs.h"
#include "tasks/core/python_text.h"
#include "tasks/core/statistics.h"
#include "tasks/core/task_support.h"
#include "tasks/multiple_choice.h"

namespace qbench::tasks {
namespace {

size_t first_argmax(std::span<const double> values) {
  return static_cast<size_t>(std::distance(values.begin(), std::max_element(values.begin(), values.end())));
}

bool is_gold(const ChoiceDocument& document, size_t choice) {
  return std::find(document.gold.begin(), document.gold.end(), static_cast<int64_t>(choice)) !=
         document.gold.end();
}

size_t best_per_length(const ChoiceDocument& document, std::span<const double> lls, bool bytes) {
  std::vector<double> values;
  for (size_t i = 0; i < lls.size(); ++i) {
    const std::string& choice = document.choices[i];
    values.push_back(lls[i] / static_cast<double>(bytes ? std::ssize(choice) : code_points(choice)));
  }
  return first_argmax(values);
}

double brier(const ChoiceDocument& document, std::span<const double> lls) {
  const double top = *std::max_element(lls.begin(), lls.end());
  double total = 0;
  for (const double ll : lls) total += std::exp(ll - top);
  double score = 0;
  for (size_t i = 0; i < lls.size(); ++i) {
    const double difference = std::exp(lls[i] - top) / total - (is_gold(document, i) ? 1.0 : 0.0);
    score += difference * difference;
  }
  return score;
}

/// Share of the probability that lies on true choices; plain exp, as the source has it.
double mass_on_true(const ChoiceDocument& document, std::span<const double> lls) {
  double on_true = 0, total = 0;
  for (size_t i = 0; i < lls.size(); ++i) {
    total += std::exp(lls[i]);
    if (i < document.labels.size() && document.labels[i] == 1) on_true += std::exp(lls[i]);
  }
  return total > 0 ? on_true / total : 0.0;
}

struct Requests {
  std::vector<engine::ScoreRequest> all;
  std::string sha256;  ///< over the ids of all requests
  int64_t boundary_merges = 0, truncated = 0;
};

Requests build_requests(std::span<const ChoiceDocument> documents, const ChoiceOptions& options,
                        const tokenizers::Tokenizer& tokenizer, int64_t max_length, const std::string& task) {
  const PairEncoder encoder(tokenizer, options.tokenizer_bos);
  Requests requests;
  Hasher hasher;
  for (const ChoiceDocument& document : documents) {
    const std::string place = fmt::format("{}, document {}", task, document.item);
    for (size_t i = 0; i < document.choices.size(); ++i) {
      const std::string& context =
          document.contexts.size() == 1 ? document.contexts[0] : document.contexts[i];
      const std::string& continuation =
          document.continuations.size() == 1 ? document.continuations[0] : document.continuations[i];
      const Pair pair = encoder.encode(context, continuation, place);
      requests.boundary_merges += pair.boundary_merge;
      requests.all.push_back(pair_request(pair, max_length, requests.truncated, place));
      const engine::ScoreRequest& request = requests.all.back();
      hasher.update(&request.scored_from, sizeof request.scored_from);
      hasher.update(request.tokens.data(), request.tokens.size() * sizeof(int32_t));
    }
  }
  requests.sha256 = hasher.hex();
  return requests;
}

/// The last characters of a context: enough to recognise a document in a drill-down.
std::string tail_of(const std::string& text) {
  constexpr size_t kBytes = 160;
  if (text.size() <= kBytes) return text;
  size_t begin = text.size() - kBytes;
  while (begin < text.size() && (static_cast<unsigned char>(text[begin]) & 0xC0) == 0x80) ++begin;
  return "..." + text.substr(begin);
}

ItemRecord document_record(const ChoiceDocument& document, std::span<const engine::ScoreResult> scored,
                           const ChoiceOptions& options) {
  ItemRecord item;
  item.item = document.item;
  bool finite = true;
  std::vector<double> lls;
  for (const engine::ScoreResult& result : scored) {
    finite = finite && result.finite && std::isfinite(result.total);
    lls.push_back(result.total);
    item.tokens += std::ssize(result.logprobs);
  }
  item.detail = {{"context", tail_of(document.contexts.front())},
                 {"choices", document.choices},
                 {"gold", document.gold}};
  if (finite) {
    item.loglikelihoods = lls;
    item.metrics = choice_metrics(document, lls, options.metrics);
    item.detail["chosen"] = first_argmax(lls);
    const bool greedy_gold =
        !document.gold.empty() && scored[static_cast<size_t>(document.gold.front())].greedy;
    for (const std::string& metric : options.metrics) {
      if (metric == "exact_match") item.metrics[metric] = greedy_gold ? 1.0 : 0.0;
    }
  } else {  // an answer read out of NaN is no answer
    for (const std::string& metric : options.metrics)
      item.metrics[metric] = metric == "brier_score" ? 2.0 : 0.0;
    item.metrics["diverged"] = 1;
  }
  return item;
}

void add_metric_score(const std::string& metric, std::span<const ChoiceDocument> documents,
                      const ChoiceOptions& options, TaskResult& result, size_t first_item) {
  std::map<std::string, std::vector<double>> parts;
  std::vector<double> all;
  for (size_t d = 0; d < documents.size(); ++d) {
    const double value = result.items[first_item + d].metrics.at(metric).get<double>();
    all.push_back(value);
    parts[documents[d].part].push_back(value);
  }
  Score score{metric, mean(all), mean_stderr(all), std::ssize(all), metric != "brier_score"};
  if (parts.size() > 1) {
    std::vector<GroupMember> members;
    for (const auto& [name, values] : parts)
      members.push_back({mean(values), mean_stderr(values).value_or(0), std::ssize(values)});
    score.value = group_mean(members, options.weight_parts_by_size);
    score.stderr_ = pooled_stderr(members);
    for (size_t i = 0; const auto& [name, values] : parts) {
      result.provenance["parts"][name][metric] = members[i++].value;
    }
  }
  result.scores.push_back(std::move(score));
}

}  // namespace

const std::vector<std::string>& choice_metric_names() {
  static const std::vector<std::string> names = {"acc",         "acc_norm",    "acc_bytes",
                                                 "brier_score", "exact_match", "mc2"};
  return names;
}

Json choice_metrics(const ChoiceDocument& document, std::span<const double> lls,
                    std::span<const std::string> metrics) {
  QB_CHECK(lls.size() == document.choices.size() && !lls.empty(), document.item);
  Json values = Json::object();
  for (const std::string& metric : metrics) {
    if (metric == "acc") values[metric] = is_gold(document, first_argmax(lls)) ? 1.0 : 0.0;
    if (metric == "acc_norm")
      values[metric] = is_gold(document, best_per_length(document, lls, false)) ? 1.0 : 0.0;
    if (metric == "acc_bytes")
      values[metric] = is_gold(document, best_per_length(document, lls, true)) ? 1.0 : 0.0;
    if (metric == "brier_score") values[metric] = brier(document, lls);
    if (metric == "mc2") values[metric] = mass_on_true(document, lls);
  }
  return values;
}

void score_choices(std::span<const ChoiceDocument> documents, const ChoiceOptions& options,
                   const tokenizers::Tokenizer& tokenizer, engine::Scorer& scorer, TaskResult& result) {
  const int64_t max_length = task_max_length(options.max_length, scorer, result.task);
  const Requests requests = build_requests(documents, options, tokenizer, max_length, result.task);
  const std::vector<engine::ScoreResult> scored = scorer.score(requests.all);
  const size_t first_item = result.items.size();
  int64_t diverged = 0;
  for (size_t at = 0; const ChoiceDocument& document : documents) {
    result.items.push_back(
        document_record(document, std::span(scored).subspan(at, document.choices.size()), options));
    diverged += result.items.back().metrics.contains("diverged");
    at += document.choices.size();
  }
  result.provenance["requests"] = {
      {"count", requests.all.size()},         {"token_stream_sha256", requests.sha256},
      {"tokenizer_sha256", tokenizer.hash()}, {"boundary_merges", requests.boundary_merges},
      {"truncated", requests.truncated},      {"max_length", max_length}};
  result.provenance["documents"] = documents.size();
  result.provenance["diverged"] = diverged;
  for (const std::string& metric : options.metrics)
    add_metric_score(metric, documents, options, result, first_item);
}

}  // namespace qbench::tasks
