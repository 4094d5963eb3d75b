// What a method implements: a Transform of a block, or a Quantizer of a linear. Passes are stateless after construction;
// the runner (runner.h) decides which tensors they see, times them and verifies what they did.
#pragma once

namespace qbench::methods {

class Pass {
 public:
  virtual ~Pass() = default;
};

}  // namespace qbench::methods
