// Turns token sequences into units of work: sequences that share a prefix compute it once, nothing is padded.
// A pure function of the sequences; kernels make each token's result independent of the packing as well.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace qbench::engine {

/// A segment of a unit: the tokens that one node of the prefix tree adds to its parent.
struct Place {
  int32_t unit = -1;
  int32_t segment = -1;
};

struct Segment {
  int64_t start = 0;  ///< first token inside the unit
  int64_t length = 0;
  int64_t position = 0;     ///< position of the first token in its sequences
  int64_t rope_length = 0;  ///< length that rotary frequencies are computed for; 0 = independent of length
  Place parent;             ///< unit -1: the segment starts a sequence
};

struct Unit {
  std::vector<int32_t> tokens;
  std::vector<Segment> segments;
  bool keep_keys = false;  ///< later units attend to this unit's keys
};

/// One sequence to be computed. Sequences share prefixes only if `family` is equal.
struct Sequence {
  std::span<const int32_t> tokens;
  int64_t family = 0;
  int64_t rope_length = 0;  ///< equal for sequences of one family
};

struct PackingLimits {
  int64_t unit_tokens = 1024;  ///< units are closed at about this many tokens; one sequence may exceed it
  int64_t shortest_trunk =
      64;  ///< a shared prefix below this is computed once per unit instead of once per call
  int64_t longest_trunk =
      1 << 20;           ///< above this the keys are too large to be kept (bytes are the caller's business)
  bool isolate = false;  ///< one unit per sequence
};

struct Packing {
  std::vector<Unit> units;                ///< a unit refers only to earlier ones
  std::vector<std::vector<Place>> paths;  ///< per sequence: its segments from position 0 on
};

Packing pack(std::span<const Sequence> sequences, const PackingLimits& limits);

}  // namespace qbench::engine
