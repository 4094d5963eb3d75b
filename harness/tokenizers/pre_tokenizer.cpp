#include "harness/tokenizers/pre_tokenizer.h"

#include <algorithm>

#include "harness/tokenizers/bpe.h"
#include "harness/tokenizers/normalizer.h"
#include "harness/tokenizers/unicode.h"
#include "harness/tokenizers/word_scan.h"

namespace qbench::tokenizers {
namespace {

constexpr std::string_view kMarker = "\xE2\x96\x81";

void push_nonempty(std::vector<Range>& out, Range range) {
  if (range.begin < range.end) out.push_back(range);
}

/// Collects the stretches of one piece while its matches come in.
class StretchBuilder {
 public:
  StretchBuilder(std::vector<Stretch>& out, Range piece) : out_(out), piece_(piece), at_(piece.begin) {
    out_.clear();
  }
  void match(size_t begin, size_t end) {
    if (begin > at_) out_.push_back({{at_, begin}, false});
    out_.push_back({{begin, end}, true});
    at_ = end;
  }
  void finish() {
    if (at_ < piece_.end) out_.push_back({{at_, piece_.end}, false});
  }

 private:
  std::vector<Stretch>& out_;
  Range piece_;
  size_t at_;
};

/// Cuts every piece at the characters of `classes`, each character being a match of its own.
void split_at_class(Pieces& pieces, CharBits classes, SplitBehavior behavior) {
  std::vector<Range> out;
  std::vector<Stretch> stretches;
  for (const Range& piece : pieces.ranges) {
    StretchBuilder builder(stretches, piece);
    for (size_t pos = piece.begin; pos < piece.end;) {
      const size_t begin = pos;
      if (char_class(next_code_point(pieces.text, pos)) & classes) builder.match(begin, pos);
    }
    builder.finish();
    join_stretches(stretches, behavior, out);
  }
  pieces.ranges = std::move(out);
}

class ByteLevel final : public PreTokenizer {
 public:
  ByteLevel(bool add_prefix_space, bool use_regex)
      : add_prefix_space_(add_prefix_space), use_regex_(use_regex) {}

  void apply(Pieces& pieces) const override {
    if (add_prefix_space_) prefix_spaces(pieces);
    if (use_regex_) {
      std::vector<Range> words;
      words.reserve(pieces.text.size() / 4);
      for (const Range& piece : pieces.ranges) scan_gpt2(pieces.text, piece.begin, piece.end, words);
      pieces.ranges = std::move(words);
    }
    if (!raw_) to_alphabet(pieces);
  }
  bool leave_raw_bytes() override { return raw_ = true; }

 private:
  static void prefix_spaces(Pieces& pieces) {
    std::string text;
    text.reserve(pieces.text.size() + pieces.ranges.size());
    std::vector<Range> ranges;
    for (size_t i = 0; i < pieces.ranges.size(); ++i) {
      const std::string_view piece = pieces.piece(i);
      const size_t begin = text.size();
      if (!piece.starts_with(' ')) text += ' ';
      text += piece;
      ranges.push_back({begin, text.size()});
    }
    pieces.ranges = std::move(ranges);
    pieces.rewrite(std::move(text));
  }
  static void to_alphabet(Pieces& pieces) {
    std::string text;
    text.reserve(pieces.text.size() * 2);
    std::vector<Range> ranges;
    for (size_t i = 0; i < pieces.ranges.size(); ++i) {
      const size_t begin = text.size();
      for (const char byte : pieces.piece(i))
        append_utf8(text, byte_alphabet()[static_cast<unsigned char>(byte)]);
      ranges.push_back({begin, text.size()});
    }
    pieces.ranges = std::move(ranges);
    pieces.rewrite(std::move(text));
  }

  bool add_prefix_space_, use_regex_;
  bool raw_ = false;
};

class Split final : public PreTokenizer {
 public:
  Split(Pattern pattern, SplitBehavior behavior, bool invert)
      : pattern_(std::move(pattern)), behavior_(behavior), invert_(invert) {
    // The common patterns match everything, so "isolated" is all there is to do with them.
    if (behavior == SplitBehavior::kIsolated) scanner_ = scanner_for(pattern_.source());
  }

  void apply(Pieces& pieces) const override {
    std::vector<Range> out;
    std::vector<Stretch> stretches;
    for (size_t i = 0; i < pieces.ranges.size(); ++i) {
      const Range piece = pieces.ranges[i];
      if (scanner_ != nullptr) {
        scanner_(pieces.text, piece.begin, piece.end, out);
        continue;
      }
      StretchBuilder builder(stretches, piece);
      pattern_.for_each(pieces.piece(i), [&](Range match) {
        builder.match(piece.begin + match.begin, piece.begin + match.end);
      });
      builder.finish();
      if (invert_) {
        for (Stretch& stretch : stretches) stretch.match = !stretch.match;
      }
      join_stretches(stretches, behavior_, out);
    }
    pieces.ranges = std::move(out);
  }

