// The microscope: one recipe on one linear, weights and inputs from a file. Backs `qbench lab` and the golden
// tests.
#pragma once

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "harness/core/lanes.h"
#include "methods/core/recipe.h"

namespace qbench::methods {

struct LabProblem {
  std::string layer;
  at::Tensor w;           ///< [out, in] float32
  at::Tensor x;           ///< [tokens, in] float32, or undefined when the file has no inputs
  int64_t sequences = 0;  ///< sequences the tokens came in; 1 if the file has [tokens, in]
};

/// Layers of a file: the NAMEs for which "NAME.W" exists, or "W" alone as layer "".
std::vector<std::string> lab_layers(const std::filesystem::path& path);

/// Reads "NAME.W" [out, in] and "NAME.X" ([sequences, tokens, in] or [tokens, in]), or the inputs as int8
/// "NAME.X_code" times 2^"NAME.X_exp" [in]. @throws DataError (unknown layer with the nearest one, shapes
/// that do not fit).
LabProblem read_lab_problem(const std::filesystem::path& path, const std::string& layer);

struct LabResult {
  /// w_hat [out, in] in the basis of the given weights; codes, scale, zero, offset, g_idx, perm,
  /// channel_scale where they exist.
  std::vector<std::pair<std::string, at::Tensor>> tensors;
  /// {layer, recipe, scheme, rows, columns, tokens, loss, weight_fro, weight_error, out_err, out_error, bits,
  /// fallback, detail}
  Json summary;

  const at::Tensor* find(std::string_view name) const;
};

struct LabOptions {
  std::vector<int64_t> given_order;  ///< processing order for column-by-column methods instead of their own
};

/// @throws ConfigError (recipe needs inputs and the problem has none; fp), NumericError.
LabResult run_lab(const LabProblem& problem, const Recipe& recipe, const Scheme& scheme, const Lanes& lanes,
                  const LabOptions& options = {});

/// Writes the tensors as a safetensors file with the summary as metadata. @throws DataError.
void write_lab_result(const LabResult& result, const std::filesystem::path& path);

}  // namespace qbench::methods
