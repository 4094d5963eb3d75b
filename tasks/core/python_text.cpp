#include "tasks/core/python_text.h"

#include <unicode/locid.h>
#include <unicode/unistr.h>
#include <unicode/utf8.h>

namespace qbench::tasks {
namespace {

icu::UnicodeString to_icu(std::string_view text) {
  return icu::UnicodeString::fromUTF8(icu::StringPiece(text.data(), static_cast<int32_t>(text.size())));
}

std::string to_utf8(const icu::UnicodeString& text) {
  std::string out;
  text.toUTF8String(out);
  return out;
}

/// Length in bytes of the first character.
size_t first_length(std::string_view text) {
  if (text.empty()) return 0;
  int32_t at = 0;
  const auto* bytes = reinterpret_cast<const uint8_t*>(text.data());
  U8_FWD_1(bytes, at, static_cast<int32_t>(text.size()));
  return static_cast<size_t>(at);
}

size_t leading_space_bytes(std::string_view text) {
  const auto* bytes = reinterpret_cast<const uint8_t*>(text.data());
  int32_t at = 0;
  while (at < static_cast<int32_t>(text.size())) {
    int32_t next = at;
    UChar32 c = 0;
    U8_NEXT(bytes, next, static_cast<int32_t>(text.size()), c);
    if (!is_python_space(c)) break;
    at = next;
  }
  return static_cast<size_t>(at);
}

}  // namespace

bool is_python_space(int32_t c) {
  return (c >= 0x09 && c <= 0x0D) || (c >= 0x1C && c <= 0x20) || c == 0x85 || c == 0xA0 || c == 0x1680 ||
         (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F ||
         c == 0x3000;
}

size_t trailing_space_bytes(std::string_view text) {
  const auto* bytes = reinterpret_cast<const uint8_t*>(text.data());
  auto end = static_cast<int32_t>(text.size());
  while (end > 0) {
    int32_t before = end;
    UChar32 c = 0;
    U8_PREV(bytes, 0, before, c);
    if (!is_python_space(c)) break;
    end = before;
  }
  return text.size() - static_cast<size_t>(end);
}

std::string_view python_rstrip(std::string_view text) {
  return text.substr(0, text.size() - trailing_space_bytes(text));
}

std::string_view python_strip(std::string_view text) {
  text = python_rstrip(text);
  return text.substr(leading_space_bytes(text));
}

int64_t code_points(std::string_view text) {
  int64_t count = 0;
  for (const char c : text) count += (static_cast<unsigned char>(c) & 0xC0) != 0x80;
  return count;
}

int64_t count_words(std::string_view text) {
  const auto* bytes = reinterpret_cast<const uint8_t*>(text.data());
  int64_t runs = 0;
  bool in_space = false;
  for (int32_t at = 0; at < static_cast<int32_t>(text.size());) {
    UChar32 c = 0;
    U8_NEXT(bytes, at, static_cast<int32_t>(text.size()), c);
    const bool space = is_python_space(c);
    runs += space && !in_space;
    in_space = space;
  }
  return runs + 1;
}

std::string python_lower(std::string_view text) {
  return to_utf8(to_icu(text).toLower(icu::Locale::getRoot()));
}

std::string python_capitalize(std::string_view text) {
  const size_t first = first_length(text);
  std::string out = to_utf8(to_icu(text.substr(0, first)).toTitle(nullptr, icu::Locale::getRoot()));
  return out + python_lower(text.substr(first));
}

std::string lower_first(std::string_view text) {
  const size_t first = first_length(text);
  return python_lower(text.substr(0, first)) + std::string(text.substr(first));
}

std::string drop_last_character(std::string_view text) {
  auto end = static_cast<int32_t>(text.size());
  if (end > 0) U8_BACK_1(reinterpret_cast<const uint8_t*>(text.data()), 0, end);
  return std::string(text.substr(0, static_cast<size_t>(end)));
}

std::string replace_all(std::string_view text, std::string_view from, std::string_view to) {
  if (from.empty()) return std::string(text);
  std::string out;
  size_t begin = 0;
  for (size_t at = text.find(from); at != std::string_view::npos; at = text.find(from, begin)) {
    out.append(text.substr(begin, at - begin)).append(to);
    begin = at + from.size();
  }
  return out.append(text.substr(begin));
}

}  // namespace qbench::tasks
