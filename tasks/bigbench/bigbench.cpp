// Choices are scored in file order, each as the continuation of the prompt with nothing between them;
// tokenisation of the pair and truncation are lm-eval's. Generation is greedy, 16 tokens, with the prompt's
// trailing white space.
#include "tasks/bigbench/bigbench.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "harness/core/errors.h"
#include "harness/core/hash.h"
#include "tasks/bigbench/metrics.h"
#include "tasks/bigbench/prompt.h"
#include "tasks/core/pairs.h"
#include "tasks/core/statistics.h"
#include "tasks/core/task_support.h"

namespace qbench::tasks {
namespace {

constexpr int64_t kNewTokens = 16;

struct BigBenchParams {
  std::string name, file;
  int64_t limit = 0;
  int64_t shots = 0;
  std::string bos = "default";
  int64_t max_length = 0;

  template <class Visitor>
  void visit(Visitor& v) {
    v("name", name,
      "a BIG-bench task; a family such as arithmetic stands for all of its tasks that are here");
    v("file", file, "a task.json of the package, or a .jsonl with its .yaml beside it");
    v("limit", limit, Range{0, 100000000}, "max_examples: drawn with NumPy's RandomState(42); 0: all");
    v("shots", shots, Range{0, 1000}, "examples in front of each question");
    v("bos", bos, OneOf{{"default", "none"}}, "default: as the tokenizer does by itself; none: never");
    v("max_length", max_length, Range{0, 1048576}, "tokens the model is given at most; 0: all it takes");
  }
};

bool lists(const BigBenchData& data, const char* metric) {
  return std::find(data.metrics.begin(), data.metrics.end(), metric) != data.metrics.end();
}

/// Metrics that read generated text.
bool generates(const BigBenchData& data) {
  for (const char* metric : {"exact_str_match", "case_insensitive_str_match",
                             "numeric_match_with_0_1_relative_error", "sequence_f1"}) {
    if (lists(data, metric)) return true;
  }
  return false;
}

bool has_choices(const BigBenchData& data) {
  return std::all_of(data.examples.begin(), data.examples.end(),
                     [](const BigBenchExample& e) { return !e.choices.empty(); });
}

bool scores_choices(const BigBenchData& data) {
  if (!has_choices(data)) return false;
  for (const char* metric :
       {"multiple_choice_grade", "macro_f1", "weighted_log_probabilities", "weighted_probabilities"}) {
    if (lists(data, metric)) return true;
  }
  return false;
}

double low_score(const BigBenchData& data) {
  if (data.preferred != "multiple_choice_grade") return default_low_score(data.preferred);
  double total = 0;
  for (const BigBenchExample& example : data.examples) {
    if (!example.scores.empty()) total += mean(example.scores);
  }
  return total / static_cast<double>(data.examples.size());
}

/// Everything about one subtask while it is scored.
struct Run {
  const BigBenchData& data;
  std::vector<BigBenchQuery> queries;
  std::vector<ChoiceSample> samples;   ///< per query, if choices are scored
  std::vector<std::string> responses;  ///< per query, if text is generated
  std::vector<Targets> targets;
  int64_t diverged = 0;
};

class BigBenchTask final : public Task {
 public:
  BigBenchTask(const Call& call, const BigBenchParams& params)
      : call_(check_task_call(field_specs<BigBenchParams>(), call)), params_(params) {
    if (params_.name.empty() == params_.file.empty()) {
      throw ConfigError(
          "task bigbench: give either name=TASK or file=PATH, e.g. "
          "bigbench(name=sports_understanding,limit=100)");
    }
    if (!params_.file.empty()) {
      files_.push_back(find_bigbench_file(params_.file));
    } else {
      find_named();
    }
    for (const BigBenchFiles& file : files_) data_.push_back(load_bigbench(file));
    if (composite() && params_.limit > 0 && params_.limit < std::ssize(data_)) {
      throw ConfigError(fmt::format("task {}: limit {} leaves nothing for each of {} subtasks; raise it",
                                    canonical(), params_.limit, data_.size()));
    }
  }

  std::string identity() const override {
    Hasher data;
    for (const BigBenchFiles& file : files_) data.field(file.name).field(file.sha256);
    return task_identity(call_, {"file"}, data.hex());
  }
  std::string canonical() const override { return call_.canonical.print(); }
  std::string protocol() const override {
    return fmt::format("bigbench 1.0.0 {} {} shots={}{}",
                       params_.name.empty() ? files_.front().name : params_.name,
                       params_.bos == "default" ? "zs/e4" : "zs/e3", params_.shots,
                       params_.limit > 0 ? fmt::format(" limit={}", params_.limit) : "");
  }

