// The three ways to watch a run.
#pragma once

#include <cstdio>
#include <memory>

#include "harness/schedule/observer.h"

namespace qbench::schedule {

enum class ObserverKind { kLive, kLines, kJson, kSilent };

/// kLive redraws a few lines on a terminal, kLines prints one line per event, kJson one JSON object per
/// event.
std::unique_ptr<Observer> make_observer(ObserverKind kind, std::FILE* out);

}  // namespace qbench::schedule
