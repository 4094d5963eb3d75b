#include "harness/tokenizers/word_scan.h"

#include "harness/tokenizers/unicode.h"

namespace qbench::tokenizers {
namespace {

/// Reads characters of [pos, end); the classes of ASCII come from a table and need no decoding.
struct Cursor {
  std::string_view text;
  size_t end;

  /// Class of the character at `pos` (0 at the end); `next` is where the following one starts.
  CharBits look(size_t pos, size_t& next) const {
    if (pos >= end) return next = end, 0;
    next = pos;
    return char_class(next_code_point(text, next));
  }
  char byte(size_t pos) const { return pos < end ? text[pos] : '\0'; }

  size_t skip(size_t pos, CharBits classes) const {
    size_t next = pos;
    while (pos < end && (look(pos, next) & classes) != 0) pos = next;
    return pos;
  }
  /// Neither space, letter nor number.
  size_t skip_other(size_t pos) const {
    size_t next = pos;
    while (pos < end && (look(pos, next) & (kSpace | kLetter | kNumber)) == 0) pos = next;
    return pos;
  }
};

/// \s+(?!\S)|\s+ : a run of spaces leaves its last one to the word that follows, if there is one.
size_t end_of_spaces(const Cursor& cursor, size_t begin) {
  const size_t run_end = cursor.skip(begin, kSpace);
  if (run_end >= cursor.end) return run_end;
  size_t last = run_end - 1;
  while ((static_cast<unsigned char>(cursor.text[last]) & 0xC0U) == 0x80U) --last;
  return last > begin ? last : run_end;
}

size_t contraction_length(const Cursor& cursor, size_t pos) {
  switch (cursor.byte(pos + 1)) {
    case 's':
    case 't':
    case 'm':
    case 'd':
      return 2;
    case 'r':
    case 'v':
      return cursor.byte(pos + 2) == 'e' ? 3 : 0;
    case 'l':
      return cursor.byte(pos + 2) == 'l' ? 3 : 0;
    default:
      return 0;
  }
}

/// As above without regard to case; U+017F (long s) is the one other character that folds to a letter of the
/// list.
size_t folded_contraction_length(const Cursor& cursor, size_t pos) {
  const auto low = [&](size_t at) {
    const char c = cursor.byte(at);
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
  };
  switch (low(pos + 1)) {
    case 's':
    case 't':
    case 'm':
    case 'd':
      return 2;
    case 'r':
    case 'v':
      return low(pos + 2) == 'e' ? 3 : 0;
    case 'l':
      return low(pos + 2) == 'l' ? 3 : 0;
    case '\xC5':
      return cursor.byte(pos + 2) == '\xBF' ? 3 : 0;
    default:
      return 0;
  }
}

size_t gpt2_word_end(const Cursor& cursor, size_t pos) {
  if (cursor.text[pos] == '\'') {
    if (const size_t length = contraction_length(cursor, pos); length > 0) return pos + length;
  }
  size_t next = pos;
  CharBits kind = cursor.look(pos, next);
  if (cursor.text[pos] == ' ' && next < cursor.end) {
    size_t behind = next;
    const CharBits following = cursor.look(next, behind);
    if ((following & kSpace) == 0) kind = following, next = behind;
  }
  if (kind & kLetter) return cursor.skip(next, kLetter);
  if (kind & kNumber) return cursor.skip(next, kNumber);
  if (kind & kSpace) return end_of_spaces(cursor, pos);
  return cursor.skip_other(next);
}

bool is_line_end(char c) { return c == '\r' || c == '\n'; }

/// End of \s*[\r\n]+ at `pos`, or `pos`: reaches to the last line end of the run of spaces.
size_t end_of_lines(const Cursor& cursor, size_t pos) {
  const size_t run_end = cursor.skip(pos, kSpace);
  for (size_t at = run_end; at > pos; --at) {
    if (is_line_end(cursor.text[at - 1])) return at;
  }
  return pos;
}

size_t llama3_word_end(const Cursor& cursor, size_t pos, int most_digits) {
  if (cursor.text[pos] == '\'') {
    if (const size_t length = folded_contraction_length(cursor, pos); length > 0) return pos + length;
  }
  size_t next = pos;
  const CharBits kind = cursor.look(pos, next);
  if (kind & kLetter) return cursor.skip(next, kLetter);
  size_t behind = next;
  const CharBits following = cursor.look(next, behind);
  if (!(kind & kNumber) && !is_line_end(cursor.text[pos]) && (following & kLetter))
    return cursor.skip(behind, kLetter);
  if (kind & kNumber) {
    for (int digits = 1; digits < most_digits && next < cursor.end; ++digits) {
      if (!(cursor.look(next, behind) & kNumber)) break;
      next = behind;
    }
    return next;
  }
  const bool spaced = cursor.text[pos] == ' ' && next < cursor.end && !(following & (kSpace | kNumber));
  if (!(kind & kSpace) || spaced) {
    size_t at = cursor.skip_other(next);
    while (is_line_end(cursor.byte(at))) ++at;
    return at;
  }
  if (const size_t lines = end_of_lines(cursor, pos); lines > pos) return lines;
  return end_of_spaces(cursor, pos);
}

}  // namespace

const std::string kGpt2Pattern =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";
const std::string kLlama3Pattern =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
const std::string kQwen2Pattern =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";

void scan_gpt2(std::string_view text, size_t begin, size_t end, std::vector<Range>& out) {
  const Cursor cursor{text, end};
  for (size_t pos = begin; pos < end;) {
    const size_t next = gpt2_word_end(cursor, pos);
    out.push_back({pos, next});
    pos = next;
  }
}

namespace {
void scan_folded(std::string_view text, size_t begin, size_t end, int most_digits, std::vector<Range>& out) {
  const Cursor cursor{text, end};
  for (size_t pos = begin; pos < end;) {
    const size_t next = llama3_word_end(cursor, pos, most_digits);
    out.push_back({pos, next});
    pos = next;
  }
}
}  // namespace

void scan_llama3(std::string_view text, size_t begin, size_t end, std::vector<Range>& out) {
  scan_folded(text, begin, end, 3, out);
}
void scan_qwen2(std::string_view text, size_t begin, size_t end, std::vector<Range>& out) {
  scan_folded(text, begin, end, 1, out);
}

WordScanner scanner_for(std::string_view pattern) {
  if (pattern == kGpt2Pattern) return scan_gpt2;
  if (pattern == kLlama3Pattern) return scan_llama3;
  if (pattern == kQwen2Pattern) return scan_qwen2;
  return nullptr;
}

}  // namespace qbench::tokenizers
