// Legality of a cell, decided from the model's headers alone.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "harness/models/site_graph.h"
#include "methods/core/recipe.h"

namespace qbench::methods {
namespace {

std::vector<int64_t> divisors(int64_t width) {
  std::vector<int64_t> found;
  for (int64_t d = 8; d <= width; ++d) {
    if (width % d == 0) found.push_back(d);
  }
  return found;
}

/// One problem per distinct width that the group does not divide, naming the linears of block 0 that have it.
void group_problems(const Scheme& scheme, const models::Architecture& architecture,
                    std::vector<std::string>& problems) {
  if (scheme.granularity != Granularity::kGroup) return;
  std::vector<int64_t> common = divisors(std::max<int64_t>(architecture.hidden_size, 1));
  std::vector<std::pair<int64_t, std::vector<std::string>>> bad;
  for (const models::LinearSpec& linear : models::block_linears(architecture, 0)) {
    std::erase_if(common, [&](int64_t d) { return linear.in_features % d != 0; });
    if (linear.in_features % scheme.group == 0) continue;
    auto it = std::find_if(bad.begin(), bad.end(),
                           [&](const auto& entry) { return entry.first == linear.in_features; });
    if (it == bad.end()) it = bad.insert(bad.end(), {linear.in_features, {}});
    it->second.push_back(linear.name);
  }
  for (const auto& [width, names] : bad) {
    problems.push_back(fmt::format(
        "scheme {}: groups of {} columns do not divide the {} input columns of {}; legal groups for "
        "this model: {}",
        scheme.print(), scheme.group, width, fmt::join(names, ", "), fmt::join(common, ", ")));
  }
}

void bit_problems(const Recipe& recipe, const Scheme& scheme, std::vector<std::string>& problems) {
  if (recipe.baseline() != scheme.baseline()) {
    problems.push_back(
        recipe.baseline()
            ? fmt::format(
                  "recipe fp quantizes nothing and cannot have the scheme {}; use the scheme fp, or the "
                  "recipe rtn",
                  scheme.print())
            : fmt::format("recipe {} needs a scheme that quantizes something (w4a16g64, w8a8); fp is the "
                          "baseline's",
                          recipe.canonical()));
    return;
  }
  for (const MethodInfo& info : recipe.methods) {
    if (info.needs_weight_bits && !scheme.quantizes_weights()) {
      problems.push_back(fmt::format(
          "{} quantizes weights, but scheme {} leaves them at 16 bits; use weights of 2 to 8 bits, or "
          "the recipe rtn for activations alone",
          info.name, scheme.print()));
    }
  }
}

}  // namespace

std::vector<std::string> legality_problems(const Recipe& recipe, const Scheme& scheme,
                                           const models::Architecture& architecture, bool has_calibration) {
  std::vector<std::string> problems = order_problems(recipe);
  bit_problems(recipe, scheme, problems);
  if (!recipe.baseline()) group_problems(scheme, architecture, problems);
  if (depends_on_calibration(recipe) && !has_calibration) {
    std::vector<std::string> names;
    for (const MethodInfo& info : recipe.methods) {
      if (info.needs_calibration || info.needs_fp_statistics) names.push_back(info.name);
    }
    problems.push_back(fmt::format(
        "{} need{} a calibration set and none is given; add one such as en_wiki(samples=64,length=512)",
        fmt::join(names, " and "), names.size() == 1 ? "s" : ""));
  }
  return problems;
}

}  // namespace qbench::methods
