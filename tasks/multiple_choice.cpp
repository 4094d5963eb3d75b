// Kind mc: a multiple-choice task file, with few-shot prompts by lm-eval's rule (eval_protocol, section 3.7).
#include "tasks/multiple_choice.h"

#include <fmt/format.h>

#include <algorithm>

#include "harness/core/errors.h"
#include "harness/core/files.h"
#include "harness/core/hash.h"
#include "harness/core/python_random.h"
#include "harness/data/records.h"
#include "tasks/choice_file.h"
#include "tasks/core/task_support.h"

namespace qbench::tasks {
namespace {

namespace fs = std::filesystem;

struct ChoiceParams {
  std::string data, split, part;
  Selection selection;
  int64_t shots = 0;
  int64_t shot_seed = 1234;
  std::string bos = "default";
  int64_t max_length = 0;

  template <class Visitor>
  void visit(Visitor& v) {
    v("data", data, "the JSON-lines file, instead of the one the task file names");
    v("split", split, "another split of the data set");
    v("part", part, "one part (paradigm, subject) of the data; empty: all");
    selection.visit(v);
    v("shots", shots, Range{0, 1000}, "few-shot examples in front of each question");
    v("shot_seed", shot_seed, Range{0.0, 4294967295.0}, "seed of their draw (lm-eval: 1234)");
    v("bos", bos, OneOf{{"default", "none"}},
      "default: as the tokenizer does by itself (era E4); none: never (E2, E3)");
    v("max_length", max_length, Range{0, 1048576}, "tokens the model is given at most; 0: all it takes");
  }
};

struct FileChoiceParams : ChoiceParams {
  std::string file;

  template <class Visitor>
  void visit(Visitor& v) {
    v("file", file, "the task file (YAML)");
    ChoiceParams::visit(v);
  }
};

struct PartFile {
  std::string part;
  data::Located located;
};

/// Blocks of as many lines as there are names become records.
std::vector<OrderedJson> read_line_blocks(const fs::path& path, const std::vector<std::string>& names) {
  std::vector<OrderedJson> records;
  const std::string content = data::read_data_file(path);
  const auto lines = data::lines_with_ends(content);
  if (lines.empty() || lines.size() % names.size() != 0) {
    throw DataError(fmt::format("{}: {} lines are no multiple of the {} lines of a block ({})", path.string(),
                                lines.size(), names.size(), fmt::join(names, ", ")));
  }
  for (size_t i = 0; i < lines.size(); ++i) {
    if (i % names.size() == 0) records.emplace_back(OrderedJson::object());
    std::string_view line = lines[i];
    while (line.ends_with('\n') || line.ends_with('\r')) line.remove_suffix(1);
    records.back()[names[i % names.size()]] = std::string(line);
  }
  return records;
}

class ChoiceTask final : public Task {
 public:
  ChoiceTask(CheckedCall call, ChoiceParams params, ChoiceFile file)
      : call_(std::move(call)), params_(std::move(params)), file_(std::move(file)) {
    params_.selection.pick(0);
    if (params_.shots > 0 && file_.shot_rule.empty()) {
      throw ConfigError(fmt::format("task {}: {} declares no few-shot examples (key shots); use shots=0",
                                    canonical(), file_.path.string()));
    }
    find_parts();
  }

  std::string identity() const override {
    Hasher data;
    for (const PartFile& part : parts_) data.field(part.part).field(part.located.sha256);
    if (params_.shots > 0) data.field(shot_pool_file().sha256);
    return task_identity(call_, {"file", "data"}, fmt::format("{} yaml={}", data.hex(), file_.sha256));
  }
  std::string canonical() const override { return call_.canonical.print(); }
  std::string protocol() const override {
    return fmt::format("{} {}{}{}{}{}", params_.bos == "default" ? "zs/e4" : "zs/e3", file_.name,
                       params_.part.empty() ? "" : "/" + params_.part,
                       params_.split.empty() ? "" : " split=" + params_.split,
                       params_.shots > 0 ? fmt::format(" shots={}", params_.shots) : "", selection_note());
  }
  TaskCost cost() const override {
    int64_t bytes = 0, records = 0;
    std::error_code error;
    for (const PartFile& part : parts_) {
      const auto size = static_cast<int64_t>(fs::file_size(part.located.path, error));
      bytes += size;
      // Questions of this kind take about 400 bytes; only an estimate.
      records += params_.selection.count(std::max<int64_t>(size / 400, 1));
    }
    const int64_t per_document = 120 * (1 + params_.shots);
    return {records * per_document, records * 60, per_document * 2};
  }

