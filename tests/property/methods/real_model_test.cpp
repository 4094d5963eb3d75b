// Laws on the real model of the model folder (label `shared`: skipped where it has not been set up).
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "harness/models/checkpoint.h"
#include "harness/models/site_graph.h"
#include "methods/core/pass.h"
#include "methods/core/registry.h"
#include "tests/support/fixtures.h"

namespace qbench::methods {
namespace {

// The file stores d * q + m per 32 weights, 4 bits each: an asymmetric grid with a real zero. RTN must find
// it again.
TEST(RealModel, RtnReturnsTheWeightsOfTheQ41FileExactly) {
  const auto path = testing_support::smollm2_gguf();
  if (!path) GTEST_SKIP() << "the model folder has no smollm2-135m; ./quickstart fetches it";
  const auto checkpoint = models::Checkpoint::open(models::resolve_model(path->string()));
  const std::unique_ptr<Pass> pass = find_spec("rtn").make(Call{"rtn", {}});
  const Lanes lanes(2);
  PassContext context;
  context.scheme = parse_scheme("w4a16g32-asym");
  context.lanes = &lanes;
  int64_t checked = 0;
  for (int64_t layer = 0; layer < checkpoint->architecture().layers; ++layer) {
    for (const models::LinearSpec& spec : models::block_linears(checkpoint->architecture(), layer)) {
      LinearTask task;
      task.name = spec.name;
      task.weight = at::empty({spec.out_features, spec.in_features}, at::kFloat);
      checkpoint->read(spec.name + ".weight",
                       {task.weight.data_ptr<float>(), static_cast<size_t>(task.weight.numel())});
      dynamic_cast<const Quantizer&>(*pass).quantize({&task, 1}, at::Tensor(), context);
      EXPECT_TRUE(at::equal(task.result.w_hat, task.weight)) << spec.name;
      EXPECT_DOUBLE_EQ(task.result.bits.effective(), 5.0) << "4 + (16 + 16) / 32, the size of Q4_1";
      ++checked;
    }
  }
  EXPECT_EQ(checked, 210);
}

}  // namespace
}  // namespace qbench::methods
