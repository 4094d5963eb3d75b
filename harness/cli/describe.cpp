// qbench describe: what this build knows, for people and (--json) for scripts.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cstdio>

#include "harness/calibration/calibration_set.h"
#include "harness/cli/commands.h"
#include "harness/core/errors.h"
#include "harness/models/arch/family.h"
#include "methods/core/catalogue.h"
#include "methods/core/scheme.h"
#include "tasks/core/task.h"

namespace qbench::cli {
namespace {

struct Entry {
  std::string name, summary, source;
  std::vector<FieldSpec> fields;
  Json extra = Json::object();
};

struct Topic {
  std::string name;
  std::string intro;
  std::vector<Entry> entries;
};

Topic methods_topic() {
  Topic topic{
      "methods", "Passes of a recipe, chained with '|'. A chain without a quantize pass ends in rtn.", {}};
  for (const auto& m : methods::method_catalogue()) {
    std::string needs = m.needs_calibration     ? "calibration set"
                        : m.needs_fp_statistics ? "statistics of the unquantized model"
                                                : "nothing";
    topic.entries.push_back({m.name,
                             m.summary,
                             m.paper,
                             m.fields,
                             {{"kind", methods::pass_kind_name(m.kind)}, {"needs", needs}}});
  }
  return topic;
}

Topic tasks_topic() {
  Topic topic{"tasks", "What is measured. Write name or name(key=value, ...).", {}};
  std::vector<std::string> kinds;
  for (const auto& t : tasks::task_registry()) {
    topic.entries.push_back({t.name, t.summary, t.source, t.fields, {{"kind", "built in"}}});
    kinds.push_back(t.name);
  }
  for (const std::string& name : tasks::task_names()) {
    if (std::find(kinds.begin(), kinds.end(), name) == kinds.end())
      topic.entries.push_back({name, tasks::task_summary(name), "", {}, {{"kind", "file"}}});
  }
  return topic;
}

Topic schemes_topic() {
  Topic topic{
      "schemes",
      "w<bits>[a<bits>][g<columns>|-tensor][-asym]: weight and activation bits, granularity, symmetry.",
      {}};
  for (const auto& s : methods::scheme_examples()) topic.entries.push_back({s.text, s.meaning, "", {}});
  return topic;
}

Topic calibration_topic() {
  Topic topic{"calibration", "Calibration sets: source(samples=..., length=..., seed=...).", {}};
  for (const auto& s : calibration::calibration_sources())
    topic.entries.push_back({s.name, s.summary, "", s.fields});
  return topic;
}

Topic architectures_topic() {
  Topic topic{"architectures", "Model families that can be loaded.", {}};
  for (const models::Family* family : models::families()) {
    const std::string containers = family->gguf_architecture.empty() ? "Hugging Face" : "Hugging Face, GGUF";
    topic.entries.push_back(
        {std::string(family->model_type), std::string(family->title), "", {}, {{"checkpoints", containers}}});
  }
  return topic;
}

Json entry_json(const Entry& e) {
  Json fields = Json::array();
  for (const FieldSpec& f : e.fields) fields.push_back(f.json());
  Json out = {{"name", e.name}, {"summary", e.summary}, {"source", e.source}, {"parameters", fields}};
  out.update(e.extra);
  return out;
}

void print_entry(const Entry& e, bool whole) {
  fmt::print("  {:<28} {}{}\n", e.name, e.summary, e.source.empty() ? "" : fmt::format("  [{}]", e.source));
  if (!whole) return;
  for (const auto& [key, value] : e.extra.items())
    fmt::print("      {}: {}\n", key, value.get<std::string>());
  for (const FieldSpec& f : e.fields) {
    std::string range = f.choices.empty() ? f.range : fmt::format("{}", fmt::join(f.choices, "|"));
    fmt::print("      {:<18} {:<7} default {:<10} {:<16} {}\n", f.key, f.type,
               f.default_value.empty() ? "-" : f.default_value, range, f.help);
  }
}

int describe(const std::string& topic_name, const std::string& name, bool json) {
  std::vector<Topic> topics;
  const std::vector<std::pair<std::string, Topic (*)()>> all = {{"methods", methods_topic},
                                                                {"tasks", tasks_topic},
                                                                {"schemes", schemes_topic},
                                                                {"architectures", architectures_topic},
                                                                {"calibration", calibration_topic}};
  std::vector<std::string> known;
  for (const auto& [key, make] : all) {
    known.push_back(key);
    if (topic_name.empty() || topic_name == key) topics.push_back(make());
  }
  if (topics.empty()) {
    throw ConfigError(fmt::format("describe: unknown topic \"{}\".{} Known: {}.", topic_name,
                                  did_you_mean(topic_name, known), fmt::join(known, ", ")));
  }
  Json document = {{"schema_version", 1}};
  for (const Topic& topic : topics) {
    Json entries = Json::array();
    bool found = name.empty();
    std::vector<std::string> names;
    if (!json) fmt::print("{}: {}\n", topic.name, topic.intro);
    for (const Entry& e : topic.entries) {
      names.push_back(e.name);
      if (!name.empty() && e.name != name) continue;
      found = true;
      if (json)
        entries.push_back(entry_json(e));
      else
        print_entry(e, !name.empty());
    }
    if (!found)
      throw ConfigError(fmt::format("describe {}: unknown name \"{}\".{} `qbench describe {}` lists them.",
                                    topic.name, name, did_you_mean(name, names), topic.name));
    document[topic.name] = entries;
    if (!json) fmt::print("\n");
  }
  if (json) fmt::print("{}\n", document.dump(1));
  return kExitOk;
}

}  // namespace

void add_describe(CLI::App& app, Action& action) {
  struct Arguments {
    std::string topic, name;
    bool json = false;
  };
  CLI::App* command = app.add_subcommand(
      "describe", "methods, tasks, schemes, architectures, calibration sources of this build");
  auto args = std::make_shared<Arguments>();
  command->add_option("topic", args->topic, "methods, tasks, schemes, architectures or calibration");
  command->add_option("name", args->name, "one entry with all its parameters");
  command->add_flag("--json", args->json);
  command->callback(
      [args, &action] { action = [args] { return describe(args->topic, args->name, args->json); }; });
}

}  // namespace qbench::cli
