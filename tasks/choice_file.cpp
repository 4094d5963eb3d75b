#include "tasks/choice_file.h"

#include <fmt/format.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>

#include "harness/core/call.h"
#include "harness/core/errors.h"
#include "harness/core/files.h"
#include "harness/core/hash.h"

namespace qbench::tasks {
namespace {

/// Reads one YAML mapping and complains about keys nobody asked for.
class Reader {
 public:
  Reader(const YAML::Node& node, std::string place) : node_(node), place_(std::move(place)) {
    if (!node_.IsMap()) throw ConfigError(fmt::format("{}: expected key: value lines", place_));
  }

  std::string where(const std::string& key) const {
    const YAML::Node value = node_[key];
    return value ? fmt::format("{}:{}: {}", place_, value.Mark().line + 1, key) : place_ + ": " + key;
  }
  bool has(const std::string& key) {
    known_.push_back(key);
    return static_cast<bool>(node_[key]);
  }
  std::string text(const std::string& key, const std::string& fallback) {
    return has(key) ? scalar(node_[key], key) : fallback;
  }
  std::string required(const std::string& key) {
    if (!has(key)) throw ConfigError(fmt::format("{}: the key \"{}\" is missing", place_, key));
    return scalar(node_[key], key);
  }
  std::vector<std::string> list(const std::string& key) {
    std::vector<std::string> values;
    if (!has(key)) return values;
    if (!node_[key].IsSequence()) throw ConfigError(fmt::format("{}: expected a list", where(key)));
    for (const auto& element : node_[key]) values.push_back(scalar(element, key));
    return values;
  }
  Template tmpl(const std::string& key) { return Template(required(key), where(key)); }
  YAML::Node child(const std::string& key) { return has(key) ? node_[key] : YAML::Node(); }

  void refuse_unknown() const {
    std::vector<std::string> seen;
    for (const auto& entry : node_) {
      const auto key = entry.first.as<std::string>();
      const std::string place = fmt::format("{}:{}", place_, entry.first.Mark().line + 1);
      if (std::find(seen.begin(), seen.end(), key) != seen.end())
        throw ConfigError(fmt::format("{}: the key \"{}\" is given twice", place, key));
      seen.push_back(key);
      if (std::find(known_.begin(), known_.end(), key) != known_.end()) continue;
      throw ConfigError(fmt::format("{}: unknown key \"{}\".{} Known: {}.", place, key,
                                    did_you_mean(key, known_), fmt::join(known_, ", ")));
    }
  }

