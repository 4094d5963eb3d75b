#include "tasks/core/task_support.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "harness/core/errors.h"
#include "harness/core/python_random.h"

namespace qbench::tasks {

CheckedCall check_task_call(const std::vector<FieldSpec>& fields, const Call& call) {
  CheckedCall checked;
  checked.values = check_call(fields, call, "task");
  checked.canonical.name = call.name;
  for (size_t i = 0; i < fields.size(); ++i) {
    if (checked.values[i].second != fields[i].default_value)
      checked.canonical.args.push_back(checked.values[i]);
  }
  return checked;
}

std::string task_identity(const CheckedCall& call, const std::vector<std::string>& places,
                          const std::string& data_hash) {
  Call full{call.canonical.name, {}};
  for (const auto& [key, value] : call.values) {
    if (std::find(places.begin(), places.end(), key) == places.end()) full.args.emplace_back(key, value);
  }
  return fmt::format("{} {} data={}", kTasksVersion, full.print(), data_hash);
}

std::vector<int64_t> Selection::pick(int64_t available) const {
  if (limit > 0 && subset > 0) {
    throw ConfigError(
        "limit and subset exclude each other: limit takes the first documents, subset draws some at random. "
        "Drop one.");
  }
  std::vector<int64_t> picked;
  if (subset > 0 && subset < available) {
    picked = PythonRandom(static_cast<uint64_t>(subset_seed)).sample(available, subset);
    std::sort(picked.begin(), picked.end());
    return picked;
  }
  picked.resize(static_cast<size_t>(limit > 0 ? std::min(limit, available) : available));
  std::iota(picked.begin(), picked.end(), 0);
  return picked;
}

int64_t Selection::count(int64_t available) const {
  const int64_t wanted = subset > 0 ? subset : limit;
  return wanted > 0 ? std::min(wanted, available) : available;
}

Json describe_text(const data::TextRef& ref) {
  Json data = {{"name", ref.name}, {"sha256", ref.sha256}, {"join", ref.join}};
  if (!ref.split.empty()) {
    data["split"] = ref.split;
    data["known_file"] = ref.known;
  }
  return data;
}

int64_t task_max_length(int64_t wanted, const engine::Scorer& scorer, const std::string& task) {
  if (wanted == 0) return scorer.max_position();
  if (wanted > scorer.max_position()) {
    throw ConfigError(fmt::format("task {}: {} tokens exceed the model's maximum position {}. Lower it.",
                                  task, wanted, scorer.max_position()));
  }
  return wanted;
}

}  // namespace qbench::tasks
