// Laws of GPTQ (methods/gptq.md, section 9) over seeded problems.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "methods/core/lab.h"
#include "methods/core/registry.h"
#include "methods/primitives/gram.h"

namespace qbench::methods {
namespace {

/// Correlated inputs, T >= 4 C.
LabProblem problem(int64_t seed, int64_t rows = 40, int64_t columns = 96) {
  at::manual_seed(static_cast<uint64_t>(seed));
  LabProblem p;
  p.layer = "seed " + std::to_string(seed);
  p.w = at::randn({rows, columns});
  const at::Tensor mix = at::randn({columns, columns}) / 8 + at::eye(columns);
  p.x = at::mm(at::randn({5 * columns, columns}), mix) * at::exp(at::randn({columns}));
  p.sequences = 5;
  return p;
}

LabResult run(const LabProblem& p, const std::string& recipe, const std::string& scheme, int lanes = 1) {
  return run_lab(p, parse_recipe(recipe, registered_methods()), parse_scheme(scheme), Lanes(lanes));
}

double out_err(const LabResult& result) { return result.summary.at("out_err"); }

TEST(GptqLaws, UncorrelatedInputsGiveRtn) {
  for (int64_t seed = 0; seed < 8; ++seed) {
    LabProblem p = problem(seed);
    p.x = at::eye(96).repeat({3, 1}) * at::arange(1, 97).unsqueeze(0);  // H is diagonal
    for (const char* scheme : {"w4a16", "w3a16g32-asym"}) {
      EXPECT_TRUE(at::equal(*run(p, "gptq", scheme).find("w_hat"),
                            *run(p, "rtn(zero=integer)", scheme).find("w_hat")))
          << seed << scheme;
    }
  }
}

TEST(GptqLaws, TheLazyBlockDoesNotMatter) {
  for (int64_t seed = 0; seed < 4; ++seed) {
    const LabProblem p = problem(seed);
    const at::Tensor reference = *run(p, "gptq(block=96)", "w4a16").find("w_hat");
    for (const char* recipe : {"gptq(block=1)", "gptq(block=32)", "gptq(block=128)"}) {
      const at::Tensor moved = (*run(p, recipe, "w4a16").find("w_hat") - reference).abs() > 1e-5;
      // A weight on a rounding boundary may fall to the other side and take its row with it.
      EXPECT_LE(moved.to(at::kDouble).mean().item<double>(), 0.005) << recipe << " seed " << seed;
    }
  }
}

TEST(GptqLaws, BeatsRtnOnTheOutputOfItsInputs) {
  double gptq = 0, rtn = 0;
  for (int64_t seed = 0; seed < 10; ++seed) {
    const LabProblem p = problem(seed);
    for (const char* scheme : {"w4a16", "w3a16g32", "w2a16g16-asym"}) {
      gptq += out_err(run(p, "gptq", scheme));
      rtn += out_err(run(p, "rtn(zero=integer)", scheme));
    }
  }
  EXPECT_LT(gptq, 0.8 * rtn);
}

TEST(GptqLaws, TheLossesAddUpToTheDampedOutputError) {
  for (int64_t seed = 0; seed < 6; ++seed) {
    const LabProblem p = problem(seed);
    for (const char* recipe :
         {"gptq", "gptq(act_order=false)", "gptq(act_order=false,static_groups=false,group_stats=fresh)",
          "gptq(block=16,static_groups=false)"}) {
      const LabResult result = run(p, recipe, "w3a16g32");
      GramAccumulator gram(96);
      gram.add(std::vector<at::Tensor>{p.x}, Lanes(1));
      at::Tensor h = gram.finish(2.0 / 5);
      h.diagonal().add_(0.01 * h.diagonal().mean());
      const double expected = trace_error((p.w - *result.find("w_hat")).contiguous(), h) / 2;
      EXPECT_NEAR(result.summary.at("loss").get<double>(), expected, 5e-4 * expected)
          << recipe << " seed " << seed;
    }
  }
}

TEST(GptqLaws, ActivationOrderOfASortedDiagonalChangesNothing) {
  LabProblem p = problem(1);
  const at::Tensor order = p.x.square().sum(0).argsort(0, true);
  p.x = p.x.index_select(1, order).contiguous();
  EXPECT_TRUE(at::equal(*run(p, "gptq", "w4a16g32").find("w_hat"),
                        *run(p, "gptq(act_order=false)", "w4a16g32").find("w_hat")));
}

TEST(GptqLaws, GroupAwareOrderKeepsTheMembersOfEveryGroup) {
  const LabResult result = run(problem(2), "gptq(group_aware=true,static_groups=false)", "w4a16g32");
  const at::Tensor expected = at::arange(96).div(32, "floor").to(at::kInt);
  EXPECT_TRUE(at::equal(*result.find("g_idx"), expected));
  const at::Tensor groups = result.find("perm")->div(32, "floor");
  for (int64_t g = 0; g < 3; ++g) {
    const at::Tensor members = groups.slice(0, 32 * g, 32 * g + 32);
    EXPECT_TRUE((members == members[0]).all().item<bool>())
        << "a group's columns are neighbours in processing order";
  }
}

TEST(GptqLaws, LanesDoNotMatter) {
  const LabProblem p = problem(3, 200, 300);
  for (const char* recipe :
       {"gptq", "gptq(act_order=false,static_groups=false,mse=true,mse_steps=10)", "awq|gptq"}) {
    const LabResult one = run(p, recipe, "w4a16g50-asym", 1), three = run(p, recipe, "w4a16g50-asym", 3);
    EXPECT_TRUE(at::equal(*one.find("w_hat"), *three.find("w_hat"))) << recipe;
    EXPECT_EQ(one.summary.dump(), three.summary.dump()) << recipe;
  }
}

TEST(GptqLaws, FewerTokensThanColumnsAreDampedNotRefused) {
  LabProblem p = problem(4);
  p.x = p.x.slice(0, 0, 10).contiguous();
  p.sequences = 1;
  const LabResult result = run(p, "gptq", "w4a16");
  EXPECT_TRUE(at::isfinite(*result.find("w_hat")).all().item<bool>());
}

}  // namespace
}  // namespace qbench::methods
