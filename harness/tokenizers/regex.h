// Patterns of tokenizer files. They are written for Oniguruma (Ruby syntax); PCRE2 runs them after a
// translation of what the two read differently: \s, \w, \b, \h, character classes inside character classes,
// "^" and "$", newer characters.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace qbench::tokenizers {

struct Range {
  size_t begin;
  size_t end;
};

class Regex {
 public:
  /// @param where  place in the file, for messages. @throws DataError if the pattern cannot be read or is not
  /// supported.
  Regex(std::string_view pattern, const std::string& where);
  ~Regex();
  Regex(const Regex&) = delete;
  Regex& operator=(const Regex&) = delete;

  /// First match that starts at or after `from`; `text` must be valid UTF-8. Thread-safe.
  /// @throws DataError if the pattern runs into the engine's limits on this text.
  std::optional<Range> find(std::string_view text, size_t from) const;

  /// Calls visit(range) for the non-overlapping matches from left to right; an empty match right behind the
  /// last match does not count.
  template <class Visit>
  void for_each(std::string_view text, const Visit& visit) const {
    size_t from = 0;
    size_t last_end = std::string_view::npos;
    while (from <= text.size()) {
      const std::optional<Range> match = find(text, from);
      if (!match) return;
      if (match->begin == match->end) {
        if (match->begin != last_end) visit(*match);
        from = after(text, match->end);
      } else {
        visit(*match);
        from = match->end;
      }
      last_end = match->end;
    }
  }

  /// The pattern in PCRE2's syntax.
  const std::string& translated() const { return translated_; }

 private:
  static size_t after(std::string_view text, size_t pos);
  struct Code;
  std::string translated_;
  std::string where_;
  std::unique_ptr<Code> code_;
};

/// A regular expression or a fixed string; both occur as "pattern".
class Pattern {
 public:
  static Pattern regex(std::string_view pattern, const std::string& where);
  static Pattern literal(std::string text);

  template <class Visit>
  void for_each(std::string_view text, const Visit& visit) const {
    if (text.empty()) return;  // not even a pattern that matches nothing matches here, as in the reference
    if (regex_) return regex_->for_each(text, visit);
    if (literal_.empty()) return;
    for (size_t at = text.find(literal_); at != std::string_view::npos;
         at = text.find(literal_, at + literal_.size())) {
      visit(Range{at, at + literal_.size()});
    }
  }
  std::string replace_all(std::string_view text, std::string_view replacement) const;
  /// The expression as written in the file; empty for a fixed string.
  const std::string& source() const { return source_; }

 private:
  std::shared_ptr<const Regex> regex_;
  std::string literal_, source_;
};

}  // namespace qbench::tokenizers
