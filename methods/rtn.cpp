// RTN: round to nearest on the scheme's grid.
#include "methods/core/registry.h"

namespace qbench::methods {
namespace {

struct RtnParams {
  std::string grid = "auto";
  std::string zero = "auto";
  bool mse = false;
  double mse_norm = 2.4;
  int64_t mse_steps = 100;
  double mse_shrink = 0.8;
  std::string precision = "float32";
  bool nonnegative_quirk = false;

  template <class Visitor>
  void visit(Visitor& v) {
    v("grid", grid, OneOf{{"auto", "gptq", "awq"}},
      "gptq: zero is in the range, symmetric step 2a/(2^b-1); awq: raw range, symmetric step a/(2^(b-1)-1); auto: that of the "
      "transform before it, else gptq");
    v("zero", zero, OneOf{{"auto", "integer", "real"}},
      "asymmetric zero point; auto: integer, but a slice that already is a grid of this many levels keeps its own (real) zero");
    v("mse", mse, "search the range that minimises the error instead of min and max");
    v("mse_norm", mse_norm, Range{0.5, 8.0}, "exponent of the error in that search");
    v("mse_steps", mse_steps, Range{1, 1000}, "range shrinks by 1/mse_steps per candidate");
    v("mse_shrink", mse_shrink, Range{0.0, 1.0}, "candidates go down to 1 - mse_shrink");
    v("precision", precision, OneOf{{"float32", "float16"}}, "arithmetic of fit and rounding (float16: the official --nearest path)");
    v("nonnegative_quirk", nonnegative_quirk,
      "official symmetric gptq grid: a slice without negative weights keeps 0 as its lower end and loses its upper half");
  }
};

class RtnPass final : public Pass {
 public:
  explicit RtnPass(const RtnParams&) {}
};

}  // namespace

MethodSpec rtn_method() {
  MethodInfo info;
  info.name = "rtn";
  info.kind = PassKind::kQuantize;
  info.summary = "round every weight to the nearest point of its grid";
  return make_method<RtnPass, RtnParams>(std::move(info));
}

}  // namespace qbench::methods
