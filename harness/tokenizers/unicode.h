// UTF-8 and the character classes that tokenizer files refer to.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace qbench::tokenizers {

/// Byte offset of the first byte that does not continue valid UTF-8 (no surrogates, no overlong forms), or npos.
size_t find_invalid_utf8(std::string_view text);

/// Number of bytes of the character that starts with `lead`; the text must be valid UTF-8.
inline size_t utf8_length(char lead) {
  const auto byte = static_cast<unsigned char>(lead);
  return byte < 0x80 ? 1 : byte < 0xE0 ? 2 : byte < 0xF0 ? 3 : 4;
}

/// Code point at `pos`; moves `pos` behind it. The text must be valid UTF-8.
char32_t next_code_point(std::string_view text, size_t& pos);
/// Code point that ends at `end` (> 0); the text must be valid UTF-8.
char32_t previous_code_point(std::string_view text, size_t end);

void append_utf8(std::string& out, char32_t code_point);

/// Valid UTF-8 as it is; each maximal run of bytes that starts like a character but is cut, and each stray byte, becomes
/// one U+FFFD (the WHATWG rule, which is also what the Hugging Face library does).
std::string lossy_utf8(std::string_view bytes);

enum CharClass : uint8_t {
  kLetter = 1,        ///< \p{L}
  kNumber = 2,        ///< \p{N}
  kSpace = 4,         ///< White_Space; equal to \s
  kPunctuation = 8,   ///< ASCII punctuation and symbols, and \p{P}
  kMark = 16,         ///< \p{M}
  kWord = 32,         ///< Alphabetic, marks, decimal digits, connectors, joiners: \w
  kNonSpacing = 64,   ///< Mn
  kControl = 128,     ///< Cc, Cf, Co, Cn except tab, newline, carriage return
};

/// The classes of a code point as a bit set.
uint8_t char_class(char32_t code_point);

inline bool is_space(char32_t c) { return (char_class(c) & kSpace) != 0; }

enum class NormalForm { kNfc, kNfd, kNfkc, kNfkd };
std::string normalize(std::string_view text, NormalForm form);
/// Per character, without context (a final sigma stays an ordinary one), as the Hugging Face library does.
std::string lowercase(std::string_view text);

}  // namespace qbench::tokenizers
