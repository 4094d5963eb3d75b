// UTF-8 and the character classes that tokenizer files refer to.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace qbench::tokenizers {

/// Byte offset of the first byte that does not continue valid UTF-8 (no surrogates, no overlong forms), or
/// npos.
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

/// Valid UTF-8 as it is; each maximal run of bytes that starts like a character but is cut, and each stray
/// byte, becomes one U+FFFD (the WHATWG rule, which is also what the Hugging Face library does).
std::string lossy_utf8(std::string_view bytes);

/// Classes as the reference implementations see them; they use several Unicode versions, given in
/// parentheses.
enum CharClass : uint16_t {
  kLetter = 1,        ///< \p{L} in a pattern (16.0)
  kNumber = 2,        ///< \p{N} in a pattern (16.0)
  kDigit = 4,         ///< what the Digits step cuts at: all numbers (17.0)
  kSpace = 8,         ///< White_Space; equal to \s
  kPunctuation = 16,  ///< ASCII punctuation and symbols, and \p{P} (8.0)
  kMark = 32,         ///< \p{M} (9.0): what StripAccents takes away
  kNonSpacing = 64,   ///< Mn (8.0): what BERT's normalizer takes away
  kWord = 128,        ///< Alphabetic, marks, decimal digits, connectors, joiners (16.0)
  kControl = 256,     ///< Cc, Cf, Co (8.0) except tab, newline, carriage return
};
using CharBits = uint16_t;

/// The classes of every code point, worked out page by page when first asked for. Thread-safe.
class CharTable {
 public:
  CharTable() = default;
  ~CharTable();
  CharTable(const CharTable&) = delete;
  CharTable& operator=(const CharTable&) = delete;
  CharBits at(char32_t c) {
    const CharBits* page = pages_[c >> 8].load(std::memory_order_acquire);
    return (page != nullptr ? page : fill(c >> 8))[c & 0xFF];
  }

 private:
  const CharBits* fill(size_t page);
  std::array<std::atomic<const CharBits*>, 0x1100> pages_{};
};
extern CharTable char_table;

/// The classes of a code point as a bit set.
inline CharBits char_class(char32_t code_point) { return char_table.at(code_point); }

inline bool is_space(char32_t c) { return (char_class(c) & kSpace) != 0; }

enum class NormalForm { kNfc, kNfd, kNfkc, kNfkd };
/// Characters that came after Unicode 11.0 stay as they are, as in the reference.
std::string normalize(std::string_view text, NormalForm form);
/// Per character, without context (a final sigma stays an ordinary one), as the Hugging Face library does.
std::string lowercase(std::string_view text);

}  // namespace qbench::tokenizers
