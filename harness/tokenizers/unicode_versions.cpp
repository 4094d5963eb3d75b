#include "harness/tokenizers/unicode_versions.h"

#include <fmt/format.h>
#include <unicode/uchar.h>
#include <unicode/uscript.h>

#include <algorithm>
#include <array>
#include <vector>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

namespace qbench::tokenizers {
namespace {

// Source: the Unicode Character Database, 15.1 and 16.0 (DerivedGeneralCategory), and 17.0 for kDecimal17.
constexpr NewCharacters kNew[] = {
    {0x897, 0x897, NewKind::kMarkSign},        {0x1B4E, 0x1B4F, NewKind::kPunct},
    {0x1B7F, 0x1B7F, NewKind::kPunct},         {0x1C89, 0x1C89, NewKind::kUpper},
    {0x1C8A, 0x1C8A, NewKind::kLower},         {0x2427, 0x2429, NewKind::kSymbol},
    {0x2FFC, 0x2FFF, NewKind::kSymbol},        {0x31E4, 0x31E5, NewKind::kSymbol},
    {0x31EF, 0x31EF, NewKind::kSymbol},        {0xA7CB, 0xA7CC, NewKind::kUpper},
    {0xA7CD, 0xA7CD, NewKind::kLower},         {0xA7DA, 0xA7DA, NewKind::kUpper},
    {0xA7DB, 0xA7DB, NewKind::kLower},         {0xA7DC, 0xA7DC, NewKind::kUpper},
    {0x105C0, 0x105F3, NewKind::kOtherLetter}, {0x10D40, 0x10D49, NewKind::kDecimal},
    {0x10D4A, 0x10D4D, NewKind::kOtherLetter}, {0x10D4E, 0x10D4E, NewKind::kModifier},
    {0x10D4F, 0x10D4F, NewKind::kOtherLetter}, {0x10D50, 0x10D65, NewKind::kUpper},
    {0x10D69, 0x10D6D, NewKind::kMarkSign},    {0x10D6E, 0x10D6E, NewKind::kPunct},
    {0x10D6F, 0x10D6F, NewKind::kModifier},    {0x10D70, 0x10D85, NewKind::kLower},
    {0x10D8E, 0x10D8F, NewKind::kSymbol},      {0x10EC2, 0x10EC4, NewKind::kOtherLetter},
    {0x10EFC, 0x10EFC, NewKind::kMarkSign},    {0x11380, 0x11389, NewKind::kOtherLetter},
    {0x1138B, 0x1138B, NewKind::kOtherLetter}, {0x1138E, 0x1138E, NewKind::kOtherLetter},
    {0x11390, 0x113B5, NewKind::kOtherLetter}, {0x113B7, 0x113B7, NewKind::kOtherLetter},
    {0x113B8, 0x113C0, NewKind::kMarkSign},    {0x113C2, 0x113C2, NewKind::kMarkSign},
    {0x113C5, 0x113C5, NewKind::kMarkSign},    {0x113C7, 0x113CA, NewKind::kMarkSign},
    {0x113CC, 0x113D0, NewKind::kMarkSign},    {0x113D1, 0x113D1, NewKind::kOtherLetter},
    {0x113D2, 0x113D2, NewKind::kMarkSign},    {0x113D3, 0x113D3, NewKind::kOtherLetter},
    {0x113D4, 0x113D5, NewKind::kPunct},       {0x113D7, 0x113D8, NewKind::kPunct},
    {0x113E1, 0x113E2, NewKind::kMarkSign},    {0x116D0, 0x116E3, NewKind::kDecimal},
    {0x11BC0, 0x11BE0, NewKind::kOtherLetter}, {0x11BE1, 0x11BE1, NewKind::kPunct},
    {0x11BF0, 0x11BF9, NewKind::kDecimal},     {0x11DE0, 0x11DE9, NewKind::kDecimal17},
    {0x11F5A, 0x11F5A, NewKind::kMarkSign},    {0x13460, 0x143FA, NewKind::kOtherLetter},
    {0x16100, 0x1611D, NewKind::kOtherLetter}, {0x1611E, 0x1612F, NewKind::kMarkSign},
    {0x16130, 0x16139, NewKind::kDecimal},     {0x16D40, 0x16D42, NewKind::kModifier},
    {0x16D43, 0x16D6A, NewKind::kOtherLetter}, {0x16D6B, 0x16D6C, NewKind::kModifier},
    {0x16D6D, 0x16D6F, NewKind::kPunct},       {0x16D70, 0x16D79, NewKind::kDecimal},
    {0x16FF4, 0x16FF6, NewKind::kDecimal17},   {0x18CFF, 0x18CFF, NewKind::kOtherLetter},
    {0x1CC00, 0x1CCEF, NewKind::kSymbol},      {0x1CCF0, 0x1CCF9, NewKind::kDecimal},
    {0x1CD00, 0x1CEB3, NewKind::kSymbol},      {0x1E5D0, 0x1E5ED, NewKind::kOtherLetter},
    {0x1E5EE, 0x1E5EF, NewKind::kMarkSign},    {0x1E5F0, 0x1E5F0, NewKind::kOtherLetter},
    {0x1E5F1, 0x1E5FA, NewKind::kDecimal},     {0x1E5FF, 0x1E5FF, NewKind::kPunct},
    {0x1F8B2, 0x1F8BB, NewKind::kSymbol},      {0x1F8C0, 0x1F8C1, NewKind::kSymbol},
    {0x1FA89, 0x1FA89, NewKind::kSymbol},      {0x1FA8F, 0x1FA8F, NewKind::kSymbol},
    {0x1FABE, 0x1FABE, NewKind::kSymbol},      {0x1FAC6, 0x1FAC6, NewKind::kSymbol},
    {0x1FADC, 0x1FADC, NewKind::kSymbol},      {0x1FADF, 0x1FADF, NewKind::kSymbol},
    {0x1FAE9, 0x1FAE9, NewKind::kSymbol},      {0x1FBCB, 0x1FBEF, NewKind::kSymbol},
    {0x2EBF0, 0x2EE5D, NewKind::kOtherLetter}};

struct CategoryName {
  std::string_view name;
  uint32_t mask;
};

constexpr std::array<CategoryName, 21> kCategories = {{
    {"L", U_GC_L_MASK},   {"Lu", U_GC_LU_MASK}, {"Ll", U_GC_LL_MASK}, {"Lt", U_GC_LT_MASK},
    {"Lm", U_GC_LM_MASK}, {"Lo", U_GC_LO_MASK}, {"M", U_GC_M_MASK},   {"Mn", U_GC_MN_MASK},
    {"Mc", U_GC_MC_MASK}, {"N", U_GC_N_MASK},   {"Nd", U_GC_ND_MASK}, {"Nl", U_GC_NL_MASK},
    {"No", U_GC_NO_MASK}, {"P", U_GC_P_MASK},   {"Pd", U_GC_PD_MASK}, {"Pe", U_GC_PE_MASK},
    {"Pf", U_GC_PF_MASK}, {"Po", U_GC_PO_MASK}, {"Ps", U_GC_PS_MASK}, {"S", U_GC_S_MASK},
    {"So", U_GC_SO_MASK},
}};

uint32_t mask_of(NewKind kind) {
  switch (kind) {
    case NewKind::kUpper:
      return U_GC_LU_MASK;
    case NewKind::kLower:
      return U_GC_LL_MASK;
    case NewKind::kModifier:
      return U_GC_LM_MASK;
    case NewKind::kOtherLetter:
      return U_GC_LO_MASK;
    case NewKind::kDecimal:
      return U_GC_ND_MASK;
    case NewKind::kMarkSign:
      return U_GC_MN_MASK | U_GC_MC_MASK;
    case NewKind::kPunct:
      return U_GC_PO_MASK;
    case NewKind::kSymbol:
      return U_GC_SO_MASK;
    case NewKind::kDecimal17:
      return 0;
  }
  return 0;
}

struct NewerRange {
  char32_t first, last;
  uint32_t mask;
  int32_t script;  ///< UScriptCode
};

int32_t script_of(char32_t c) { return u_getIntPropertyValue(static_cast<UChar32>(c), UCHAR_SCRIPT); }

/// Everything that came after PCRE2's Unicode version: from ICU as far as it goes, then from the list above.
std::vector<NewerRange> build_newer() {
  std::array<char, 64> text{};
  pcre2_config(PCRE2_CONFIG_UNICODE_VERSION, text.data());
  UVersionInfo known;
  u_versionFromString(known, text.data());
  std::vector<NewerRange> ranges;
  const auto add = [&](char32_t c, uint32_t mask, int32_t script) {
    const bool joins = !ranges.empty() && ranges.back().last + 1 == c && ranges.back().mask == mask &&
                       ranges.back().script == script;
    if (joins) {
      ranges.back().last = c;
    } else {
      ranges.push_back({c, c, mask, script});
    }
  };
  for (char32_t c = 0; c < 0x110000; ++c) {
    UVersionInfo age;
    u_charAge(static_cast<UChar32>(c), age);
    const bool newer = age[0] > known[0] || (age[0] == known[0] && age[1] > known[1]);
    if (newer && age[0] <= 16) add(c, U_GET_GC_MASK(static_cast<UChar32>(c)), script_of(c));
    if (age[0] != 0) continue;
    const NewCharacters* added = find_new_character(c);
    if (added != nullptr)
      add(c, mask_of(added->kind), c >= 0x2EBF0 && c <= 0x2EE5D ? USCRIPT_HAN : USCRIPT_UNKNOWN);
  }
  return ranges;
}

}  // namespace

std::span<const NewCharacters> new_characters() { return kNew; }

const NewCharacters* find_new_character(char32_t c) {
  const auto* found =
      std::lower_bound(std::begin(kNew), std::end(kNew), c,
                       [](const NewCharacters& range, char32_t value) { return range.last < value; });
  return found != std::end(kNew) && c >= found->first ? found : nullptr;
}

char32_t new_lowercase(char32_t c) {
  if (c >= 0x10D50 && c <= 0x10D65) return c + 0x20;  // Garay
  if (c >= 0x16EA0 && c <= 0x16EB8) return c + 0x1B;  // Beria Erfe
  switch (c) {
    case 0xA7CB:
      return 0x264;
    case 0xA7DC:
      return 0x19B;
    case 0x1C89:
    case 0xA7CC:
    case 0xA7CE:
    case 0xA7D2:
    case 0xA7D4:
    case 0xA7DA:
      return c + 1;
    default:
      return c;
  }
}

std::string newer_than_pcre2(std::string_view property) {
  const auto known = std::find_if(kCategories.begin(), kCategories.end(),
                                  [&](const CategoryName& entry) { return entry.name == property; });
  const uint32_t mask = known != kCategories.end() ? known->mask : 0;
  const int32_t script =
      mask != 0 ? USCRIPT_INVALID_CODE : u_getPropertyValueEnum(UCHAR_SCRIPT, std::string(property).c_str());
  if (mask == 0 && script == USCRIPT_INVALID_CODE) return {};
  static const std::vector<NewerRange> newer = build_newer();
  std::string out;
  for (const NewerRange& range : newer) {
    if ((range.mask & mask) == 0 && range.script != script) continue;
    out += fmt::format("\\x{{{:X}}}-\\x{{{:X}}}", static_cast<uint32_t>(range.first),
                       static_cast<uint32_t>(range.last));
  }
  return out;
}

}  // namespace qbench::tokenizers
