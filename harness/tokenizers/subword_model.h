// The step of a tokenizer that turns one pre-tokenized piece into ids.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "harness/tokenizers/vocabulary.h"

namespace qbench::tokenizers {

/// Scratch memory of one encode() call; kept and reused between calls so that words seen before stay known.
struct Workspace {
  struct Symbol {
    int32_t id;
    int32_t previous, next;  ///< neighbours, -1 at the ends
  };
  struct Candidate {
    uint32_t rank;
    int32_t position;  ///< symbol index of the left part
    int32_t left, right, merged;
  };
  WordCache cache;
  std::vector<int32_t> ids;
  std::vector<Merge> merges;
  std::vector<Symbol> symbols;
  std::vector<Candidate> heap;
  std::vector<double> scores;
};

class SubwordModel {
 public:
  virtual ~SubwordModel() = default;
  /// Appends the ids of `piece` (valid UTF-8, or raw bytes for a byte-level model) to `out`.
  virtual void tokenize(std::string_view piece, Workspace& work, std::vector<int32_t>& out) const = 0;
  virtual const Vocabulary& vocabulary() const = 0;
  virtual int32_t unk() const = 0;  ///< Vocabulary::kNone without one
};

}  // namespace qbench::tokenizers
