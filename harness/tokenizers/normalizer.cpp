#include "harness/tokenizers/normalizer.h"

#include <utility>
#include <vector>

#include "harness/tokenizers/bert.h"
#include "harness/tokenizers/precompiled.h"
#include "harness/tokenizers/unicode.h"

namespace qbench::tokenizers {
namespace {

class FormNormalizer final : public Normalizer {
 public:
  explicit FormNormalizer(NormalForm form) : form_(form) {}
  std::string apply(std::string_view text) const override { return normalize(text, form_); }

 private:
  NormalForm form_;
};

class Lowercase final : public Normalizer {
 public:
  std::string apply(std::string_view text) const override { return lowercase(text); }
};

class StripAccents final : public Normalizer {
 public:
  std::string apply(std::string_view text) const override {
    std::string out;
    out.reserve(text.size());
    for (size_t pos = 0; pos < text.size();) {
      const size_t begin = pos;
      if ((char_class(next_code_point(text, pos)) & kMark) == 0) out.append(text.substr(begin, pos - begin));
    }
    return out;
  }
};

class Replace final : public Normalizer {
 public:
  Replace(Pattern pattern, std::string content)
      : pattern_(std::move(pattern)), content_(std::move(content)) {}
  std::string apply(std::string_view text) const override { return pattern_.replace_all(text, content_); }

 private:
  Pattern pattern_;
  std::string content_;
};

class Prepend final : public Normalizer {
 public:
  explicit Prepend(std::string prefix) : prefix_(std::move(prefix)) {}
  std::string apply(std::string_view text) const override {
    return text.empty() ? std::string() : prefix_ + std::string(text);
  }

 private:
  std::string prefix_;
};

class Strip final : public Normalizer {
 public:
  Strip(bool left, bool right) : left_(left), right_(right) {}
  std::string apply(std::string_view text) const override {
    size_t begin = 0;
    while (left_ && begin < text.size()) {
      size_t next = begin;
      if (!is_space(next_code_point(text, next))) break;
      begin = next;
    }
    size_t end = text.size();
    while (right_ && end > begin) {
      const char32_t last = previous_code_point(text, end);
      if (!is_space(last)) break;
      end -= last < 0x80 ? 1 : last < 0x800 ? 2 : 3;  // no space lies beyond the basic plane
    }
    return std::string(text.substr(begin, end - begin));
  }

 private:
  bool left_, right_;
};

class NormalizerSequence final : public Normalizer {
 public:
  explicit NormalizerSequence(std::vector<std::unique_ptr<Normalizer>> parts) : parts_(std::move(parts)) {}
  std::string apply(std::string_view text) const override {
    std::string out(text);
    for (const auto& part : parts_) out = part->apply(out);
    return out;
  }

 private:
  std::vector<std::unique_ptr<Normalizer>> parts_;
};

std::unique_ptr<Normalizer> parse_sequence(const JsonNode& node) {
  std::vector<std::unique_ptr<Normalizer>> parts;
  for (const JsonNode& item : node.at("normalizers").items()) parts.push_back(parse_normalizer(item));
  return std::make_unique<NormalizerSequence>(std::move(parts));
}

}  // namespace

Pattern parse_pattern(const JsonNode& node) {
  if (node.json().is_string()) return Pattern::literal(node.text());
  if (node.has("String")) return Pattern::literal(node.at("String").text());
  if (node.has("Regex")) return Pattern::regex(node.at("Regex").text(), node.where());
  node.fail("{\"String\": ...} or {\"Regex\": ...}");
}

std::unique_ptr<Normalizer> nfc_normalizer() { return std::make_unique<FormNormalizer>(NormalForm::kNfc); }

std::unique_ptr<Normalizer> marker_normalizer(bool prefix) {
  std::vector<std::unique_ptr<Normalizer>> parts;
  if (prefix) parts.push_back(std::make_unique<Prepend>(" "));
  parts.push_back(std::make_unique<Replace>(Pattern::literal(" "), "\xE2\x96\x81"));
  return std::make_unique<NormalizerSequence>(std::move(parts));
}

std::unique_ptr<Normalizer> parse_normalizer(const JsonNode& node) {
  const std::string type = node.at("type").text();
  if (type == "NFC") return std::make_unique<FormNormalizer>(NormalForm::kNfc);
  if (type == "NFD") return std::make_unique<FormNormalizer>(NormalForm::kNfd);
  if (type == "NFKC") return std::make_unique<FormNormalizer>(NormalForm::kNfkc);
  if (type == "NFKD") return std::make_unique<FormNormalizer>(NormalForm::kNfkd);
  if (type == "Lowercase") return std::make_unique<Lowercase>();
  if (type == "StripAccents") return std::make_unique<StripAccents>();
  if (type == "Replace")
    return std::make_unique<Replace>(parse_pattern(node.at("pattern")), node.at("content").text());
  if (type == "Prepend") return std::make_unique<Prepend>(node.at("prepend").text());
  if (type == "Strip") {
    return std::make_unique<Strip>(node.boolean_or("strip_left", true), node.boolean_or("strip_right", true));
  }
  if (type == "BertNormalizer") return parse_bert_normalizer(node);
  if (type == "Precompiled") return precompiled_normalizer(node.at("precompiled_charsmap"));
  if (type == "Sequence") return parse_sequence(node);
  refuse_component(node, "normalizer", type,
                   {"NFC", "NFD", "NFKC", "NFKD", "Lowercase", "StripAccents", "Replace", "Prepend", "Strip",
                    "BertNormalizer", "Precompiled", "Sequence"});
}

}  // namespace qbench::tokenizers
