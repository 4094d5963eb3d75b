#include "harness/tokenizers/regex.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <fmt/format.h>
#include <pcre2.h>

#include "harness/core/errors.h"
#include "harness/tokenizers/unicode.h"
#include "harness/tokenizers/unicode_versions.h"

namespace qbench::tokenizers {
namespace {

// White_Space; PCRE2's own \s also takes U+180E, which has not been a space since Unicode 6.3.
constexpr std::string_view kSpaceSet = "\\t-\\r\\x{85}\\p{Z}";
// Letters, marks, decimal digits, connectors, what else is Alphabetic, and Oniguruma's own: superscripts and
// fractions of Latin 1.
constexpr std::string_view kWordExtras =
    "\\p{Nl}\\p{Pc}\\x{24B6}-\\x{24E9}\\x{1F130}-\\x{1F149}\\x{1F150}-\\x{1F169}\\x{1F170}-\\x{1F189}\\x{B2}"
    "\\x{B3}\\x{B9}\\x{BC}-\\x{BE}";
constexpr std::string_view kHexSet = "0-9a-fA-F";

std::string category_set(const std::string& name) { return "\\p{" + name + "}" + newer_than_pcre2(name); }

std::string word_set() {
  return category_set("L") + category_set("M") + category_set("Nd") + std::string(kWordExtras);
}

/// Rewrites a pattern for PCRE2. The grammar is only followed as far as the differences go.
class Translator {
 public:
  Translator(std::string_view pattern, const std::string& where) : in_(pattern), where_(where) {}

  std::string run() {
    while (pos_ < in_.size()) {
      if (in_[pos_] == '\\') {
        escape(false);
      } else if (in_[pos_] == '[') {
        ++pos_;
        out_ += '[';
        if (peek('^')) out_ += in_[pos_++];
        char_set();
        out_ += ']';
      } else {
        out_ += in_[pos_++];
      }
    }
    return std::move(out_);
  }

 private:
  [[noreturn]] void refuse(std::string_view what) const {
    throw DataError(fmt::format("{}: {} at column {} of the pattern {}; this tokenizer cannot be used",
                                where_, what, pos_ + 1, in_));
  }
  bool peek(char c) const { return pos_ < in_.size() && in_[pos_] == c; }

  void set(std::string_view members, bool negated, bool inside) {
    if (!inside) {
      out_ += negated ? "[^" : "[";
      out_ += members;
      out_ += ']';
    } else if (!negated) {
      out_ += members;
    } else {
      refuse("a negated class escape inside a character class is not supported");
    }
  }

  void escape(bool inside) {
    if (pos_ + 1 >= in_.size()) refuse("a backslash ends the pattern");
    const char letter = in_[pos_ + 1];
    pos_ += 2;
    switch (letter) {
      case 's':
        return set(kSpaceSet, false, inside);
      case 'S':
        return set(kSpaceSet, true, inside);
      case 'w':
        return set(word_set(), false, inside);
      case 'W':
        return set(word_set(), true, inside);
      case 'd':
        return set(category_set("Nd"), false, inside);
      case 'D':
        return set(category_set("Nd"), true, inside);
      case 'b':
        return inside ? void(out_ += "\\b") : boundary(false);
      case 'B':
        return boundary(true);
      case 'p':
        return property(false, inside);
      case 'P':
        return property(true, inside);
      case 'h':
        return set(kHexSet, false, inside);
      case 'H':
        return set(kHexSet, true, inside);
      default:
        out_ += '\\';
        out_ += letter;
    }
  }

  // \b or \B: PCRE2's own goes by its own idea of \w.
  void boundary(bool negated) {
    const std::string word = "[" + word_set() + "]";
    if (negated) {
      out_ += "(?:(?<=" + word + ")(?=" + word + ")|(?<!" + word + ")(?!" + word + "))";
    } else {
      out_ += "(?:(?<=" + word + ")(?!" + word + ")|(?<!" + word + ")(?=" + word + "))";
    }
  }

  // Behind \p or \P: {name}, {^name}, or one letter.
  void property(bool negated, bool inside) {
    if (pos_ >= in_.size()) refuse("a property has no name");
    std::string name(1, in_[pos_]);
    if (in_[pos_] == '{') {
      const size_t close = in_.find('}', pos_);
      if (close == std::string_view::npos) refuse("a property is not closed");
      name = in_.substr(pos_ + 1, close - pos_ - 1);
      pos_ = close;
    }
    ++pos_;
    if (name.starts_with('^')) {
      negated = !negated;
      name.erase(0, 1);
    }
    if (negated && inside) {
      out_ +=
          "\\P{" + name + "}";  // PCRE2's own idea of it: characters newer than its tables stay on this side
    } else {
      set(category_set(name), negated, inside);
    }
  }