  TaskCost cost() const override {
    TaskCost cost;
    for (const BigBenchData& data : data_) {
      const int64_t queries = subtask_limit() > 0 ? std::min(subtask_limit(), std::ssize(data.examples))
                                                  : std::ssize(data.examples);
      int64_t bytes = 0, choices = 0, longest = 0;
      for (const BigBenchExample& example : data.examples) {
        const int64_t size = std::ssize(example.input) + 60;
        bytes += size;
        longest = std::max(longest, size);
        choices += std::max<int64_t>(std::ssize(example.choices), 1);
      }
      const int64_t n = std::ssize(data.examples);
      const int64_t prompt = (bytes / n / 3 + 10) * (1 + params_.shots);
      cost.tokens += queries * (prompt + 6 * choices / n + (generates(data) ? kNewTokens : 0));
      cost.scored_tokens += queries * (4 * choices / n + (generates(data) ? kNewTokens : 0));
      cost.longest = std::max(cost.longest, longest / 3 * (1 + params_.shots));
    }
    return cost;
  }

  TaskResult run(const tokenizers::Tokenizer& tokenizer, engine::Scorer& scorer) const override {
    TaskResult result;
    result.task = canonical();
    result.protocol = protocol();
    result.provenance = {{"seed", 42}, {"tokenizer_sha256", tokenizer.hash()}, {"subtasks", Json::array()}};
    std::vector<ScoreData> scores;
    int64_t items = 0, diverged = 0;
    for (size_t i = 0; i < data_.size(); ++i) {
      Run run{data_[i], sample_bigbench(data_[i], subtask_limit(), params_.shots), {}, {}, {}, 0};
      Json facts = {{"name", data_[i].name},
                    {"sha256", files_[i].sha256},
                    {"lines", data_[i].lines},
                    {"distinct", data_[i].examples.size()},
                    {"scored", run.queries.size()}};
      const size_t first = result.items.size();
      for (const BigBenchQuery& query : run.queries) result.items.push_back(start_item(run.data, query));
      const auto records = std::span(result.items).subspan(first);
      if (scores_choices(run.data)) score(run, tokenizer, scorer, records, facts);
      if (generates(run.data)) generate(run, tokenizer, scorer, records, facts);
      scores.push_back(reduce(run, facts));
      result.provenance["subtasks"].push_back(std::move(facts));
      items += std::ssize(run.queries);
      diverged += run.diverged;
    }
    result.provenance["diverged"] = diverged;
    const std::string name = params_.name.empty() ? files_.front().name : params_.name;
    add_scores(aggregate_scores(name, std::move(scores)), items, result);
    return result;
  }

 private:
  bool composite() const { return files_.size() > 1; }
  int64_t subtask_limit() const { return params_.limit == 0 ? 0 : params_.limit / std::ssize(data_); }

  void find_named() {
    const std::vector<std::string> names = bigbench_tasks();
    if (std::find(names.begin(), names.end(), params_.name) != names.end()) {
      files_.push_back(find_bigbench(params_.name));
      return;
    }
    for (const std::string& name : names) {
      if (name.starts_with(params_.name + "/")) files_.push_back(find_bigbench(name));
    }
    if (files_.empty()) find_bigbench(params_.name);
  }

  ItemRecord start_item(const BigBenchData& data, const BigBenchQuery& query) const {
    ItemRecord item;
    const BigBenchExample& example = data.examples[static_cast<size_t>(query.example)];
    item.item = composite() ? fmt::format("{}/{}", data.name, example.line) : std::to_string(example.line);
    item.detail = {
        {"input", first_part(example.input)}, {"choices", example.choices}, {"targets", example.targets}};
    return item;
  }

  /// Cut between characters.
  static std::string first_part(const std::string& text) {
    size_t end = 400;
    if (text.size() <= end) return text;
    while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;
    return text.substr(0, end) + "...";
  }

  void score(Run& run, const tokenizers::Tokenizer& tokenizer, engine::Scorer& scorer,
             std::span<ItemRecord> records, Json& facts) const {
    const int64_t max_length = task_max_length(params_.max_length, scorer, canonical());
    const PairEncoder encoder(tokenizer, params_.bos == "default");
    std::vector<engine::ScoreRequest> requests;
    int64_t merges = 0, truncated = 0;
    Hasher hasher;
    for (const BigBenchQuery& query : run.queries) {
      const BigBenchExample& example = run.data.examples[static_cast<size_t>(query.example)];
      const std::string place =
          fmt::format("task {}, {} line {}", canonical(), run.data.name, example.line + 1);
      for (const std::string& choice : example.choices) {
        const Pair pair = encoder.encode(query.prompt, choice, place);
        merges += pair.boundary_merge;
        requests.push_back(pair_request(pair, max_length, truncated, place));
        hasher.update(requests.back().tokens.data(), requests.back().tokens.size() * sizeof(int32_t));
      }
    }
    facts["requests"] = {{"count", requests.size()},
                         {"token_stream_sha256", hasher.hex()},
                         {"boundary_merges", merges},
                         {"truncated", truncated}};
    const std::vector<engine::ScoreResult> scored = scorer.score(requests);
    for (size_t q = 0, at = 0; q < run.queries.size(); ++q) {
      const BigBenchExample& example = run.data.examples[static_cast<size_t>(run.queries[q].example)];
      record_choices(run, example, std::span(scored).subspan(at, example.choices.size()), records[q]);
      at += example.choices.size();
    }
  }

