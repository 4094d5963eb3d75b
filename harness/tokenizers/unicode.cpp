#include "harness/tokenizers/unicode.h"

#include <unicode/bytestream.h>
#include <unicode/normalizer2.h>
#include <unicode/stringpiece.h>
#include <unicode/uchar.h>

#include <cstring>
#include <memory>

#include "harness/core/errors.h"
#include "harness/tokenizers/unicode_versions.h"

namespace qbench::tokenizers {
namespace {

struct Sequence {
  size_t length;  ///< bytes that belong together
  bool valid;
};

/// The longest start of a well-formed character at `pos` (Unicode, table 3-7); at least one byte.
Sequence scan_character(std::string_view text, size_t pos) {
  const auto byte = [&](size_t i) { return i < text.size() ? static_cast<unsigned char>(text[i]) : 0U; };
  const unsigned lead = byte(pos);
  if (lead < 0x80) return {1, true};
  if (lead < 0xC2 || lead > 0xF4) return {1, false};
  const size_t length = lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
  const unsigned low = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
  const unsigned high = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
  for (size_t i = 1; i < length; ++i) {
    const unsigned next = byte(pos + i);
    if (next < (i == 1 ? low : 0x80U) || next > (i == 1 ? high : 0xBFU)) return {i, false};
  }
  return {length, true};
}

bool ascii_block(const char* data) {
  uint64_t block;
  std::memcpy(&block, data, sizeof block);
  return (block & 0x8080808080808080ULL) == 0;
}

/// Was the character assigned in Unicode `major`.0 or before?
bool known_in(UChar32 code, uint8_t major) {
  UVersionInfo age;
  u_charAge(code, age);
  return age[0] != 0 && (age[0] < major || (age[0] == major && age[1] == 0));
}

CharBits new_character_class(NewKind kind) {
  switch (kind) {
    case NewKind::kUpper:
    case NewKind::kLower:
    case NewKind::kModifier:
    case NewKind::kOtherLetter:
      return kLetter | kWord;
    case NewKind::kDecimal:
      return kNumber | kDigit | kWord;
    case NewKind::kDecimal17:
      return kDigit;
    case NewKind::kMarkSign:
      return kWord;
    default:
      return 0;
  }
}

/// The classes whose tables are newer than or as new as ICU's.
CharBits current_class(UChar32 code, uint32_t category) {
  if (category & U_GC_CN_MASK) {
    const NewCharacters* added = find_new_character(static_cast<char32_t>(code));
    return added != nullptr ? new_character_class(added->kind) : CharBits{0};
  }
  CharBits bits = 0;
  const bool in_16 = known_in(code, 16);
  if ((category & U_GC_L_MASK) && in_16) bits |= kLetter;
  if ((category & U_GC_N_MASK) && in_16) bits |= kNumber;
  if ((category & U_GC_N_MASK) && known_in(code, 17)) bits |= kDigit;
  const bool joiner = code == 0x200C || code == 0x200D;
  const bool word = (category & (U_GC_M_MASK | U_GC_ND_MASK | U_GC_PC_MASK)) || joiner ||
                    u_hasBinaryProperty(code, UCHAR_ALPHABETIC);
  if (word && in_16) bits |= kWord;
  return bits;
}

/// The classes whose tables are older than ICU's, with the few characters whose category has changed since.
CharBits old_class(UChar32 code, uint32_t category) {
  CharBits bits = 0;
  if (((category & U_GC_P_MASK) && known_in(code, 8)) || code == 0x166D || code == 0x111C9)
    bits |= kPunctuation;
  if (((category & U_GC_M_MASK) && known_in(code, 9) && code != 0x111C9) || code == 0x1CF2 || code == 0x1CF3)
    bits |= kMark;
  if ((category & U_GC_MN_MASK) && known_in(code, 8) && code != 0x111C9) bits |= kNonSpacing;
  const bool kept = code == '\t' || code == '\n' || code == '\r';
  if ((category & (U_GC_CC_MASK | U_GC_CF_MASK | U_GC_CO_MASK)) && known_in(code, 8) && !kept)
    bits |= kControl;
  return bits;
}

CharBits compute_class(char32_t c) {
  const auto code = static_cast<UChar32>(c);
  const uint32_t category = U_GET_GC_MASK(code);
  CharBits bits = current_class(code, category) | old_class(code, category);
  if (u_isUWhiteSpace(code)) bits |= kSpace;
  if (c > 0x20 && c < 0x7F && !(bits & (kLetter | kNumber))) bits |= kPunctuation;
  return bits;
}

const icu::Normalizer2& normalizer(NormalForm form) {
  UErrorCode status = U_ZERO_ERROR;
  const icu::Normalizer2* instance = nullptr;
  switch (form) {
    case NormalForm::kNfc:
      instance = icu::Normalizer2::getNFCInstance(status);
      break;
    case NormalForm::kNfd:
      instance = icu::Normalizer2::getNFDInstance(status);
      break;
    case NormalForm::kNfkc:
      instance = icu::Normalizer2::getNFKCInstance(status);
      break;
    case NormalForm::kNfkd:
      instance = icu::Normalizer2::getNFKDInstance(status);
      break;
  }
  QB_CHECK(U_SUCCESS(status) && instance != nullptr, "ICU has no normalization data");
  return *instance;
}

}  // namespace

size_t find_invalid_utf8(std::string_view text) {
  size_t pos = 0;
  while (pos < text.size()) {
    if (pos + 8 <= text.size() && ascii_block(text.data() + pos)) {
      pos += 8;
      continue;
    }
    const Sequence sequence = scan_character(text, pos);
    if (!sequence.valid) return pos;
    pos += sequence.length;
  }
  return std::string_view::npos;
}

char32_t next_code_point(std::string_view text, size_t& pos) {
  const auto tail = [&](size_t i) {
    return static_cast<char32_t>(static_cast<unsigned char>(text[pos + i]) & 0x3FU);
  };
  const char32_t lead = static_cast<unsigned char>(text[pos]);
  char32_t code = lead;
  switch (utf8_length(text[pos])) {
    case 1:
      pos += 1;
      return code;
    case 2:
      code = (lead & 0x1FU) << 6 | tail(1);
      pos += 2;
      return code;
    case 3:
      code = (lead & 0x0FU) << 12 | tail(1) << 6 | tail(2);
      pos += 3;
      return code;
    default:
      code = (lead & 0x07U) << 18 | tail(1) << 12 | tail(2) << 6 | tail(3);
      pos += 4;
      return code;
  }
}

char32_t previous_code_point(std::string_view text, size_t end) {
  size_t begin = end - 1;
  while (begin > 0 && (static_cast<unsigned char>(text[begin]) & 0xC0U) == 0x80U) --begin;
  return next_code_point(text, begin);
}

void append_utf8(std::string& out, char32_t c) {
  const auto put = [&](char32_t value) { out.push_back(static_cast<char>(value)); };
  if (c < 0x80) {
    put(c);
  } else if (c < 0x800) {
    put(0xC0 | c >> 6), put(0x80 | (c & 0x3F));
  } else if (c < 0x10000) {
    put(0xE0 | c >> 12), put(0x80 | (c >> 6 & 0x3F)), put(0x80 | (c & 0x3F));
  } else {
    put(0xF0 | c >> 18), put(0x80 | (c >> 12 & 0x3F)), put(0x80 | (c >> 6 & 0x3F)), put(0x80 | (c & 0x3F));
  }
}

std::string lossy_utf8(std::string_view bytes) {
  std::string out;
  out.reserve(bytes.size());
  for (size_t pos = 0; pos < bytes.size();) {
    const Sequence sequence = scan_character(bytes, pos);
    if (sequence.valid) {
      out.append(bytes.substr(pos, sequence.length));
    } else {
      out.append("\xEF\xBF\xBD");
    }
    pos += sequence.length;
  }
  return out;
}

CharTable char_table;

CharTable::~CharTable() {
  for (auto& page : pages_) delete[] page.load();
}

const CharBits* CharTable::fill(size_t page) {
  auto bits = std::make_unique<CharBits[]>(256);
  for (size_t i = 0; i < 256; ++i) bits[i] = compute_class(static_cast<char32_t>(page << 8 | i));
  const CharBits* expected = nullptr;
  // Two threads may work out the same page; one of the equal results stays.
  return pages_[page].compare_exchange_strong(expected, bits.get(), std::memory_order_acq_rel)
             ? bits.release()
             : expected;
}

std::string normalize(std::string_view text, NormalForm form) {
  std::string out;
  icu::StringByteSink<std::string> sink(&out);
  const icu::Normalizer2& rules = normalizer(form);
  const auto append = [&](std::string_view part) {
    UErrorCode status = U_ZERO_ERROR;
    rules.normalizeUTF8(0, icu::StringPiece(part.data(), static_cast<int32_t>(part.size())), sink, nullptr,
                        status);
    QB_CHECK(U_SUCCESS(status), u_errorName(status));
  };
  size_t begin = 0;
  for (size_t pos = 0; pos < text.size();) {
    const size_t at = pos;
    const char32_t c = next_code_point(text, pos);
    if (c < 0x80 || known_in(static_cast<UChar32>(c), 11)) continue;
    append(text.substr(begin, at - begin));
    out.append(text.substr(at, pos - at));
    begin = pos;
  }
  append(text.substr(begin));
  return out;
}

std::string lowercase(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (size_t pos = 0; pos < text.size();) {
    const char32_t c = next_code_point(text, pos);
    const char32_t lower = new_lowercase(c);
    append_utf8(out, lower != c ? lower : static_cast<char32_t>(u_tolower(static_cast<UChar32>(c))));
    if (c == 0x130)
      append_utf8(out, 0x307);  // the one unconditional one-to-two lower-case mapping: I with a dot above
  }
  return out;
}

}  // namespace qbench::tokenizers
