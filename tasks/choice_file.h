// A multiple-choice task file: YAML that says where the records are and how a record becomes a question.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "harness/data/data_set.h"
#include "tasks/core/template.h"
#include "tasks/multiple_choice.h"

namespace qbench::tasks {

struct ChoiceFile {
  std::filesystem::path path;
  std::string sha256;  ///< of the YAML
  std::string name, summary, source;
  std::string set, split, file;         ///< a data set and split, or a file beside the YAML
  std::vector<std::string> text_lines;  ///< names of the lines of a block, for plain-text data
  std::vector<std::pair<std::string, Template>> lets;
  Template description, context, gold, continuation, labels;
  std::vector<Template> contexts, choices;
  bool has_contexts = false, has_labels = false, choices_are_list = false;
  std::string delimiter = " ", shot_delimiter = "\n\n";
  std::vector<std::string> metrics = {"acc"};
  bool weight_parts_by_size = true;
  std::string shot_split, shot_rule;  ///< "" = no few-shot examples; rule "sample" or "first"
  bool shots_from_scored = false;     ///< then one more is drawn and the document itself left out
  std::string part_field;             ///< groups records by this field ("" = none)

  /// @throws ConfigError (unknown key with the nearest known one, missing key), with file and line.
  static ChoiceFile load(const std::filesystem::path& path);
};

/// A question without its delimiter and shots.
struct Question {
  std::vector<std::string> contexts, choices;
  std::string continuation;  ///< for one continuation after several contexts
  std::vector<int64_t> gold, labels;
};

/// @param place  names the record. @throws DataError
Question make_question(const ChoiceFile& file, const OrderedJson& record, const std::string& place);

}  // namespace qbench::tasks