  static void record_choices(Run& run, const BigBenchExample& example,
                             std::span<const engine::ScoreResult> scored, ItemRecord& item) {
    ChoiceSample sample{example.choices, example.scores, {}, {}};
    bool finite = true;
    for (const engine::ScoreResult& result : scored) {
      sample.absolute_log_prob.push_back(result.total);
      finite = finite && result.finite && std::isfinite(result.total);
      item.tokens += std::ssize(result.logprobs);
    }
    if (!finite) {  // an answer read out of NaN is no answer
      item.metrics["multiple_choice_grade"] = 0.0;
      item.metrics["diverged"] = 1;
      ++run.diverged;
      return;
    }
    sample.log_prob = run.data.format.absolute_normalization ? sample.absolute_log_prob
                                                             : normalize_log_probs(sample.absolute_log_prob);
    item.loglikelihoods = sample.absolute_log_prob;
    const size_t chosen = chosen_choice(sample);
    item.detail["chosen"] = chosen;
    item.detail["target_scores"] = example.scores;
    item.metrics["multiple_choice_grade"] = example.scores[chosen];
    run.samples.push_back(std::move(sample));
  }

  void generate(Run& run, const tokenizers::Tokenizer& tokenizer, engine::Scorer& scorer,
                std::span<ItemRecord> records, Json& facts) const {
    const int64_t max_length = task_max_length(params_.max_length, scorer, canonical());
    const PairEncoder encoder(tokenizer, params_.bos == "default");
    std::vector<engine::GenerateRequest> requests;
    int64_t truncated = 0;
    for (const BigBenchQuery& query : run.queries) {
      engine::GenerateRequest request;
      request.prompt = encoder.encode_text(query.prompt);
      if (request.prompt.empty()) request.prompt = {encoder.prefix()};
      request.max_new_tokens = kNewTokens;
      if (tokenizer.eos()) request.stop_ids = {*tokenizer.eos()};
      const int64_t excess = std::ssize(request.prompt) - (max_length - kNewTokens);
      if (excess > 0) {
        request.prompt.erase(request.prompt.begin(), request.prompt.begin() + excess);
        ++truncated;
      }
      requests.push_back(std::move(request));
    }
    facts["generation"] = {{"max_new_tokens", kNewTokens}, {"truncated", truncated}};
    const std::vector<std::vector<int32_t>> generated = scorer.generate(requests);
    for (size_t q = 0; q < run.queries.size(); ++q) {
      const BigBenchExample& example = run.data.examples[static_cast<size_t>(run.queries[q].example)];
      const std::string raw = tokenizer.decode(generated[q], true);
      run.responses.push_back(
          postprocess_output(raw, 0, run.data.format.stop_strings, run.data.format.output_regex));
      run.targets.push_back(bigbench_targets(example));
      record_text(run, raw, records[q]);
    }
  }

  static void record_text(const Run& run, const std::string& raw, ItemRecord& item) {
    const std::string& response = run.responses.back();
    const Targets& targets = run.targets.back();
    item.detail["generated"] = valid_text(raw);
    item.detail["answer"] = valid_text(response);
    if (lists(run.data, "exact_str_match"))
      item.metrics["exact_str_match"] = exact_str_match(response, targets) ? 1.0 : 0.0;
    if (lists(run.data, "case_insensitive_str_match")) {
      item.metrics["case_insensitive_str_match"] = case_insensitive_str_match(response, targets) ? 1.0 : 0.0;
    }
    if (lists(run.data, "numeric_match_with_0_1_relative_error")) {
      item.metrics["numeric_match_with_0_1_relative_error"] =
          numeric_match(response, targets).value_or(false) ? 1.0 : 0.0;
    }
  }

  /// Decoded bytes need not be UTF-8; what is stored must be.
  static std::string valid_text(const std::string& text) {
    return Json::parse(Json(text).dump(-1, ' ', false, Json::error_handler_t::replace)).get<std::string>();
  }

  ScoreData reduce(const Run& run, Json& facts) const {
    ScoreData score;
    score.description = composite() ? fmt::format("{}:{}", params_.name, run.data.name) : run.data.name;
    score.preferred = run.data.preferred;
    score.shots = params_.shots;
    score.low = low_score(run.data);
    score.high = default_high_score(run.data.preferred);
    Json left_out = Json::array();
    for (const std::string& metric : run.data.metrics) {
      if (!add_metric(metric, run, score)) left_out.push_back(metric);
    }
    if (!left_out.empty()) facts["metrics_left_out"] = left_out;
    facts["low_score"] = score.low;
    facts["high_score"] = score.high;
    return score;
  }