  // Behind "[" or "[^"; consumes the closing bracket. A set inside the set is a union with it.
  void char_set() {
    bool first = true;
    while (!peek(']') || first) {
      if (pos_ >= in_.size()) refuse("a character class is not closed");
      first = false;
      if (in_[pos_] == '\\') {
        escape(true);
      } else if (in_.substr(pos_).starts_with("[:")) {
        const size_t end = in_.find(":]", pos_);
        if (end == std::string_view::npos) refuse("a POSIX class is not closed");
        out_ += in_.substr(pos_, end + 2 - pos_);
        pos_ = end + 2;
      } else if (in_[pos_] == '[') {
        ++pos_;
        if (peek('^')) refuse("a negated character class inside another is not supported");
        if (++depth_ > 16) refuse("character classes nest too deeply");
        char_set();
        --depth_;
      } else if (in_.substr(pos_).starts_with("&&")) {
        refuse("an intersection of character classes is not supported");
      } else {
        out_ += in_[pos_++];
      }
    }
    ++pos_;
  }

  std::string_view in_;
  const std::string& where_;
  size_t pos_ = 0;
  int depth_ = 0;
  std::string out_;
};

std::string message_of(int error) {
  PCRE2_UCHAR buffer[256];
  pcre2_get_error_message(error, buffer, sizeof buffer);
  return reinterpret_cast<const char*>(buffer);
}

/// Per thread: room for the machine code's own stack, which the default of 32 KiB would cut off on long runs.
struct MatchResources {
  pcre2_match_data* data = pcre2_match_data_create(1, nullptr);
  pcre2_match_context* context = pcre2_match_context_create(nullptr);
  pcre2_jit_stack* stack = pcre2_jit_stack_create(32 * 1024, 64 * 1024 * 1024, nullptr);
  MatchResources() { pcre2_jit_stack_assign(context, nullptr, stack); }
  ~MatchResources() {
    pcre2_match_data_free(data);
    pcre2_match_context_free(context);
    pcre2_jit_stack_free(stack);
  }
  MatchResources(const MatchResources&) = delete;
  MatchResources& operator=(const MatchResources&) = delete;
};

}  // namespace

struct Regex::Code {
  pcre2_code* compiled = nullptr;
  ~Code() { pcre2_code_free(compiled); }
};

Regex::Regex(std::string_view pattern, const std::string& where)
    : where_(where), code_(std::make_unique<Code>()) {
  translated_ = Translator(pattern, where).run();
  int error = 0;
  PCRE2_SIZE offset = 0;
  code_->compiled = pcre2_compile(reinterpret_cast<PCRE2_SPTR>(translated_.data()), translated_.size(),
                                  PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE | PCRE2_NEVER_BACKSLASH_C, &error,
                                  &offset, nullptr);
  if (code_->compiled == nullptr) {
    throw DataError(fmt::format("{}: pattern {} (read as {}): {} at offset {}; expected a regular expression",
                                where, pattern, translated_, message_of(error), offset));
  }
  pcre2_jit_compile(code_->compiled,
                    PCRE2_JIT_COMPLETE);  // without JIT support pcre2_match interprets: same matches
}

Regex::~Regex() = default;

std::optional<Range> Regex::find(std::string_view text, size_t from) const {
  thread_local MatchResources resources;
  const int found = pcre2_match(code_->compiled, reinterpret_cast<PCRE2_SPTR>(text.data()), text.size(), from,
                                PCRE2_NO_UTF_CHECK, resources.data, resources.context);
  if (found == PCRE2_ERROR_NOMATCH) return std::nullopt;
  if (found < 0) {
    throw DataError(fmt::format("{}: pattern {} failed at byte {} of a text of {} bytes: {}", where_,
                                translated_, from, text.size(), message_of(found)));
  }
  const PCRE2_SIZE* bounds = pcre2_get_ovector_pointer(resources.data);
  return Range{bounds[0], bounds[1]};
}

size_t Regex::after(std::string_view text, size_t pos) {
  return pos < text.size() ? pos + utf8_length(text[pos]) : pos + 1;
}

Pattern Pattern::regex(std::string_view pattern, const std::string& where) {
  Pattern result;
  result.regex_ = std::make_shared<const Regex>(pattern, where);
  result.source_ = pattern;
  return result;
}

Pattern Pattern::literal(std::string text) {
  Pattern result;
  result.literal_ = std::move(text);
  return result;
}

std::string Pattern::replace_all(std::string_view text, std::string_view replacement) const {
  std::string out;
  out.reserve(text.size());
  size_t kept = 0;
  for_each(text, [&](Range match) {
    out.append(text.substr(kept, match.begin - kept));
    out.append(replacement);
    kept = match.end;
  });
  out.append(text.substr(kept));
  return out;
}

}  // namespace qbench::tokenizers
