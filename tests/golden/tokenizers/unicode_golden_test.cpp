// Character classes, measured on the reference implementation for every code point.
#include <gtest/gtest.h>

#include <functional>

#include "harness/core/fields.h"
#include "harness/core/files.h"
#include "harness/tokenizers/regex.h"
#include "harness/tokenizers/unicode.h"
#include "tests/support/fixtures.h"

namespace qbench::tokenizers {
namespace {

constexpr char32_t kCodePoints = 0x110000;

std::vector<bool> members(const Json& ranges) {
  std::vector<bool> set(kCodePoints, false);
  for (const std::string text : ranges) {
    const size_t dash = text.find('-');
    const auto first = std::stoul(text, nullptr, 16);
    const auto last = dash == std::string::npos ? first : std::stoul(text.substr(dash + 1), nullptr, 16);
    for (auto c = first; c <= last; ++c) set[c] = true;
  }
  return set;
}

std::string utf8(char32_t c) {
  std::string text;
  append_utf8(text, c);
  return text;
}

std::string without_marks(char32_t c) {
  const std::string text = normalize(utf8(c), NormalForm::kNfd);
  std::string kept;
  for (size_t pos = 0; pos < text.size();) {
    const char32_t part = next_code_point(text, pos);
    if ((char_class(part) & kMark) == 0) append_utf8(kept, part);
  }
  return kept;
}

class UnicodeGolden : public ::testing::Test {
 protected:
  void expect_class(const Json& classes, const std::string& name, const std::function<bool(char32_t)>& ours) {
    const std::vector<bool> theirs = members(classes.at(name));
    int wrong = 0;
    for (char32_t c = 0; c < kCodePoints; ++c) {
      if (c >= 0xD800 && c < 0xE000) continue;
      if (ours(c) != theirs[c] && ++wrong <= 3)
        ADD_FAILURE() << name << ": U+" << std::hex << static_cast<uint32_t>(c);
    }
    EXPECT_EQ(wrong, 0) << name;
  }
  Json read_classes(const std::filesystem::path& shared) {
    return Json::parse(read_text_file(shared / "golden" / "tokenizers" / "unicode_classes.json"))
        .at("classes");
  }
};

std::function<bool(char32_t)> has(CharBits bits) {
  return [bits](char32_t c) { return (char_class(c) & bits) != 0; };
}

TEST_F(UnicodeGolden, ClassesAgreeOnEveryCodePoint) {
  QB_REQUIRE_SHARED();
  const Json classes = read_classes(shared);
  expect_class(classes, "regex \\p{L}", has(kLetter));
  expect_class(classes, "regex \\p{N}", has(kNumber));
  expect_class(classes, "regex \\s", has(kSpace));
  expect_class(classes, "pre_tokenizer WhitespaceSplit", has(kSpace));
  expect_class(classes, "pre_tokenizer Digits (individual)", has(kDigit));
  expect_class(classes, "pre_tokenizer Punctuation (isolated)", has(kPunctuation));
  expect_class(classes, "BertNormalizer clean_text removes",
               [](char32_t c) { return c == 0 || c == 0xFFFD || (char_class(c) & kControl) != 0; });
}

TEST_F(UnicodeGolden, NormalizersChangeTheSameCodePoints) {
  QB_REQUIRE_SHARED();
  const Json classes = read_classes(shared);
  expect_class(classes, "Lowercase changes", [](char32_t c) { return lowercase(utf8(c)) != utf8(c); });
  expect_class(classes, "NFC changes",
               [](char32_t c) { return normalize(utf8(c), NormalForm::kNfc) != utf8(c); });
  expect_class(classes, "NFKC changes",
               [](char32_t c) { return normalize(utf8(c), NormalForm::kNfkc) != utf8(c); });
  expect_class(classes, "NFD + StripAccents removes", [](char32_t c) { return without_marks(c).empty(); });
}

TEST_F(UnicodeGolden, PatternsAgreeOnEveryCodePoint) {
  QB_REQUIRE_SHARED();
  const Json classes = read_classes(shared);
  for (const auto& [name, ranges] : classes.items()) {
    if (!name.starts_with("regex ")) continue;
    const Regex regex(name.substr(6), name);
    const Regex inside("[!" + name.substr(6) + "]", name);
    expect_class(classes, name, [&](char32_t c) { return regex.find(utf8(c), 0).has_value(); });
    expect_class(classes, name, [&](char32_t c) {
      return c == '!' ? members(ranges)[c] : inside.find(utf8(c), 0).has_value();
    });
  }
}

}  // namespace
}  // namespace qbench::tokenizers
