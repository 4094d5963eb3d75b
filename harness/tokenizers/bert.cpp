#include "harness/tokenizers/bert.h"

#include <algorithm>
#include <array>
#include <string>
#include <utility>

#include "harness/tokenizers/unicode.h"

namespace qbench::tokenizers {
namespace {

/// The blocks of Chinese characters that get spaces around them. U+2B820..2B91F is no slip of ours: the
/// reference starts there late.
constexpr std::array<std::pair<char32_t, char32_t>, 8> kChinese = {{{0x3400, 0x4DBF},
                                                                    {0x4E00, 0x9FFF},
                                                                    {0xF900, 0xFAFF},
                                                                    {0x20000, 0x2A6DF},
                                                                    {0x2A700, 0x2B73F},
                                                                    {0x2B740, 0x2B81F},
                                                                    {0x2B920, 0x2CEAF},
                                                                    {0x2F800, 0x2FA1F}}};

bool is_chinese(char32_t c) {
  return c >= kChinese[0].first && std::any_of(kChinese.begin(), kChinese.end(), [&](const auto& block) {
           return c >= block.first && c <= block.second;
         });
}

class BertNormalizer final : public Normalizer {
 public:
  BertNormalizer(bool clean, bool chinese, bool strip, bool lower)
      : clean_(clean), chinese_(chinese), strip_(strip), lower_(lower) {}

  std::string apply(std::string_view text) const override {
    std::string out;
    out.reserve(text.size());
    for (size_t pos = 0; pos < text.size();) {
      const size_t begin = pos;
      const char32_t c = next_code_point(text, pos);
      if (clean_ && (c == 0 || c == 0xFFFD || (char_class(c) & kControl))) continue;
      if (clean_ && is_space(c)) {
        out += ' ';
      } else if (chinese_ && is_chinese(c)) {
        out.append(" ").append(text.substr(begin, pos - begin)).append(" ");
      } else {
        out.append(text.substr(begin, pos - begin));
      }
    }
    if (strip_) out = without_accents(normalize(out, NormalForm::kNfd));
    return lower_ ? lowercase(out) : out;
  }

 private:
  static std::string without_accents(std::string_view text) {
    std::string out;
    out.reserve(text.size());
    for (size_t pos = 0; pos < text.size();) {
      const size_t begin = pos;
      if ((char_class(next_code_point(text, pos)) & kNonSpacing) == 0)
        out.append(text.substr(begin, pos - begin));
    }
    return out;
  }

  bool clean_, chinese_, strip_, lower_;
};

}  // namespace

std::unique_ptr<Normalizer> parse_bert_normalizer(const JsonNode& node) {
  const bool lower = node.boolean_or("lowercase", true);
  return std::make_unique<BertNormalizer>(node.boolean_or("clean_text", true),
                                          node.boolean_or("handle_chinese_chars", true),
                                          node.boolean_or("strip_accents", lower), lower);
}

}  // namespace qbench::tokenizers
