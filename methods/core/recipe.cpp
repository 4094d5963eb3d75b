#include "methods/core/recipe.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "harness/core/errors.h"

namespace qbench::methods {
namespace {

/// The quantize pass that completes a chain of transforms.
constexpr std::string_view kImplicitQuantizer = "rtn";

Call non_default(const MethodInfo& info, const Call& call) {
  Call canonical{info.name, {}};
  const auto values = check_call(info.fields, call, "recipe pass");
  for (size_t i = 0; i < values.size(); ++i) {
    if (values[i].second != info.fields[i].default_value) canonical.args.push_back(values[i]);
  }
  return canonical;
}

void append_pass(Recipe& recipe, const Call& call, const std::vector<MethodInfo>& catalogue) {
  const MethodInfo& info = find_method(catalogue, call.name);
  recipe.passes.push_back(non_default(info, call));
  recipe.methods.push_back(info);
}

bool has_quantizer(const Recipe& recipe) {
  return std::any_of(recipe.methods.begin(), recipe.methods.end(),
                     [](const MethodInfo& info) { return info.kind == PassKind::kQuantize; });
}

}  // namespace

std::vector<std::string> order_problems(const Recipe& recipe) {
  std::vector<std::string> problems;
  const std::string* quantizer = nullptr;
  for (const MethodInfo& info : recipe.methods) {
    if (quantizer != nullptr) {
      problems.push_back(
          info.kind == PassKind::kQuantize
              ? fmt::format("{} and {} both quantize; a recipe has one quantize pass, at its end", *quantizer,
                            info.name)
              : fmt::format("{} is a transform and must come before {}, which quantizes", info.name,
                            *quantizer));
    }
    if (info.kind == PassKind::kQuantize) quantizer = &info.name;
  }
  if (!recipe.methods.empty() && quantizer == nullptr)
    problems.push_back("no pass quantizes; end the recipe with rtn or gptq");
  return problems;
}

std::string Recipe::canonical() const {
  if (baseline()) return "fp";
  std::string text;
  for (const Call& pass : passes) text += (text.empty() ? "" : "|") + pass.print();
  return text;
}

std::string Recipe::identity() const {
  if (baseline()) return "fp";
  std::string text;
  for (size_t i = 0; i < passes.size(); ++i) {
    Call full{fmt::format("{}@{}", passes[i].name, methods[i].numerics_version),
              check_call(methods[i].fields, passes[i], "recipe pass")};
    text += (text.empty() ? "" : "|") + full.print();
  }
  return text;
}

Recipe parse_recipe(std::string_view text, const std::vector<MethodInfo>& catalogue) {
  Recipe recipe;
  const std::vector<std::string> parts = split_outside(text, '|');
  if (parts.size() == 1 && parts.front() == "fp") return recipe;
  for (const std::string& part : parts) {
    if (part.empty()) {
      throw ConfigError(fmt::format(
          "recipe \"{}\": an empty pass; write passes separated by |, as in smoothquant(alpha=0.8)|gptq",
          text));
    }
    const Call call = parse_call(part, "recipe pass");
    if (call.name == "fp")
      throw ConfigError(fmt::format("recipe \"{}\": fp is the baseline and stands alone", text));
    append_pass(recipe, call, catalogue);
  }
  if (!has_quantizer(recipe)) append_pass(recipe, Call{std::string(kImplicitQuantizer), {}}, catalogue);
  if (const auto problems = order_problems(recipe); !problems.empty()) {
    throw ConfigError(fmt::format("recipe \"{}\": {}.", text, fmt::join(problems, "; ")));
  }
  return recipe;
}

bool needs_calibration(const Recipe& recipe) {
  return std::any_of(recipe.methods.begin(), recipe.methods.end(),
                     [](const MethodInfo& info) { return info.needs_calibration; });
}

bool needs_fp_statistics(const Recipe& recipe) {
  return std::any_of(recipe.methods.begin(), recipe.methods.end(),
                     [](const MethodInfo& info) { return info.needs_fp_statistics; });
}

bool seed_matters(const Recipe& recipe) {
  return std::any_of(recipe.methods.begin(), recipe.methods.end(),
                     [](const MethodInfo& info) { return info.uses_seed; });
}

}  // namespace qbench::methods
