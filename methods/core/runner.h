// Runs a recipe over a model, block by block, in place.
//
// Two streams of calibration activations walk along: the full-precision stream, which transforms search on
// (it never sees a quantized weight), and the quantized stream, whose site inputs are what Gram matrices are
// made of (it has passed the already quantized blocks). Activation quantizers are off in both, as in the
// official code of the weight-only methods; they are set on the model at the end. A stream exists only if a
// pass needs it: RTN runs no forward at all.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "harness/engine/model.h"
#include "methods/core/fp_statistics.h"
#include "methods/core/recipe.h"
#include "methods/core/scheme.h"
#include "methods/primitives/bits.h"

namespace qbench::methods {

/// The ledger entry of one linear.
struct LayerReport {
  std::string name;
  int64_t layer = 0;
  int64_t parameters = 0;
  BitLedger bits;
  double weight_error = 0;  ///< ||W - W_hat||_F / ||W||_F, W as the quantize pass saw it (scales folded)
  std::optional<double> output_error;  ///< sqrt(tr(D H D^T) / tr(W H W^T)) on the calibration Gram matrix
  double loss = 0;                     ///< what the quantize pass minimised
  std::string fallback;                ///< what had to be retried, in words; empty = nothing
  bool changed = true;                 ///< false: the pass returned exactly what it was given
  std::string sha256;                  ///< of the float32 weight
  Json detail = Json::object();

  Json json() const;
};

struct QuantizeResult {
  std::vector<LayerReport> layers;                      ///< every linear, in execution order
  std::vector<std::pair<std::string, double>> seconds;  ///< per pass, and "forward" for the streams
  std::string artifact_hash;
  double nominal_bits = 16, effective_bits = 16;  ///< per weight of the quantized linears

  Json json() const;
};

/// @param model       unquantized; changed in place. On an exception it is left half done: restore() it.
/// @param samples     calibration token ids; may be empty for recipes that need none.
/// @param statistics  of the same samples; null for recipes that need none.
/// @throws ConfigError (illegal recipe, scheme, missing samples or statistics), NumericError (layer and
/// numbers).
QuantizeResult quantize_model(engine::Model& model, const Recipe& recipe, const Scheme& scheme,
                              const std::vector<std::vector<int32_t>>& samples,
                              const FpStatistics* statistics, uint64_t seed, const Lanes& lanes,
                              const Progress& progress = {});

/// SHA-256 over everything a recipe can change: linear weights and biases, norms, activation quantizers.
std::string artifact_hash(const engine::Model& model, const Lanes& lanes);

}  // namespace qbench::methods