  TaskResult run(const tokenizers::Tokenizer& tokenizer, engine::Scorer& scorer) const override {
    TaskResult result;
    result.task = canonical();
    result.protocol = protocol();
    ChoiceOptions options;
    options.tokenizer_bos = params_.bos == "default";
    options.max_length = params_.max_length;
    options.metrics = file_.metrics;
    options.weight_parts_by_size = file_.weight_parts_by_size;
    Json files = Json::array();
    for (const PartFile& part : parts_) {
      files.push_back(
          {{"part", part.part}, {"sha256", part.located.sha256}, {"known_file", part.located.known}});
    }
    result.provenance["data"] = {{"set", file_.set}, {"files", files}, {"task_file_sha256", file_.sha256}};
    const std::vector<ChoiceDocument> documents = make_documents();
    score_choices(documents, options, tokenizer, scorer, result);
    return result;
  }

 private:
  std::string selection_note() const {
    const Selection& s = params_.selection;
    if (s.limit > 0) return fmt::format(" limit={}", s.limit);
    if (s.subset > 0) return fmt::format(" subset={}/{}", s.subset, s.subset_seed);
    return "";
  }
  std::string split() const { return params_.split.empty() ? file_.split : params_.split; }

  void find_parts() {
    if (!params_.data.empty()) {
      parts_.push_back({params_.part, data::locate_file(params_.data)});
    } else if (file_.set.empty()) {
      const fs::path beside = file_.path.parent_path() / file_.file;
      std::error_code error;
      parts_.push_back(
          {params_.part, data::locate_file(fs::exists(beside, error) ? beside.string() : file_.file)});
    } else {
      find_set_parts(*data::find_data_set(file_.set));
    }
  }

  void find_set_parts(const data::DataSet& set) {
    if (set.parts.empty() || !params_.part.empty()) {
      parts_.push_back(
          {params_.part, data::locate(set, split(), set.parts.empty() ? "" : params_.part, "data")});
      return;
    }
    std::vector<std::string> absent;
    for (const std::string& part : set.parts) {
      if (auto found = data::try_locate(set, split(), part)) {
        parts_.push_back({part, *found});
      } else {
        absent.push_back(part);
      }
    }
    if (parts_.empty()) data::locate(set, split(), set.parts.front(), "data");
    if (!absent.empty()) {
      throw DataError(
          fmt::format("task {}: {} of {} parts are not on this machine ({}); name one that is: part=NAME",
                      canonical(), absent.size(), set.parts.size(), fmt::join(absent, ", ")));
    }
  }

  std::vector<OrderedJson> read(const fs::path& path) const {
    return file_.text_lines.empty() ? data::read_records(path) : read_line_blocks(path, file_.text_lines);
  }

  data::Located shot_pool_file() const {
    if (file_.shots_from_scored || file_.set.empty()) return parts_.front().located;
    return data::locate(*data::find_data_set(file_.set), file_.shot_split, params_.part);
  }

  std::string shot_text(const Question& question) const {
    const auto gold = static_cast<size_t>(question.gold.front());
    const bool many = question.contexts.size() > 1;
    return question.contexts[many ? gold : 0] + file_.delimiter +
           (many ? question.continuation : question.choices[gold]) + file_.shot_delimiter;
  }

  /// The few-shot text in front of a document; draws from `random` in document order.
  std::string shot_prefix(const std::vector<OrderedJson>& pool, const OrderedJson& document,
                          PythonRandom& random) const {
    if (params_.shots == 0) return "";
    const int64_t wanted = params_.shots + (file_.shots_from_scored ? 1 : 0);
    if (std::ssize(pool) < wanted) {
      throw DataError(fmt::format("task {}: {} few-shot examples needed, the pool holds {}", canonical(),
                                  wanted, pool.size()));
    }
    std::vector<int64_t> drawn;
    if (file_.shot_rule == "sample") {
      drawn = random.sample(std::ssize(pool), wanted);
    } else {
      for (int64_t i = 0; i < wanted; ++i) drawn.push_back(i);
    }
    std::string text;
    int64_t used = 0;
    for (const int64_t index : drawn) {
      const OrderedJson& shot = pool[static_cast<size_t>(index)];
      if (used == params_.shots || (file_.shots_from_scored && shot == document)) continue;
      text += shot_text(make_question(file_, shot, fmt::format("few-shot example {}", index)));
      ++used;
    }
    return text;
  }