  static bool add_metric(const std::string& metric, const Run& run, ScoreData& score) {
    const bool choices = !run.samples.empty();
    const double scored = static_cast<double>(run.samples.size());
    const double share =
        scored / std::max(1.0, static_cast<double>(run.samples.size() + static_cast<size_t>(run.diverged)));
    if (metric == "multiple_choice_grade") {
      if (!scores_choices(run.data)) return false;
      // Diverged examples count as wrong.
      score.scores[metric] = choices ? multiple_choice_grade(run.samples) * share : 0.0;
      if (choices) {
        score.scores["calibration_multiple_choice_brier_score"] = brier_score(run.samples);
        score.scores["expected_calibration_error"] = expected_calibration_error(run.samples);
      }
      return true;
    }
    if (metric == "macro_f1" && choices) {
      const auto value = macro_f1(run.samples);
      if (value) score.scores[metric] = *value;
      return value.has_value();
    }
    if (metric == "weighted_log_probabilities" && choices)
      return score.scores[metric] = weighted_log_probabilities(run.samples), true;
    if (metric == "weighted_probabilities" && choices)
      return score.scores[metric] = weighted_probabilities(run.samples), true;
    if (run.responses.empty()) return false;
    const auto share_of = [&](auto&& matches) {
      double hits = 0;
      for (size_t i = 0; i < run.responses.size(); ++i)
        hits += matches(run.responses[i], run.targets[i]) ? 1.0 : 0.0;
      return hits / static_cast<double>(run.responses.size());
    };
    if (metric == "exact_str_match") return score.scores[metric] = share_of(exact_str_match), true;
    if (metric == "case_insensitive_str_match")
      return score.scores[metric] = share_of(case_insensitive_str_match), true;
    if (metric == "sequence_f1") return score.scores[metric] = sequence_f1(run.responses, run.targets), true;
    if (metric == "numeric_match_with_0_1_relative_error") {
      const bool single =
          std::all_of(run.targets.begin(), run.targets.end(), [](const Targets& t) { return t.size() == 1; });
      if (single)
        score.scores[metric] = share_of(
            [](const std::string& r, const Targets& t) { return numeric_match(r, t).value_or(false); });
      return single;
    }
    return false;
  }

  static void add_scores(const std::vector<ScoreData>& all, int64_t items, TaskResult& result) {
    const ScoreData& last = all.back();
    for (const auto& [metric, value] : last.scores) {
      const bool error = metric.ends_with("brier_score") || metric.ends_with("calibration_error");
      Score score{metric, value, std::nullopt, items, !error};
      std::vector<double> values;
      for (const ItemRecord& item : result.items) {
        if (item.metrics.contains(metric)) values.push_back(item.metrics.at(metric).get<double>());
      }
      if (all.size() == 1 && std::ssize(values) == items) score.stderr_ = mean_stderr(values);
      result.scores.push_back(std::move(score));
    }
    // The task's own preferred score leads: it is what compact tables show.
    std::stable_partition(result.scores.begin(), result.scores.end(),
                          [&](const Score& s) { return s.metric == last.preferred; });
    for (size_t i = 0; i < all.size() && all.size() > 1; ++i) {
      result.provenance["aggregation"].push_back({{"name", all[i].description}, {"scores", all[i].scores}});
    }
  }

  CheckedCall call_;
  BigBenchParams params_;
  std::vector<BigBenchFiles> files_;
  std::vector<BigBenchData> data_;
};

std::unique_ptr<Task> make(const Call& call) {
  return std::make_unique<BigBenchTask>(call, bind_fields<BigBenchParams>(call, "task"));
}

}  // namespace

std::vector<std::string> bigbench_names() { return bigbench_tasks(); }

std::string bigbench_summary(const std::string& name) { return bigbench_description(find_bigbench(name)); }

std::unique_ptr<Task> make_bigbench_by_name(const Call& call) {
  Call full{"bigbench", {{"name", call.name}}};
  for (const auto& [key, value] : call.args) {
    if (key == "name" || key == "file")
      throw ConfigError(fmt::format("task {}: {} is given by the task's name already", call.name, key));
    full.args.emplace_back(key, value);
  }
  return make(full);
}

TaskInfo bigbench_task() {
  return {"bigbench", "a BIG-bench JSON task with the official prompt, sampling and scoring",
          "PyPI bigbench 1.0.0 (json_task.py, task_metrics.py)", field_specs<BigBenchParams>(), make};
}

}  // namespace qbench::tasks
