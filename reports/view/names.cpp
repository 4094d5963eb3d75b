#include "reports/view/names.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <set>

#include "harness/core/call.h"
#include "harness/core/errors.h"

namespace qbench::reports {
namespace {

bool names_data(const std::string& key) { return key == "name" || key == "file" || key == "text"; }

std::string base_name(const std::string& value) {
  const size_t slash = value.find_last_of('/');
  return slash == std::string::npos || slash + 1 == value.size() ? value : value.substr(slash + 1);
}

std::optional<Call> parsed(const std::string& text) {
  try {
    return parse_call(text, "name");
  } catch (const ConfigError&) {
    return std::nullopt;  // recipes with several passes, or names of a future grammar: shown as they are
  }
}

std::string short_name(const Call& call, const std::map<std::string, std::set<std::string>>& values_of) {
  std::string inside;
  for (const auto& [key, value] : call.args) {
    const bool data = names_data(key);
    if (!data && values_of.at(key).size() < 2) continue;
    if (!inside.empty()) inside += ", ";
    inside += data ? base_name(value) : key + "=" + value;
  }
  return inside.empty() ? call.name : call.name + "(" + inside + ")";
}

std::string with_unit(double value, const char* unit) {
  return fmt::format("{:.{}f} {}", value, value < 10 ? 2 : value < 100 ? 1 : 0, unit);
}

}  // namespace

std::vector<std::string> short_names(const std::vector<std::string>& canonical) {
  // An argument that only some calls of a name carry differs from its absence.
  std::map<std::string, std::map<std::string, std::set<std::string>>> values;  // name -> key -> values
  std::map<std::string, std::map<std::string, size_t>> carriers;
  std::map<std::string, size_t> calls;
  const std::set<std::string> distinct(canonical.begin(), canonical.end());
  for (const std::string& text : distinct) {
    const auto call = parsed(text);
    if (!call) continue;
    ++calls[call->name];
    for (const auto& [key, value] : call->args) {
      values[call->name][key].insert(value);
      ++carriers[call->name][key];
    }
  }
  for (auto& [name, keys] : carriers) {
    for (const auto& [key, count] : keys) {
      if (count < calls[name]) values[name][key].insert("(absent)");
    }
  }
  std::map<std::string, std::string> shown;
  std::map<std::string, int> uses;
  for (const std::string& text : distinct) {
    const auto call = parsed(text);
    ++uses[shown[text] = call ? short_name(*call, values[call->name]) : text];
  }
  std::vector<std::string> result;
  for (const std::string& text : canonical) result.push_back(uses[shown[text]] > 1 ? text : shown[text]);
  return result;
}

bool is_share(const std::string& metric) {
  static const std::array<const char*, 9> prefixes = {
      "acc", "exact", "flips", "same_top", "top1", "agreement", "em", "f1", "multiple_choice_grade"};
  return std::any_of(prefixes.begin(), prefixes.end(),
                     [&](const char* prefix) { return metric.rfind(prefix, 0) == 0; });
}

std::string metric_title(const std::string& metric) { return is_share(metric) ? metric + " %" : metric; }

std::vector<std::string> short_task_names(const std::vector<std::string>& canonical) {
  std::vector<std::string> names = short_names(canonical);
  std::map<std::string, std::set<std::string>> users;  // of each bare name
  const auto bare = [](const std::string& text) {
    const size_t open = text.find('(');
    const bool only_data = open != std::string::npos && text.find('=', open) == std::string::npos &&
                           text.find(',', open) == std::string::npos;
    return only_data ? text.substr(open + 1, text.size() - open - 2) : text;
  };
  for (size_t i = 0; i < names.size(); ++i) users[bare(names[i])].insert(canonical[i]);
  for (std::string& name : names) {
    if (users[bare(name)].size() == 1) name = bare(name);
  }
  return names;
}

std::vector<std::string> short_model_names(const std::vector<std::string>& models) {
  std::map<std::string, std::set<std::string>> users;
  for (const auto& model : models) users[base_name(model)].insert(model);
  std::vector<std::string> names;
  for (const auto& model : models)
    names.push_back(users[base_name(model)].size() == 1 ? base_name(model) : model);
  return names;
}

std::string format_number(double value, int digits) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value > 0 ? "inf" : "-inf";
  const double size = std::abs(value);
  if (size != 0 && (size >= 1e6 || size < 1e-4)) return fmt::format("{:.{}e}", value, digits - 1);
  const int before = size < 1 ? 1 : static_cast<int>(std::floor(std::log10(size))) + 1;
  return fmt::format("{:.{}f}", value, size < 1 ? digits : std::max(0, digits - before));
}

std::string format_score(const std::string& metric, double value) {
  return is_share(metric) && std::isfinite(value) ? fmt::format("{:.2f}", value * 100)
                                                  : format_number(value, 5);
}

std::string format_delta(const std::string& metric, double delta) {
  if (!std::isfinite(delta)) return format_number(delta, 4);
  if (is_share(metric)) return fmt::format("{:+.2f}", delta * 100 + 0.0);
  const double size = std::abs(delta);
  if (size == 0) return "+0";
  return (delta < 0 ? "-" : "+") +
         (size >= 1 ? format_number(size, 4) : format_number(size, size < 1e-4 ? 2 : 4));
}

std::string format_p(double p) {
  if (p < 1e-4) return "<1e-4";
  return fmt::format("{:.{}f}", p, p < 0.01 ? 4 : 3);
}

std::string stars(std::optional<double> p) {
  if (!p || std::isnan(*p)) return "";
  return *p < 0.001 ? "***" : *p < 0.01 ? "**" : *p < 0.05 ? "*" : "";
}

std::string format_bits(double bits) { return fmt::format("{:.2f}", bits); }

std::string format_seconds(double seconds) {
  if (seconds < 60) return fmt::format("{:.{}f} s", seconds, seconds < 10 ? 2 : 1);
  const auto whole = static_cast<int64_t>(std::llround(seconds));
  if (whole < 3600) return fmt::format("{} min {:02} s", whole / 60, whole % 60);
  return fmt::format("{} h {:02} min", whole / 3600, whole % 3600 / 60);
}

std::string format_bytes(int64_t bytes) {
  const auto size = static_cast<double>(bytes);
  if (bytes < 1024) return fmt::format("{} B", bytes);
  if (size < 1024.0 * 1024) return with_unit(size / 1024, "KiB");
  if (size < 1024.0 * 1024 * 1024) return with_unit(size / (1024.0 * 1024), "MiB");
  return with_unit(size / (1024.0 * 1024 * 1024), "GiB");
}

}  // namespace qbench::reports