 private:
  Pattern pattern_;
  SplitBehavior behavior_;
  bool invert_;
  WordScanner scanner_ = nullptr;
};

class ClassSplit final : public PreTokenizer {
 public:
  ClassSplit(CharBits classes, SplitBehavior behavior) : classes_(classes), behavior_(behavior) {}
  void apply(Pieces& pieces) const override { split_at_class(pieces, classes_, behavior_); }

 private:
  CharBits classes_;
  SplitBehavior behavior_;
};

/// \w+|[^\w\s]+ : words and runs of anything else but spaces.
class Whitespace final : public PreTokenizer {
 public:
  void apply(Pieces& pieces) const override {
    std::vector<Range> out;
    for (const Range& piece : pieces.ranges) {
      size_t begin = piece.begin;
      Kind kind = Kind::kGap;
      for (size_t pos = piece.begin; pos < piece.end;) {
        const size_t at = pos;
        const CharBits bits = char_class(next_code_point(pieces.text, pos));
        const Kind here = (bits & kWord) ? Kind::kText : (bits & kSpace) ? Kind::kGap : Kind::kSigns;
        if (here == kind) continue;
        if (kind != Kind::kGap) push_nonempty(out, {begin, at});
        begin = at;
        kind = here;
      }
      if (kind != Kind::kGap) push_nonempty(out, {begin, piece.end});
    }
    pieces.ranges = std::move(out);
  }

 private:
  enum class Kind { kGap, kText, kSigns };
};

enum class PrependScheme { kAlways, kFirst, kNever };

class Metaspace final : public PreTokenizer {
 public:
  Metaspace(std::string replacement, PrependScheme scheme, bool split)
      : replacement_(std::move(replacement)), scheme_(scheme), split_(split) {}

  void apply(Pieces& pieces) const override {
    std::string text;
    text.reserve(pieces.text.size() * 2);
    std::vector<Range> ranges;
    for (size_t i = 0; i < pieces.ranges.size(); ++i) {
      const size_t begin = text.size();
      const std::string_view piece = pieces.piece(i);
      const bool first = pieces.at_start && pieces.ranges[i].begin == 0;
      const bool wanted = scheme_ == PrependScheme::kAlways || (scheme_ == PrependScheme::kFirst && first);
      if (wanted && !piece.starts_with(' ') && !piece.starts_with(replacement_)) text += replacement_;
      for (const char c : piece) {
        if (c == ' ') {
          text += replacement_;
        } else {
          text += c;
        }
      }
      ranges.push_back({begin, text.size()});
    }
    pieces.rewrite(std::move(text));
    pieces.ranges = split_ ? cut_before_markers(pieces.text, ranges) : std::move(ranges);
  }

 private:
  std::vector<Range> cut_before_markers(std::string_view text, const std::vector<Range>& ranges) const {
    std::vector<Range> out;
    for (const Range& range : ranges) {
      size_t begin = range.begin;
      while (true) {
        const size_t at = text.substr(0, range.end).find(replacement_, begin + 1);
        if (at == std::string_view::npos) break;
        push_nonempty(out, {begin, at});
        begin = at;
      }
      push_nonempty(out, {begin, range.end});
    }
    return out;
  }

  std::string replacement_;
  PrependScheme scheme_;
  bool split_;
};

class PreTokenizerSequence final : public PreTokenizer {
 public:
  explicit PreTokenizerSequence(std::vector<std::unique_ptr<PreTokenizer>> parts)
      : parts_(std::move(parts)) {}
  void apply(Pieces& pieces) const override {
    for (const auto& part : parts_) part->apply(pieces);
  }
  bool leave_raw_bytes() override { return !parts_.empty() && parts_.back()->leave_raw_bytes(); }

