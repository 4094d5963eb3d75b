// BIG-bench cases: <model>/<task>.json with prompts, ids, log-likelihoods, generations and official scores;
// prompts.json.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "harness/core/files.h"
#include "harness/core/numpy_random.h"
#include "tasks/bigbench/metrics.h"
#include "tasks/bigbench/prompt.h"
#include "tasks/core/pairs.h"
#include "tests/support/eval_cases/subject.h"
#include "tests/support/fixtures.h"

namespace qbench::eval_cases {
namespace {

using Ids = std::vector<int32_t>;

/// The examples of a task: shipped, or those of shared/. Empty if neither has them.
fs::path find_data(const std::string& jsonl) {
  const fs::path shipped = share_dir() / "tasks" / "bigbench" / (jsonl + ".zst");
  if (fs::exists(shipped)) return shipped;
  if (const auto shared = testing_support::shared_dir()) {
    const fs::path file = *shared / "data" / "bigbench" / jsonl;
    if (fs::exists(file)) return file;
  }
  return {};
}

std::string file_of_task(std::string task) {
  for (size_t at = 0; (at = task.find('/', at)) != std::string::npos;) task.replace(at, 1, "__");
  return task + ".jsonl";
}

double ll_tolerance(double ll, const Subject& subject) {
  return subject.large ? 5e-6 * std::abs(ll) + 5e-5 : 2e-6 * std::abs(ll) + 1e-5;
}

void check_prompts_and_ids(const Json& expected, const tasks::BigBenchData& data, int64_t limit,
                           int64_t shots, Subject& subject) {
  const auto queries = tasks::sample_bigbench(data, limit, shots);
  const tasks::PairEncoder encoder(*subject.tokenizer, true);
  ASSERT_EQ(queries.size(), expected.at("examples").size());
  for (size_t q = 0; q < queries.size(); ++q) {
    const Json& example = expected.at("examples")[q];
    EXPECT_EQ(queries[q].prompt, example.at("prompt").get<std::string>());
    EXPECT_EQ(data.examples[static_cast<size_t>(queries[q].example)].line, example.at("line").get<int64_t>());
    if (example.contains("shot_lines")) {
      std::vector<int64_t> lines;
      for (const int64_t shot : queries[q].shots)
        lines.push_back(data.examples[static_cast<size_t>(shot)].line);
      EXPECT_EQ(lines, example.at("shot_lines").get<std::vector<int64_t>>());
    }
    for (const Json& request : example.value("requests", Json::array())) {
      const tasks::Pair pair =
          encoder.encode(queries[q].prompt, request.at("choice").get<std::string>(), "case");
      EXPECT_EQ(pair.context, example.at("context_ids").get<Ids>());
      EXPECT_EQ(pair.continuation, request.at("continuation_ids").get<Ids>());
    }
    if (example.contains("generation")) {
      EXPECT_EQ(encoder.encode_text(queries[q].prompt), example.at("generation").at("prompt_ids").get<Ids>());
    }
  }
}

void compare_items(const Json& expected, const tasks::TaskResult& result, const Subject& subject) {
  ASSERT_EQ(result.items.size(), expected.at("examples").size());
  for (size_t q = 0; q < result.items.size(); ++q) {
    const Json& example = expected.at("examples")[q];
    const tasks::ItemRecord& item = result.items[q];
    SCOPED_TRACE("example " + std::to_string(q));
    EXPECT_EQ(item.item, std::to_string(example.at("line").get<int64_t>()));
    const Json requests = example.value("requests", Json::array());
    for (size_t i = 0; i < requests.size(); ++i) {
      const double ll = requests[i].at("ll");
      EXPECT_NEAR(item.loglikelihoods.at(i), ll, ll_tolerance(ll, subject));
    }
    if (example.contains("chosen")) {
      EXPECT_EQ(item.detail.at("chosen"), example.at("chosen"));
    }
    if (example.contains("generation")) {
      EXPECT_EQ(item.detail.at("answer"), example.at("generation").at("output"));
    }
    for (const char* metric : {"multiple_choice_grade", "exact_str_match"}) {
      if (example.at("metrics").contains(metric) && item.metrics.contains(metric)) {
        EXPECT_EQ(item.metrics.at(metric), example.at("metrics").at(metric));
      }
    }
  }
}

void compare_scores(const Json& scores, const std::map<std::string, double>& computed) {
  for (const auto& [metric, value] : scores.items()) {
    if (metric == "bleu" || metric == "bleurt" || metric.starts_with("rouge"))
      continue;  // left out by design
    const auto found = computed.find(metric);
    if (metric == "normalized_aggregate_score" && found == computed.end())
      continue;  // its preferred metric is left out
    ASSERT_NE(found, computed.end()) << metric;
    const double tolerance = metric.ends_with("brier_score")         ? 1e-4
                             : metric.ends_with("calibration_error") ? 5e-4
                                                                     : 1e-9;
    EXPECT_NEAR(found->second, value.get<double>(), tolerance) << metric;
  }
}

std::map<std::string, double> as_map(const tasks::TaskResult& result) {
  std::map<std::string, double> scores;
  for (const tasks::Score& score : result.scores) scores[score.metric] = score.value;
  return scores;
}

tasks::TaskResult run_file(const fs::path& data, int64_t limit, int64_t shots, Subject& subject) {
  return tasks::make_task(fmt::format("bigbench(file={},limit={},shots={})", data.string(), limit, shots))
      ->run(*subject.tokenizer, *subject.scorer);
}

bool check_single(const Json& expected, Subject& subject) {
  const fs::path data = find_data(expected.at("data_file"));
  if (data.empty()) return false;
  const int64_t limit = expected.at("max_examples"), shots = expected.at("shots");
  check_prompts_and_ids(expected, tasks::load_bigbench(tasks::find_bigbench_file(data.string())), limit,
                        shots, subject);
  const tasks::TaskResult result = run_file(data, limit, shots, subject);
  compare_items(expected, result, subject);
  compare_scores(expected.at("scores").back().at("score_dict"), as_map(result));
  return true;
}

tasks::ScoreData score_data(const Json& entry) {
  tasks::ScoreData score;
  for (const auto& [metric, value] : entry.at("score_dict").items())
    score.scores[metric] = value.get<double>();
  score.preferred = entry.at("preferred_score");
  score.description = entry.at("subtask_description");
  score.shots = entry.at("number_of_shots");
  score.low = entry.at("low_score");
  score.high = entry.at("high_score");
  return score;
}

bool check_composite(const Json& expected, Subject& subject) {
  std::vector<tasks::ScoreData> scores;
  const auto count = static_cast<int64_t>(expected.at("subtasks").size());
  for (size_t i = 0; i < expected.at("subtasks").size(); ++i) {
    const Json& subtask = expected.at("subtasks")[i];
    const fs::path data = find_data(file_of_task(subtask.at("task")));
    if (data.empty()) return false;
    const tasks::TaskResult result =
        run_file(data, expected.at("max_examples").get<int64_t>() / count, expected.at("shots"), subject);
    compare_items(subtask, result, subject);
    tasks::ScoreData score = score_data(expected.at("scores")[i]);
    score.scores = as_map(result);
    EXPECT_NEAR(result.provenance.at("subtasks")[0].at("low_score").get<double>(), score.low, 1e-12);
    scores.push_back(std::move(score));
  }
  const std::string name = expected.at("scores").back().at("subtask_description");
  const auto all = tasks::aggregate_scores(name, std::move(scores));
  compare_scores(expected.at("scores").back().at("score_dict"), all.back().scores);
  return true;
}

void check_texts(const Json& expected, const tasks::BigBenchData& data, const tasks::BigBenchQuery& query) {
  EXPECT_EQ(query.prompt, expected.at("prompt").get<std::string>());
  const tasks::BigBenchExample& example = data.examples[static_cast<size_t>(query.example)];
  if (expected.contains("choices") && !expected.at("choices").is_null()) {
    EXPECT_EQ(example.choices, expected.at("choices").get<std::vector<std::string>>());
  }
  if (expected.contains("targets")) {
    EXPECT_EQ(tasks::bigbench_targets(example), expected.at("targets").get<std::vector<std::string>>());
  }
}

void compare_aggregation(const Json& c) {
  SCOPED_TRACE(c.at("name").get<std::string>());
  std::vector<tasks::ScoreData> input;
  for (const Json& entry : c.at("input")) input.push_back(score_data(entry));
  const auto output = tasks::aggregate_scores(c.at("task_name"), input);
  ASSERT_EQ(output.size(), c.at("output").size());
  for (size_t i = 0; i < output.size(); ++i) {
    const tasks::ScoreData expected = score_data(c.at("output")[i]);
    EXPECT_EQ(output[i].preferred, expected.preferred);
    EXPECT_EQ(output[i].description, expected.description);
    EXPECT_NEAR(output[i].low, expected.low, 1e-12);
    EXPECT_NEAR(output[i].high, expected.high, 1e-12);
    ASSERT_EQ(output[i].scores.size(), expected.scores.size());
    for (const auto& [metric, value] : expected.scores)
      EXPECT_NEAR(output[i].scores.at(metric), value, 1e-10) << metric;
  }
}

}  // namespace

int check_bigbench_prompts(const fs::path& root) {
  int checked = 0;
  if (!fs::exists(root / "prompts.json")) return 0;
  const Json cases = read_json(root / "prompts.json");
  for (const Json& expected : cases.at("tasks")) {
    SCOPED_TRACE(expected.at("task").get<std::string>());
    const fs::path file = find_data(file_of_task(expected.at("task")));
    if (file.empty()) continue;
    const tasks::BigBenchData data = tasks::load_bigbench(tasks::find_bigbench_file(file.string()));
    EXPECT_EQ(data.lines, expected.at("num_lines").get<int64_t>());
    EXPECT_EQ(std::ssize(data.examples), expected.at("num_distinct").get<int64_t>());
    EXPECT_EQ(data.preferred, expected.at("preferred_score").get<std::string>());
    EXPECT_EQ(data.format.output_regex,
              expected.at("output_regex").is_null() ? "" : expected.at("output_regex").get<std::string>());
    const auto all = tasks::sample_bigbench(data, 0, 0);
    for (size_t i = 0; i < expected.at("first_two").size(); ++i)
      check_texts(expected.at("first_two")[i], data, all.at(i));
    const Json& sampled = expected.at("sampled_zero_shot");
    const auto drawn = tasks::sample_bigbench(data, std::ssize(sampled), 0);
    for (size_t i = 0; i < sampled.size(); ++i) check_texts(sampled[i], data, drawn.at(i));
    if (expected.at("two_shot").is_string()) {
      EXPECT_EQ(tasks::sample_bigbench(data, 1, 2).at(0).prompt, expected.at("two_shot").get<std::string>());
    }
    ++checked;
  }
  return checked;
}

int check_bigbench_tasks(const fs::path& root, bool large) {
  int checked = 0;
  for (const fs::path& folder : folders_in(root, "")) {
    const std::string name = folder.filename().string();
    if (name.starts_with("ppl_")) continue;
    Subject* model = subject(root, name);
    if (model == nullptr || model->large != large) continue;
    for (const fs::path& path : files_in(folder, ".json")) {
      SCOPED_TRACE(path.string());
      const Json expected = read_json(path);
      if (!expected.contains("scores")) continue;
      checked += expected.contains("composite_of") ? check_composite(expected, *model)
                                                   : check_single(expected, *model);
    }
  }
  return checked;
}

int check_bigbench_metrics(const fs::path& root) {
  if (!fs::exists(root / "metrics_cases.json")) return 0;
  const Json cases = read_json(root / "metrics_cases.json");
  for (const Json& c : cases.at("multiple_choice")) {
    SCOPED_TRACE(c.at("name").get<std::string>());
    std::vector<tasks::ChoiceSample> samples;
    for (const Json& s : c.at("samples")) {
      samples.push_back({s.at("choice"), s.at("target_scores"), s.at("absolute_log_prob"), s.at("log_prob")});
      EXPECT_EQ(tasks::chosen_choice(samples.back()), s.at("chosen").get<size_t>());
    }
    std::map<std::string, double> computed = {
        {"multiple_choice_grade", tasks::multiple_choice_grade(samples)},
        {"calibration_multiple_choice_brier_score", tasks::brier_score(samples)},
        {"expected_calibration_error", tasks::expected_calibration_error(samples)},
        {"weighted_log_probabilities", tasks::weighted_log_probabilities(samples)},
        {"weighted_probabilities", tasks::weighted_probabilities(samples)}};
    const auto f1 = tasks::macro_f1(samples);
    if (f1) computed["macro_f1"] = *f1;
    for (const auto& [metric, value] : c.at("metrics").items()) {
      if (value.is_number()) {
        EXPECT_NEAR(computed.at(metric), value.get<double>(),
                    1e-10 * std::max(1.0, std::abs(value.get<double>())))
            << metric;
      } else {
        EXPECT_FALSE(f1.has_value());
      }
    }
  }
  const Json& generative = cases.at("generative");
  const auto responses = generative.at("responses").get<std::vector<std::string>>();
  const auto targets = generative.at("targets").get<std::vector<tasks::Targets>>();
  for (size_t i = 0; i < responses.size(); ++i) {
    SCOPED_TRACE(Json(responses[i]).dump());
    const Json& item = generative.at("per_item")[i];
    EXPECT_EQ(tasks::exact_str_match(responses[i], targets[i]),
              item.at("exact_str_match").at("exact_str_match").get<double>() == 1.0);
    EXPECT_EQ(tasks::case_insensitive_str_match(responses[i], targets[i]),
              item.at("case_insensitive_str_match").at("case_insensitive_str_match").get<double>() == 1.0);
    const Json& numeric = item.at("numeric_match_with_0_1_relative_error");
    const auto match = tasks::numeric_match(responses[i], targets[i]);
    EXPECT_EQ(match.has_value(), !numeric.contains("exception"));
    if (match) {
      EXPECT_EQ(*match, numeric.at("numeric_match_with_0_1_relative_error").get<double>() == 1.0);
    }
    EXPECT_NEAR(tasks::sequence_f1(std::span(&responses[i], 1), std::span(&targets[i], 1)),
                item.at("sequence_f1").at("sequence_f1").get<double>(), 1e-10);
  }
  const double corpus = generative.at("corpus").at("sequence_f1").at("sequence_f1");
  EXPECT_NEAR(tasks::sequence_f1(responses, targets), corpus, 1e-10);
  return 1;
}

int check_bigbench_postprocessing(const fs::path& root) {
  if (!fs::exists(root / "postprocess_cases.json")) return 0;
  const Json cases = read_json(root / "postprocess_cases.json");
  for (const Json& c : cases.at("cases")) {
    SCOPED_TRACE(c.dump());
    std::vector<std::string> stops;
    if (c.at("stop_string").is_string()) stops = {c.at("stop_string").get<std::string>()};
    if (c.at("stop_string").is_array()) stops = c.at("stop_string").get<std::vector<std::string>>();
    const int64_t max_length = c.at("max_length").is_null() ? 0 : c.at("max_length").get<int64_t>();
    const std::string regex = c.at("output_regex").is_null() ? "" : c.at("output_regex").get<std::string>();
    EXPECT_EQ(tasks::postprocess_output(c.at("text"), max_length, stops, regex),
              c.at("output").get<std::string>());
  }
  return 1;
}

int check_bigbench_sampling(const fs::path& root) {
  if (!fs::exists(root / "sampling_cases.json")) return 0;
  const Json cases = read_json(root / "sampling_cases.json");
  NumpyRandomState words(42);
  for (const Json& word : cases.at("first_uint32_seed42")) EXPECT_EQ(words.next_u32(), word.get<uint32_t>());
  for (const auto& [n, expected] : cases.at("permutation_seed42").items()) {
    EXPECT_EQ(NumpyRandomState(42).permutation(std::stoll(n)), expected.get<std::vector<int64_t>>());
  }
  for (const Json& c : cases.at("choice_without_replacement_seed42")) {
    EXPECT_EQ(NumpyRandomState(42).choice(c.at("n"), c.at("k")), c.at("result").get<std::vector<int64_t>>());
  }
  const Json& sequence = cases.at("sequence_n50_k4_shots3_seed42");
  tasks::BigBenchData data;
  for (int64_t i = 0; i < sequence.at("n").get<int64_t>(); ++i)
    data.examples.push_back({i, "x", {}, {}, {"t"}});
  const auto queries = tasks::sample_bigbench(data, std::ssize(sequence.at("queries")), 3);
  for (size_t q = 0; q < queries.size(); ++q) {
    EXPECT_EQ(queries[q].example, sequence.at("queries")[q].get<int64_t>());
    EXPECT_EQ(queries[q].shots, sequence.at("shots")[q].get<std::vector<int64_t>>());
  }
  NumpyRandomState picks(42);
  const Json& multi = cases.at("randint_multi_target");
  for (size_t i = 0; i < multi.at("picked").size(); ++i) {
    EXPECT_EQ(picks.interval(multi.at("list_lengths")[i].get<uint32_t>() - 1),
              multi.at("picked")[i].get<uint32_t>());
  }
  return 1;
}

int check_bigbench_aggregation(const fs::path& root) {
  if (!fs::exists(root / "aggregation_cases.json")) return 0;
  const Json cases = read_json(root / "aggregation_cases.json");
  for (const Json& c : cases.at("cases")) compare_aggregation(c);
  return 1;
}

}  // namespace qbench::eval_cases
