// BIG-bench's metrics (bigbench 1.0.0, task_metrics.py and results.py), quirks included; BLEU, ROUGE and
// BLEURT are left out.
#pragma once

#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace qbench::tasks {

/// One scored multiple-choice example.
struct ChoiceSample {
  std::vector<std::string> choices;
  std::vector<double> target_scores;
  std::vector<double> absolute_log_prob;  ///< sums over tokens
  std::vector<double> log_prob;           ///< normalised over the choices, unless the task says absolute
};

/// log_prob from absolute_log_prob.
std::vector<double> normalize_log_probs(std::span<const double> absolute);
/// argmax of log_prob; ties by SHA-256 of the values' bytes.
size_t chosen_choice(const ChoiceSample& sample);

double multiple_choice_grade(std::span<const ChoiceSample> samples);
double brier_score(
    std::span<const ChoiceSample> samples);  ///< divided by the number of choices, not of examples
double expected_calibration_error(std::span<const ChoiceSample> samples);
/// None when an example has no single correct choice of score 1.
std::optional<double> macro_f1(std::span<const ChoiceSample> samples);
double weighted_log_probabilities(std::span<const ChoiceSample> samples);
double weighted_probabilities(std::span<const ChoiceSample> samples);

using Targets = std::vector<std::string>;
bool exact_str_match(const std::string& response, const Targets& targets);  ///< nothing stripped
bool case_insensitive_str_match(const std::string& response, const Targets& targets);
/// Within 10 % of the single target, divided by the signed target: any number matches a negative one. None:
/// several targets.
std::optional<bool> numeric_match(const std::string& response, const Targets& targets);
/// Mean over examples of the position-wise accuracy against the first target, in percent (the official name
/// notwithstanding).
double sequence_f1(std::span<const std::string> responses, std::span<const Targets> targets);

/// max_length cut, stop string, regular expression. @param max_length  in characters, 0 = none. @throws
/// DataError on a bad regex.
std::string postprocess_output(const std::string& text, int64_t max_length,
                               const std::vector<std::string>& stop_strings, const std::string& output_regex);

struct ScoreData {
  std::map<std::string, double> scores;
  std::string preferred;
  std::string description;
  int64_t shots = 0;
  double low = 0, high = 1;
};

/// The official table of low and high scores; low of multiple_choice_grade is a property of the examples.
double default_low_score(const std::string& metric);
double default_high_score(const std::string& metric);

/// add_aggregate_scores: one entry per number of shots is appended for `task`, or normalized_aggregate_score
/// is added to a task's only entry.
std::vector<ScoreData> aggregate_scores(const std::string& task, std::vector<ScoreData> scores);

}  // namespace qbench::tasks
