// What a method implements: a Transform of a block, or a Quantizer of the linears of a site. Passes are
// stateless after construction; the runner (runner.h) decides which tensors they see, times them and verifies
// what they did.
#pragma once

#include <ATen/core/Tensor.h>

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "harness/core/fields.h"
#include "harness/core/lanes.h"
#include "harness/engine/model.h"
#include "methods/core/scheme.h"
#include "methods/primitives/quantized_weight.h"

namespace qbench::methods {

/// What a pass may know besides the tensors it works on.
struct PassContext {
  Scheme scheme;
  const Lanes* lanes = nullptr;
  uint64_t seed = 0;
  bool keep_codes = false;           ///< fill QuantizedWeight::codes and g_idx (lab, export)
  std::optional<GridFamily> family;  ///< the grid that a transform before this pass searched with
  std::vector<int64_t> given_order;  ///< lab and tests: processing order to use instead of the method's own
};

class Pass {
 public:
  virtual ~Pass() = default;
};

/// One linear on its way through a Quantizer.
struct LinearTask {
  std::string name;
  at::Tensor weight;       ///< [out, in] float32, contiguous; in
  QuantizedWeight result;  ///< out
  std::string fallback;    ///< out: what had to be retried or replaced, in words; empty = nothing
  Json detail;             ///< out: method-specific facts for the ledger
};

/// Which inputs a Quantizer's Gram matrices are made of.
enum class GramInputs {
  kNone,
  kSequential,  ///< behind the linears of the same block that are already quantized ("true sequential")
  kBlock,       ///< of the block before any of its linears is quantized
};

class Quantizer : public Pass {
 public:
  virtual GramInputs gram_inputs() const { return GramInputs::kNone; }
  /// Quantizes linears that share one input.
  /// @param gram  [in, in] = (2 / sequences) X^T X of that input, or undefined for kNone.
  /// @throws NumericError naming the layer.
  virtual void quantize(std::span<LinearTask> linears, const at::Tensor& gram,
                        const PassContext& context) const = 0;
};

/// Per-channel statistics of a site's tensor over all calibration tokens of the unquantized model.
struct SiteStatistics {
  at::Tensor absmax;    ///< [channels] float32
  at::Tensor mean_abs;  ///< [channels] float32
};
using BlockStatistics = std::array<SiteStatistics, models::kAllSites.size()>;

/// A block under transformation, with what was seen of it in full precision. Folding a scale keeps all of it
/// consistent.
struct BlockView {
  const engine::Model& model;
  engine::Block& block;
  BlockStatistics
      statistics;  ///< of this block's sites; tensors undefined when the pass did not ask for them
  /// Site inputs of the search samples, one [tokens, channels] tensor per pack; empty when the pass did not
  /// ask for them.
  std::array<std::vector<at::Tensor>, models::kAllSites.size()> inputs;
  std::vector<engine::SequenceLengths> lengths;  ///< of each pack

  std::vector<at::Tensor>& inputs_of(models::Site site) { return inputs[static_cast<size_t>(site)]; }
  SiteStatistics& statistics_of(models::Site site) { return statistics[static_cast<size_t>(site)]; }
};

class Transform : public Pass {
 public:
  /// The grid its search assumed; the default of the quantizer that follows.
  virtual std::optional<GridFamily> family() const { return std::nullopt; }
  /// Tokens of search samples it wants in BlockView::inputs: nullopt = none, 0 = all.
  virtual std::optional<int64_t> search_tokens() const { return std::nullopt; }
  /// Changes the block without changing its function. @return facts for the ledger.
  virtual Json apply(BlockView& view, const PassContext& context) const = 0;
  /// The same on one linear alone, as if its producer could take any scale (lab). `weight` [out, in] is
  /// replaced.
  /// @param x  [tokens, in] inputs. @return s [in]: the columns were multiplied by s, the inputs are to be
  /// divided by it.
  virtual at::Tensor apply_to_linear(at::Tensor& weight, const at::Tensor& x, const PassContext& context,
                                     Json& detail) const = 0;
};

/// The slices that the scheme cuts a weight into.
Slices slices_of(const Scheme& scheme);

}  // namespace qbench::methods
