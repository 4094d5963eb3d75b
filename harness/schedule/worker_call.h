// One request to one short-lived worker: what `quantize`, `logits` and `lab` need.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "harness/core/fields.h"

namespace qbench::schedule {

/// Progress of the request: phase, position, total.
using CallProgress = std::function<void(const std::string& phase, int64_t position, int64_t total)>;

/// Starts a worker, runs `request` ({"op": ...}) and returns its "result".
/// @throws the worker's own error (same kind and message); InternalError with the log tail if it died.
Json call_worker(const Json& request, int threads, const CallProgress& progress = {});

}  // namespace qbench::schedule
