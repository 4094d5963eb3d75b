// The methods of this build, with their implementations. The torch-free catalogue is printed from this list.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "harness/core/fields.h"
#include "methods/core/catalogue.h"
#include "methods/core/pass.h"

namespace qbench::methods {

struct MethodSpec {
  MethodInfo info;
  /// Builds the pass from a call that parse_recipe has checked.
  std::function<std::unique_ptr<Pass>(const Call&)> make;
};

/// A method file ends with one of these: its info, completed with the parameters' own list, and how to build
/// the pass.
template <class PassType, class Params>
MethodSpec make_method(MethodInfo info) {
  info.fields = field_specs<Params>();
  return {std::move(info), [](const Call& call) {
            return std::make_unique<PassType>(bind_fields<Params>(call, "recipe pass"));
          }};
}

/// THE list.
const std::vector<MethodSpec>& registry();

/// registry() without the implementations: what method_catalogue() holds, for programs that link torch
/// anyway.
std::vector<MethodInfo> registered_methods();

/// @throws ConfigError with the nearest known name.
const MethodSpec& find_spec(std::string_view name);

}  // namespace qbench::methods
