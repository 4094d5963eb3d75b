#include "harness/suite/suite.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <functional>
#include <set>

#include "harness/calibration/calibration_set.h"
#include "harness/core/call.h"
#include "harness/core/errors.h"
#include "harness/core/files.h"
#include "harness/core/hash.h"
#include "harness/core/quantity.h"
#include "methods/core/catalogue.h"
#include "methods/core/recipe.h"
#include "methods/core/scheme.h"
#include "tasks/core/task.h"

namespace qbench::suite {
namespace {

const std::vector<std::string> kKeys = {"suite",   "description", "models", "calibration", "methods",
                                        "schemes", "seeds",       "tasks",  "exclude",     "limits"};
const std::vector<std::string> kLimitKeys = {"memory", "jobs", "threads", "timeout"};

std::string place(const std::string& origin, const YAML::Mark& mark) {
  return mark.is_null() ? origin : fmt::format("{}:{}:{}", origin, mark.line + 1, mark.column + 1);
}

std::string kind_name(const YAML::Node& node) {
  if (node.IsMap()) return "a mapping";
  if (node.IsSequence()) return "a list";
  if (node.IsScalar()) return fmt::format("\"{}\"", node.Scalar());
  return "nothing";
}

/// Reads one suite and collects problems instead of stopping at the first.
class SuiteReader {
 public:
  explicit SuiteReader(std::string origin) : origin_(std::move(origin)) {}

  Suite read(const YAML::Node& root) {
    Suite suite;
    if (!root.IsMap()) {
      problem(root, fmt::format("found {}; expected a mapping with the keys {}", kind_name(root),
                                fmt::join(kKeys, ", ")));
      finish();
    }
    check_keys(root, kKeys, "suite");
    suite.name = text(root, "suite", true);
    suite.description = text(root, "description", false);
    suite.models = list(root, "models", true, [](const std::string& s) { return trim(s); });
    suite.calibration = list(root, "calibration", false,
                             [](const std::string& s) { return calibration::check_calibration(s).print(); });
    suite.methods = list(root, "methods", true, [](const std::string& s) {
      return methods::parse_recipe(s, methods::method_catalogue()).canonical();
    });
    const bool only_baseline = suite.methods == std::vector<std::string>{"fp"};
    suite.schemes = list(root, "schemes", !only_baseline,
                         [](const std::string& s) { return methods::parse_scheme(s).print(); });
    suite.tasks =
        list(root, "tasks", true, [](const std::string& s) { return tasks::make_task(s)->canonical(); });
    suite.exclude = list(root, "exclude", false, [](const std::string& s) { return s; });
    read_seeds(root, suite);
    read_limits(root["limits"], suite.limits);
    finish();
    return suite;
  }

 private:
  void problem(const YAML::Node& node, const std::string& message) {
    problems_.push_back(fmt::format("{}: {}", place(origin_, node.Mark()), message));
  }

  void finish() const {
    if (problems_.empty()) return;
    throw ConfigError(fmt::format("{}", fmt::join(problems_, "\n")));
  }

  void check_keys(const YAML::Node& map, const std::vector<std::string>& known, const std::string& where) {
    std::set<std::string> seen;
    for (const auto& entry : map) {
      const std::string key = entry.first.IsScalar() ? entry.first.Scalar() : "";
      if (std::find(known.begin(), known.end(), key) == known.end()) {
        problem(entry.first, fmt::format("{}: unknown key \"{}\".{} Known: {}.", where, key,
                                         did_you_mean(key, known), fmt::join(known, ", ")));
      } else if (!seen.insert(key).second) {
        problem(entry.first, fmt::format("{}: the key \"{}\" is given twice. Keep one.", where, key));
      }
    }
  }

  std::string text(const YAML::Node& root, const char* key, bool required) {
    const YAML::Node node = root[key];
    if (!node || node.IsNull()) {
      if (required) problem(root, fmt::format("the key \"{}\" is missing; add `{}: NAME`", key, key));
      return "";
    }
    if (!node.IsScalar() || trim(node.Scalar()).empty()) {
      problem(node, fmt::format("{}: found {}; expected text", key,
                                node.IsScalar() ? "empty text" : kind_name(node)));
      return "";
    }
    return node.Scalar();
  }

  std::vector<std::string> list(const YAML::Node& root, const char* key, bool required,
                                const std::function<std::string(const std::string&)>& canonical) {
    std::vector<std::string> values;
    const YAML::Node node = root[key];
    if (!node || node.IsNull()) {
      if (required) problem(root, fmt::format("the key \"{}\" is missing; add `{}: [...]`", key, key));
      return values;
    }
    if (!node.IsSequence() && !node.IsScalar()) {
      problem(node, fmt::format("{}: found {}; expected a list of texts", key, kind_name(node)));
      return values;
    }
    const auto add = [&](const YAML::Node& item) {
      if (!item.IsScalar()) {
        problem(item, fmt::format("{}: found {}; expected text", key, kind_name(item)));
        return;
      }
      try {
        std::string value = canonical(item.Scalar());
        if (value.empty()) throw ConfigError("found empty text; expected a value");
        if (std::find(values.begin(), values.end(), value) == values.end())
          values.push_back(std::move(value));
        else
          problem(item, fmt::format("{}: \"{}\" is listed twice. Keep one.", key, item.Scalar()));
      } catch (const Error& error) {
        problem(item, fmt::format("{}: {}", key, error.what()));
      }
    };
    if (node.IsScalar())
      add(node);
    else
      for (const YAML::Node& item : node) add(item);
    if (required && node.IsSequence() && node.size() == 0)
      problem(node, fmt::format("{}: the list is empty; add at least one", key));
    return values;
  }