 private:
  std::string scalar(const YAML::Node& value, const std::string& key) const {
    if (!value.IsScalar()) throw ConfigError(fmt::format("{}: expected text", where(key)));
    return value.as<std::string>();
  }
  const YAML::Node node_;
  std::string place_;
  std::vector<std::string> known_;
};

void read_data(Reader& root, ChoiceFile& file, const std::string& place) {
  if (!root.has("data"))
    throw ConfigError(fmt::format(
        "{}: the key \"data\" is missing: data: {{set: NAME, split: NAME}} or {{file: PATH}}", place));
  Reader data(root.child("data"), place);
  file.set = data.text("set", "");
  file.split = data.text("split", "");
  file.file = data.text("file", "");
  file.text_lines = data.list("text_lines");
  data.refuse_unknown();
  if (file.set.empty() == file.file.empty())
    throw ConfigError(fmt::format("{}: give either set or file", root.where("data")));
  if (!file.set.empty() && data::find_data_set(file.set) == nullptr) {
    throw ConfigError(fmt::format("{}: unknown data set \"{}\".{}", root.where("data"), file.set,
                                  did_you_mean(file.set, data::data_set_names())));
  }
}

void read_questions(Reader& root, ChoiceFile& file) {
  if (YAML::Node lets = root.child("let"); lets && lets.IsMap()) {
    for (const auto& entry : lets) {
      const auto name = entry.first.as<std::string>();
      file.lets.emplace_back(name, Template(entry.second.as<std::string>(), root.where("let") + "." + name));
    }
  }
  file.description = Template(root.text("description", ""), root.where("description"));
  file.has_contexts = root.has("contexts");
  if (file.has_contexts) {
    for (const std::string& text : root.list("contexts"))
      file.contexts.emplace_back(text, root.where("contexts"));
    file.continuation = root.tmpl("continuation");
  } else {
    file.context = root.tmpl("context");
    if (!root.has("choices"))
      throw ConfigError(fmt::format("{}: the key \"choices\" is missing", file.path.string()));
    file.choices_are_list = root.child("choices").IsScalar();
    if (file.choices_are_list) {
      file.choices.push_back(root.tmpl("choices"));
    } else {
      for (const std::string& text : root.list("choices"))
        file.choices.emplace_back(text, root.where("choices"));
    }
  }
  file.gold = root.tmpl("gold");
  file.has_labels = root.has("labels");
  if (file.has_labels) file.labels = root.tmpl("labels");
  file.delimiter = root.text("delimiter", " ");
}

void read_scoring(Reader& root, ChoiceFile& file) {
  if (root.has("metrics")) file.metrics = root.list("metrics");
  for (const std::string& metric : file.metrics) {
    const auto& names = choice_metric_names();
    if (std::find(names.begin(), names.end(), metric) == names.end()) {
      throw ConfigError(fmt::format("{}: unknown metric \"{}\".{} Known: {}.", root.where("metrics"), metric,
                                    did_you_mean(metric, names), fmt::join(names, ", ")));
    }
  }
  const std::string group = root.text("group", "size");
  if (group != "size" && group != "plain")
    throw ConfigError(fmt::format("{}: found \"{}\"; expected size or plain", root.where("group"), group));
  file.weight_parts_by_size = group == "size";
  file.part_field = root.text("part_field", "");
  if (!root.has("shots")) return;
  Reader shots(root.child("shots"), file.path.string());
  file.shot_split = shots.text("split", "");
  file.shot_rule = shots.text("rule", "sample");
  file.shot_delimiter = shots.text("delimiter", "\n\n");
  file.shots_from_scored = shots.text("same_split", "false") == "true";
  shots.refuse_unknown();
  if (file.shot_rule != "sample" && file.shot_rule != "first") {
    throw ConfigError(
        fmt::format("{}: rule: found \"{}\"; expected sample or first", root.where("shots"), file.shot_rule));
  }
}

std::vector<int64_t> integers(const OrderedJson& value) {
  std::vector<int64_t> out;
  for (const auto& element : value) {
    if (element.is_number_integer()) out.push_back(element.get<int64_t>());
  }
  return out;
}

/// Text that is a number names a position; any other text names a choice.
int64_t gold_index(const OrderedJson& gold, const Question& question, const std::string& place) {
  const auto n = static_cast<int64_t>(std::max(question.choices.size(), question.contexts.size()));
  int64_t index = -1;
  if (gold.is_number_integer()) {
    index = gold.get<int64_t>();
  } else if (gold.is_boolean()) {
    index = gold.get<bool>() ? 1 : 0;
  } else if (gold.is_string()) {
    const std::string text = trim(gold.get<std::string>());
    const bool digits = !text.empty() && text.size() < 10 &&
                        std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
    const auto found = std::find(question.choices.begin(), question.choices.end(), gold.get<std::string>());
    index = digits                            ? std::stoll(text)
            : found == question.choices.end() ? -1
                                              : found - question.choices.begin();
  }
  if (index < 0 || index >= n) {
    throw DataError(fmt::format("{}: gold is {}; expected a position in [0, {}) or one of the choices", place,
                                gold.dump(), n));
  }
  return index;
}

}  // namespace

ChoiceFile ChoiceFile::load(const std::filesystem::path& path) {
  const std::string content = read_text_file(path);
  ChoiceFile file;
  file.path = path;
  file.sha256 = sha256_hex(content);
  file.name = path.stem().string();
  try {
    Reader root(YAML::Load(content), path.string());
    file.summary = root.text("summary", "");
    file.source = root.text("source", "");
    read_data(root, file, path.string());
    read_questions(root, file);
    read_scoring(root, file);
    root.refuse_unknown();
  } catch (const YAML::Exception& error) {
    throw ConfigError(fmt::format("{}:{}: {}", path.string(), error.mark.line + 1, error.msg));
  }
  return file;
}

Question make_question(const ChoiceFile& file, const OrderedJson& original, const std::string& place) {
  Question question;
  OrderedJson record = original;
  try {
    for (const auto& [name, value] : file.lets) record[name] = value.value(record);
    if (file.has_contexts) {
      for (const Template& context : file.contexts) question.contexts.push_back(context.render(record));
      question.choices = question.contexts;
      question.continuation = file.continuation.render(record);
    } else {
      question.contexts = {file.context.render(record)};
      if (file.choices_are_list) {
        const OrderedJson list = file.choices.front().value(record);
        if (!list.is_array())
          throw DataError(fmt::format("choices: found a JSON {}; expected a list", list.type_name()));
        question.choices = list.get<std::vector<std::string>>();
      } else {
        for (const Template& choice : file.choices) question.choices.push_back(choice.render(record));
      }
    }
    if (question.choices.empty()) throw DataError("the record has no choices");
    const OrderedJson gold = file.gold.value(record);
    for (const auto& one : gold.is_array() ? gold : OrderedJson::array({gold}))
      question.gold.push_back(gold_index(one, question, place));
    if (file.has_labels) question.labels = integers(file.labels.value(record));
  } catch (const DataError& error) {
    throw DataError(fmt::format("{}: {}", place, error.what()));
  } catch (const OrderedJson::exception& error) {
    throw DataError(fmt::format("{}: {}", place, error.what()));
  }
  return question;
}

}  // namespace qbench::tasks
