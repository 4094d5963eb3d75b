#include "methods/core/pass.h"

namespace qbench::methods {

Slices slices_of(const Scheme& scheme) {
  Slices slices;
  slices.per_tensor = scheme.granularity == Granularity::kTensor;
  if (scheme.granularity == Granularity::kGroup) slices.group = scheme.group;
  return slices;
}

}  // namespace qbench::methods
