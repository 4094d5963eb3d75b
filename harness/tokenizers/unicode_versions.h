// The reference libraries carry tables of different Unicode versions, ours (ICU, PCRE2) are older than some
// and newer than others. Ids must not depend on that: here is what tells the versions apart.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace qbench::tokenizers {

/// Kinds of characters that Unicode 15.1 and 16.0 added; kDecimal17: numbers of 17.0, known to the Digits
/// step only.
enum class NewKind : uint8_t {
  kUpper,
  kLower,
  kModifier,
  kOtherLetter,
  kDecimal,
  kMarkSign,
  kPunct,
  kSymbol,
  kDecimal17
};

struct NewCharacters {
  char32_t first, last;
  NewKind kind;
};
/// In order of code points.
std::span<const NewCharacters> new_characters();
/// The range that holds `c`, or nullptr.
const NewCharacters* find_new_character(char32_t c);

/// Lower case of a letter that Unicode 16.0 or 17.0 added or first gave one; `c` itself for all others.
char32_t new_lowercase(char32_t c);

/// "\\x{...}-\\x{...}..." for a PCRE2 class: the characters of a general category ("L", "Nd", ...) or script
/// ("Han") that Unicode up to 16.0 has and the PCRE2 in use does not know yet. Empty for other properties.
std::string newer_than_pcre2(std::string_view property);

}  // namespace qbench::tokenizers