 private:
  std::vector<std::unique_ptr<PreTokenizer>> parts_;
};

std::unique_ptr<PreTokenizer> bert_pre_tokenizer() {
  std::vector<std::unique_ptr<PreTokenizer>> parts;
  parts.push_back(std::make_unique<ClassSplit>(kSpace, SplitBehavior::kRemoved));
  parts.push_back(std::make_unique<ClassSplit>(kPunctuation, SplitBehavior::kIsolated));
  return std::make_unique<PreTokenizerSequence>(std::move(parts));
}

SplitBehavior parse_behavior(const JsonNode& node) {
  const std::string name = node.text();
  if (name == "Removed") return SplitBehavior::kRemoved;
  if (name == "Isolated") return SplitBehavior::kIsolated;
  if (name == "MergedWithPrevious") return SplitBehavior::kMergedWithPrevious;
  if (name == "MergedWithNext") return SplitBehavior::kMergedWithNext;
  if (name == "Contiguous") return SplitBehavior::kContiguous;
  node.fail("Removed, Isolated, MergedWithPrevious, MergedWithNext or Contiguous");
}

std::unique_ptr<PreTokenizer> parse_metaspace(const JsonNode& node) {
  const std::string replacement = node.text_or("replacement", kMarker);
  if (replacement.empty() || replacement.size() != utf8_length(replacement[0]))
    node.at("replacement").fail("one character");
  // Files before prepend_scheme existed say add_prefix_space.
  const std::string old_scheme = node.boolean_or("add_prefix_space", true) ? "always" : "never";
  const std::string scheme = node.text_or("prepend_scheme", old_scheme);
  PrependScheme parsed = PrependScheme::kAlways;
  if (scheme == "first") {
    parsed = PrependScheme::kFirst;
  } else if (scheme == "never") {
    parsed = PrependScheme::kNever;
  } else if (scheme != "always") {
    node.at("prepend_scheme").fail("always, first or never");
  }
  return std::make_unique<Metaspace>(replacement, parsed, node.boolean_or("split", true));
}

std::unique_ptr<PreTokenizer> parse_sequence(const JsonNode& node) {
  std::vector<std::unique_ptr<PreTokenizer>> parts;
  for (const JsonNode& item : node.at("pretokenizers").items()) parts.push_back(parse_pre_tokenizer(item));
  return std::make_unique<PreTokenizerSequence>(std::move(parts));
}

}  // namespace

void join_stretches(const std::vector<Stretch>& stretches, SplitBehavior behavior, std::vector<Range>& out) {
  const size_t first = out.size();
  const auto joins = [&](size_t i) {  // does stretch i belong to the piece of stretch i - 1?
    if (i == 0) return false;
    const bool before = stretches[i - 1].match;
    const bool here = stretches[i].match;
    switch (behavior) {
      case SplitBehavior::kContiguous:
        return before == here;
      case SplitBehavior::kMergedWithPrevious:
        return here && !before;
      case SplitBehavior::kMergedWithNext:
        return before && !here;
      default:
        return false;
    }
  };
  for (size_t i = 0; i < stretches.size(); ++i) {
    if (behavior == SplitBehavior::kRemoved && stretches[i].match) continue;
    if (joins(i) && out.size() > first) {
      out.back().end = stretches[i].range.end;
    } else {
      out.push_back(stretches[i].range);
    }
  }
  const auto empty = [](const Range& range) { return range.begin == range.end; };
  out.erase(std::remove_if(out.begin() + static_cast<int64_t>(first), out.end(), empty), out.end());
}

std::unique_ptr<PreTokenizer> parse_pre_tokenizer(const JsonNode& node) {
  const std::string type = node.at("type").text();
  if (type == "ByteLevel") {
    return std::make_unique<ByteLevel>(node.boolean_or("add_prefix_space", true),
                                       node.boolean_or("use_regex", true));
  }
  if (type == "Split") {
    return std::make_unique<Split>(parse_pattern(node.at("pattern")), parse_behavior(node.at("behavior")),
                                   node.boolean_or("invert", false));
  }
  if (type == "Digits") {
    const bool individual = node.boolean_or("individual_digits", false);
    return std::make_unique<ClassSplit>(kDigit,
                                        individual ? SplitBehavior::kIsolated : SplitBehavior::kContiguous);
  }
  if (type == "Punctuation") {
    const SplitBehavior behavior =
        node.has("behavior") ? parse_behavior(node.at("behavior")) : SplitBehavior::kIsolated;
    return std::make_unique<ClassSplit>(kPunctuation, behavior);
  }
  if (type == "Metaspace") return parse_metaspace(node);
  if (type == "Whitespace") return std::make_unique<Whitespace>();
  if (type == "WhitespaceSplit") return std::make_unique<ClassSplit>(kSpace, SplitBehavior::kRemoved);
  if (type == "BertPreTokenizer") return bert_pre_tokenizer();
  if (type == "Sequence") return parse_sequence(node);
  refuse_component(node, "pre-tokenizer", type,
                   {"ByteLevel", "Split", "Digits", "Punctuation", "Metaspace", "Whitespace",
                    "WhitespaceSplit", "BertPreTokenizer", "Sequence"});
}

}  // namespace qbench::tokenizers
