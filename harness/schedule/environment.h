// Who measured: program version, machine, operating system. Stored with every run.
#pragma once

#include "harness/core/fields.h"

namespace qbench::schedule {

/// {"qbench", "commit", "cpu", "processors", "memory_bytes", "system", "compiler"}: no clock, no host or user
/// name.
Json environment();
/// "qbench 0.1.0 (abc1234)"
std::string version_text();

}  // namespace qbench::schedule
