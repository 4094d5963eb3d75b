// Calibration sets: a source of text (or of random tokens), a sampler, a number of samples and a length.
// Identity = hash of the token ids, whatever the name.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "harness/core/call.h"
#include "harness/core/fields.h"
#include "harness/tokenizers/tokenizer.h"

namespace qbench::calibration {

struct CalibrationSet {
  std::string spec;                           ///< canonical call, "en_wiki(samples=64,length=512,...)"
  std::vector<std::vector<int32_t>> samples;  ///< token ids; equal lengths except for the `documents` sampler
  std::string hash;                           ///< SHA-256 over all sample lengths and ids
  int64_t tokens() const;
};

/// One known source, for `describe calibration` and nearest-name messages.
struct SourceInfo {
  std::string name;
  std::string summary;
  std::vector<FieldSpec> fields;
};
const std::vector<SourceInfo>& calibration_sources();

/// Checks a spec without reading text (planning). Returns the canonical call. @throws ConfigError.
Call check_calibration(const std::string& spec);

/// What decides the samples except the tokenizer: hash of the canonical spec and of the text file, so that a
/// planner can key a step without tokenising. Finds the text. @throws ConfigError, DataError.
std::string calibration_input_hash(const std::string& spec);

/// Draws the samples. @throws ConfigError, DataError (text absent: says how to get it; too short: says found
/// and needed).
CalibrationSet make_calibration_set(const std::string& spec, const tokenizers::Tokenizer& tokenizer);

}  // namespace qbench::calibration