  void read_seeds(const YAML::Node& root, Suite& suite) {
    const YAML::Node node = root["seeds"];
    if (!node) return;
    suite.seeds.clear();
    const auto add = [&](const YAML::Node& item) {
      int64_t seed = 0;
      if (item.IsScalar() && YAML::convert<int64_t>::decode(item, seed) && seed >= 0)
        suite.seeds.push_back(seed);
      else
        problem(item, fmt::format("seeds: found {}; expected an integer >= 0", kind_name(item)));
    };
    if (node.IsScalar())
      add(node);
    else if (node.IsSequence() && node.size() > 0)
      for (const YAML::Node& item : node) add(item);
    else
      problem(node,
              fmt::format("seeds: found {}; expected a list of integers such as [0, 1]", kind_name(node)));
  }

  void read_limits(const YAML::Node& node, Limits& limits) {
    if (!node) return;
    if (!node.IsMap()) {
      problem(node, fmt::format("limits: found {}; expected a mapping with the keys {}", kind_name(node),
                                fmt::join(kLimitKeys, ", ")));
      return;
    }
    check_keys(node, kLimitKeys, "limits");
    guarded(node["memory"],
            [&](const YAML::Node& n) { limits.memory_bytes = parse_bytes(n.Scalar(), "limits.memory"); });
    guarded(node["timeout"],
            [&](const YAML::Node& n) { limits.timeout_s = parse_seconds(n.Scalar(), "limits.timeout"); });
    guarded(node["jobs"], [&](const YAML::Node& n) { limits.jobs = positive(n, "limits.jobs"); });
    guarded(node["threads"], [&](const YAML::Node& n) { limits.threads = positive(n, "limits.threads"); });
  }

  static int positive(const YAML::Node& node, const char* what) {
    int value = 0;
    if (!YAML::convert<int>::decode(node, value) || value < 1 || value > 4096) {
      throw ConfigError(fmt::format("{}: found {}; expected an integer in [1, 4096]", what, kind_name(node)));
    }
    return value;
  }

  void guarded(const YAML::Node& node, const std::function<void(const YAML::Node&)>& read) {
    if (!node) return;
    try {
      if (!node.IsScalar())
        throw ConfigError(fmt::format("limits: found {}; expected a single value", kind_name(node)));
      read(node);
    } catch (const ConfigError& error) {
      problem(node, error.what());
    }
  }

  std::string origin_;
  std::vector<std::string> problems_;
};

YAML::Node parse_yaml(const std::string& text, const std::string& origin) {
  try {
    return YAML::Load(text);
  } catch (const YAML::Exception& error) {
    throw ConfigError(fmt::format("{}: not valid YAML: {}", place(origin, error.mark), error.msg));
  }
}

/// Applies "a.b=value": walks mappings (and list positions) and replaces the node.
void apply_override(YAML::Node root, const std::string& setting) {
  const size_t equals = setting.find('=');
  if (equals == std::string::npos || equals == 0) {
    throw ConfigError(fmt::format("--set {}: expected key=value, such as --set limits.jobs=2", setting));
  }
  YAML::Node node;
  node.reset(root);
  for (const std::string& key : split_outside(setting.substr(0, equals), '.')) {
    YAML::Node child;
    if (node.IsSequence()) {
      size_t index = 0;
      if (!YAML::convert<size_t>::decode(YAML::Node(key), index) || index >= node.size()) {
        throw ConfigError(fmt::format("--set {}: \"{}\" is not a position of a list with {} entries", setting,
                                      key, node.size()));
      }
      child.reset(node[index]);
    } else if (!node.IsDefined() || node.IsNull() || node.IsMap()) {
      child.reset(node[key]);
    } else {
      throw ConfigError(fmt::format("--set {}: \"{}\" lies below a plain value", setting, key));
    }
    node.reset(child);
  }
  node = parse_yaml(setting.substr(equals + 1), "--set " + setting);
}

}  // namespace

Suite parse_suite(const std::string& yaml, const std::string& origin,
                  const std::vector<std::string>& overrides) {
  YAML::Node root = parse_yaml(yaml, origin);
  std::string effective = yaml;
  if (!overrides.empty()) {
    for (const std::string& setting : overrides) apply_override(root, setting);
    effective = YAML::Dump(root) + "\n";
  }
  Suite suite = SuiteReader(origin).read(root);
  suite.yaml = effective;
  suite.hash = sha256_hex(effective);
  return suite;
}

Suite load_suite(const std::filesystem::path& path, const std::vector<std::string>& overrides) {
  Suite suite = parse_suite(read_text_file(path), path.string(), overrides);
  suite.path = path;
  return suite;
}

}  // namespace qbench::suite
