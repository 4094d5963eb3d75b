// Rows on the pipe between worker and conductor: results::StepOutcome <-> JSON.
#pragma once

#include "harness/core/fields.h"
#include "results/store.h"

namespace qbench::schedule {

Json outcome_to_json(const results::StepOutcome& outcome);
results::StepOutcome outcome_from_json(const Json& json);

}  // namespace qbench::schedule
