#include "harness/core/errors.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

namespace qbench {
namespace {

size_t edit_distance(std::string_view a, std::string_view b) {
  // Damerau-Levenshtein with adjacent transpositions: "gtpq" is one step from "gptq".
  std::vector<std::vector<size_t>> d(a.size() + 1, std::vector<size_t>(b.size() + 1));
  for (size_t i = 0; i <= a.size(); ++i) d[i][0] = i;
  for (size_t j = 0; j <= b.size(); ++j) d[0][j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t substitution = d[i - 1][j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
      d[i][j] = std::min({d[i - 1][j] + 1, d[i][j - 1] + 1, substitution});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
        d[i][j] = std::min(d[i][j], d[i - 2][j - 2] + 1);
      }
    }
  }
  return d[a.size()][b.size()];
}

}  // namespace

int exit_code(const std::exception& error) noexcept {
  const auto* known = dynamic_cast<const Error*>(&error);
  return known != nullptr ? known->exit_code() : kExitBug;
}

void throw_error(std::string_view kind, const std::string& message) {
  if (kind == "config") throw ConfigError(message);
  if (kind == "data") throw DataError(message);
  if (kind == "numeric") throw NumericError(message);
  if (kind == "store") throw StoreError(message);
  throw InternalError(message);
}

std::string nearest_name(std::string_view name, std::span<const std::string> known) {
  std::string best;
  size_t best_distance = std::max<size_t>(2, name.size() / 3) + 1;
  for (const std::string& candidate : known) {
    const size_t distance = edit_distance(name, candidate);
    if (distance < best_distance) {
      best_distance = distance;
      best = candidate;
    }
  }
  return best;
}

std::string did_you_mean(std::string_view name, std::span<const std::string> known) {
  const std::string near = nearest_name(name, known);
  return near.empty() ? std::string() : fmt::format(" Did you mean \"{}\"?", near);
}

void check_failed(const char* condition, const std::string& detail, std::source_location where) {
  throw InternalError(
      fmt::format("{}:{}: internal check failed: {} ({}). This is a bug in qbench; please report it.",
                  where.file_name(), where.line(), condition, detail));
}

}  // namespace qbench