  ChoiceDocument make_document(const OrderedJson& record, const std::string& part, int64_t index,
                               const std::string& prefix) const {
    ChoiceDocument document;
    document.part = part;
    if (!file_.part_field.empty() && record.contains(file_.part_field))
      document.part = record.at(file_.part_field).get<std::string>();
    document.item = part.empty() ? std::to_string(index) : fmt::format("{}/{}", part, index);
    const Question question =
        make_question(file_, record, fmt::format("task {}, record {}", canonical(), document.item));
    const std::string lead = file_.description.render(record) + prefix;
    for (const std::string& context : question.contexts) document.contexts.push_back(lead + context);
    document.choices = question.choices;
    if (question.contexts.size() > 1) {
      document.continuations = {file_.delimiter + question.continuation};
    } else {
      for (const std::string& choice : question.choices)
        document.continuations.push_back(file_.delimiter + choice);
    }
    document.gold = question.gold;
    document.labels = question.labels;
    return document;
  }

  std::vector<ChoiceDocument> make_documents() const {
    std::vector<ChoiceDocument> documents;
    const std::vector<OrderedJson> pool =
        params_.shots > 0 ? read(shot_pool_file().path) : std::vector<OrderedJson>{};
    for (const PartFile& part : parts_) {
      const std::vector<OrderedJson> records = read(part.located.path);
      PythonRandom random(
          static_cast<uint64_t>(params_.shot_seed));  // one generator per task, as lm-eval has it
      std::vector<int64_t> wanted;
      for (int64_t i = 0; i < std::ssize(records); ++i) {
        const OrderedJson& record = records[static_cast<size_t>(i)];
        const bool other_part = !file_.part_field.empty() && !params_.part.empty() &&
                                record.value(file_.part_field, "") != params_.part;
        if (!other_part) wanted.push_back(i);
      }
      for (const int64_t position : params_.selection.pick(std::ssize(wanted))) {
        const int64_t index = wanted[static_cast<size_t>(position)];
        const OrderedJson& record = records[static_cast<size_t>(index)];
        documents.push_back(make_document(record, part.part, index, shot_prefix(pool, record, random)));
      }
    }
    if (documents.empty()) throw DataError(fmt::format("task {}: no document to score", canonical()));
    return documents;
  }

  CheckedCall call_;
  ChoiceParams params_;
  ChoiceFile file_;
  std::vector<PartFile> parts_;
};

std::unique_ptr<Task> make(const Call& call) {
  const auto params = bind_fields<FileChoiceParams>(call, "task");
  if (params.file.empty())
    throw ConfigError(
        "task mc: file is missing. Write mc(file=FILE.yaml); tasks/README.md shows such a file.");
  return std::make_unique<ChoiceTask>(check_task_call(field_specs<FileChoiceParams>(), call), params,
                                      ChoiceFile::load(params.file));
}

}  // namespace

std::vector<std::string> task_file_names() {
  std::vector<std::string> names;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(share_dir() / "tasks" / "defs", error)) {
    if (entry.path().extension() == ".yaml") names.push_back(entry.path().stem().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

TaskFileRef find_task_file(const std::string& name) {
  TaskFileRef best;
  size_t length = 0;
  for (const std::string& file : task_file_names()) {
    const fs::path path = share_dir() / "tasks" / "defs" / (file + ".yaml");
    if (name == file) return {path, ""};
    if (!name.starts_with(file + "_") || file.size() <= length) continue;
    const data::DataSet* set = data::find_data_set(file);
    const std::string part = name.substr(file.size() + 1);
    if (set == nullptr || std::find(set->parts.begin(), set->parts.end(), part) == set->parts.end()) continue;
    best = {path, part};
    length = file.size();
  }
  return best;
}

std::string task_file_summary(const fs::path& path) { return ChoiceFile::load(path).summary; }

std::unique_ptr<Task> make_task_file(const TaskFileRef& file, const Call& call) {
  auto params = bind_fields<ChoiceParams>(call, "task");
  if (!file.part.empty()) params.part = file.part;
  return std::make_unique<ChoiceTask>(check_task_call(field_specs<ChoiceParams>(), call), params,
                                      ChoiceFile::load(file.path));
}

TaskInfo multiple_choice_task() {
  return {"mc", "multiple choice from a YAML task file over JSON lines",
          "lm-evaluation-harness 0.4.13 (eras E3, E4)", field_specs<FileChoiceParams>(), make};
}

}  // namespace qbench::tasks
