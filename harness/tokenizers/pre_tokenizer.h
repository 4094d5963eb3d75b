// Pre-tokenizers of tokenizer.json: cut a normalized text into the pieces that the model works on one by one.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "harness/tokenizers/json_reader.h"
#include "harness/tokenizers/regex.h"

namespace qbench::tokenizers {

/// A text and its pieces, in order. A step may cut pieces further, drop some, and rewrite the text.
struct Pieces {
  std::string_view text;
  std::vector<Range> ranges;
  bool at_start = true;  ///< `text` is the start of what the user gave (no added token before it)

  std::string_view piece(size_t i) const {
    return text.substr(ranges[i].begin, ranges[i].end - ranges[i].begin);
  }
  /// Makes `rewritten` the text; the caller sets the ranges.
  void rewrite(std::string rewritten) {
    storage_ = std::make_unique<std::string>(std::move(rewritten));
    text = *storage_;
  }

 private:
  std::unique_ptr<std::string> storage_;
};

class PreTokenizer {
 public:
  virtual ~PreTokenizer() = default;
  virtual void apply(Pieces& pieces) const = 0;
  /// A ByteLevel at the end is asked to leave out its byte alphabet: the model then works on the bytes
  /// themselves.
  /// @return whether pieces are raw bytes from now on.
  virtual bool leave_raw_bytes() { return false; }
};

/// @throws DataError for an unknown type or bad fields.
std::unique_ptr<PreTokenizer> parse_pre_tokenizer(const JsonNode& node);

enum class SplitBehavior { kRemoved, kIsolated, kMergedWithPrevious, kMergedWithNext, kContiguous };

/// A part of a piece: a match of the split pattern, or what lies between two matches.
struct Stretch {
  Range range;
  bool match;
};
/// Appends to `out` the pieces that the stretches of one piece (in order, gapless) become.
void join_stretches(const std::vector<Stretch>& stretches, SplitBehavior behavior, std::vector<Range>& out);

}  // namespace qbench::tokenizers
