// What a worker keeps between steps: the resident model, its tokenizer, which weights it holds, baseline
// states.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "harness/calibration/calibration_set.h"
#include "harness/core/fields.h"
#include "harness/core/lanes.h"
#include "harness/engine/model.h"
#include "harness/engine/model_scorer.h"
#include "harness/tokenizers/tokenizer.h"
#include "methods/core/runner.h"
#include "results/store.h"

namespace qbench::worker {

class Session {
 public:
  /// @param send  takes progress events; the final event of a request is returned by handle().
  Session(int lanes, std::function<void(const Json&)> send);

  /// Runs one request: {"op": "statistics" | "quantize" | "evaluate" | "export" | "logits" | "lab", ...}.
  /// @return {"event": "done", "outcome": ...} for steps, {"event": "result", "result": ...} for the others.
  Json handle(const Json& request);
  /// Drops everything resident: after a failure the weights may be half-quantized.
  void forget();

 private:
  results::StepOutcome statistics(const Json& request);
  results::StepOutcome quantize(const Json& request);
  results::StepOutcome evaluate(const Json& request);
  Json export_model(const Json& request);
  Json logits(const Json& request);
  Json lab(const Json& request);

  void use_model(const std::string& text);
  /// Makes the resident weights those of `key` ("" = unquantized), from the artifact if they are not
  /// resident.
  void use_weights(const std::string& key, const std::string& artifact);
  methods::QuantizeResult quantize_resident(const Json& request);
  const calibration::CalibrationSet& calibration_set(const std::string& spec);
  std::shared_ptr<const engine::BaselineStates> baseline(const std::string& task,
                                                         const std::vector<engine::ScoreRequest>& requests);
  void progress(const std::string& phase, int64_t position, int64_t total) const;
  methods::Progress layer_progress() const;

  Lanes lanes_;
  std::function<void(const Json&)> send_;
  std::string model_text_;
  std::unique_ptr<engine::Model> model_;
  std::unique_ptr<tokenizers::Tokenizer> tokenizer_;
  std::string weights_;  ///< key of the resident weights, "" = unquantized
  std::map<std::string, calibration::CalibrationSet> calibration_;
  std::map<std::string, std::shared_ptr<const engine::BaselineStates>> baselines_;
};

}  // namespace qbench::worker
