#include "methods/core/registry.h"

namespace qbench::methods {

MethodSpec rtn_method();
MethodSpec gptq_method();
MethodSpec awq_method();
MethodSpec smoothquant_method();

const std::vector<MethodSpec>& registry() {
  static const std::vector<MethodSpec> methods = {
      rtn_method(),
      gptq_method(),
      awq_method(),
      smoothquant_method(),
  };
  return methods;
}

std::vector<MethodInfo> registered_methods() {
  std::vector<MethodInfo> infos;
  for (const MethodSpec& spec : registry()) infos.push_back(spec.info);
  return infos;
}

const MethodSpec& find_spec(std::string_view name) {
  const std::vector<MethodInfo> infos = registered_methods();
  const MethodInfo& found = find_method(infos, name);
  return registry()[static_cast<size_t>(&found - infos.data())];
}

}  // namespace qbench::methods
