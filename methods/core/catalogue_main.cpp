// Prints the registry as JSON; the build embeds it into the torch-free library qbench::catalogue.
#include <cstdio>

#include "methods/core/registry.h"

int main() {
  qbench::Json catalogue = qbench::Json::array();
  for (const auto& info : qbench::methods::registered_methods()) catalogue.push_back(info.json());
  return std::puts(catalogue.dump(1).c_str()) < 0 ? 1 : 0;
}
