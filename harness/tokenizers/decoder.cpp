#include "harness/tokenizers/decoder.h"

#include <charconv>
#include <utility>

#include "harness/tokenizers/bpe.h"
#include "harness/tokenizers/normalizer.h"
#include "harness/tokenizers/unicode.h"

namespace qbench::tokenizers {
namespace {

constexpr std::string_view kMarker = "\xE2\x96\x81";
constexpr std::string_view kReplacementCharacter = "\xEF\xBF\xBD";

std::string join(const std::vector<std::string>& tokens) {
  std::string text;
  for (const std::string& token : tokens) text += token;
  return text;
}

class ByteLevelDecoder final : public Decoder {
 public:
  void apply(std::vector<std::string>& tokens) const override {
    std::string bytes;
    for (const std::string& token : tokens) {
      const auto decoded = bytes_of_alphabet(token);
      bytes += decoded ? *decoded : token;  // a token with foreign characters stands for itself
    }
    tokens = {lossy_utf8(bytes)};
  }
};

/// The byte that "<0xNN>" names, or -1.
int byte_of(std::string_view token) {
  if (token.size() != 6 || !token.starts_with("<0x") || !token.ends_with('>')) return -1;
  unsigned value = 0;
  const auto [end, error] = std::from_chars(token.data() + 3, token.data() + 5, value, 16);
  return error == std::errc() && end == token.data() + 5 ? static_cast<int>(value) : -1;
}

class ByteFallbackDecoder final : public Decoder {
 public:
  void apply(std::vector<std::string>& tokens) const override {
    std::vector<std::string> out;
    std::string run;
    for (std::string& token : tokens) {
      const int byte = byte_of(token);
      if (byte >= 0) {
        run.push_back(static_cast<char>(byte));
        continue;
      }
      flush(run, out);
      out.push_back(std::move(token));
    }
    flush(run, out);
    tokens = std::move(out);
  }

 private:
  /// A run of bytes that is no text as a whole becomes one U+FFFD per byte, the valid ones too.
  static void flush(std::string& run, std::vector<std::string>& out) {
    if (run.empty()) return;
    if (find_invalid_utf8(run) == std::string_view::npos) {
      out.push_back(run);
    } else {
      out.insert(out.end(), run.size(), std::string(kReplacementCharacter));
    }
    run.clear();
  }
};

class FuseDecoder final : public Decoder {
 public:
  void apply(std::vector<std::string>& tokens) const override { tokens = {join(tokens)}; }
};

class StripDecoder final : public Decoder {
 public:
  StripDecoder(std::string content, int64_t start, int64_t stop)
      : content_(std::move(content)), start_(start), stop_(stop) {}
  void apply(std::vector<std::string>& tokens) const override {
    for (std::string& token : tokens) {
      std::string_view rest = token;
      for (int64_t i = 0; i < start_ && rest.starts_with(content_); ++i) rest.remove_prefix(content_.size());
      for (int64_t i = 0; i < stop_ && rest.ends_with(content_); ++i) rest.remove_suffix(content_.size());
      token = std::string(rest);
    }
  }

 private:
  std::string content_;
  int64_t start_, stop_;
};

class ReplaceDecoder final : public Decoder {
 public:
  ReplaceDecoder(Pattern pattern, std::string content)
      : pattern_(std::move(pattern)), content_(std::move(content)) {}
  void apply(std::vector<std::string>& tokens) const override {
    for (std::string& token : tokens) token = pattern_.replace_all(token, content_);
  }

 private:
  Pattern pattern_;
  std::string content_;
};

class MetaspaceDecoder final : public Decoder {
 public:
  MetaspaceDecoder(std::string replacement, bool drop_first)
      : space_(Pattern::literal(std::move(replacement))), drop_first_(drop_first) {}
  void apply(std::vector<std::string>& tokens) const override {
    for (size_t i = 0; i < tokens.size(); ++i)
      tokens[i] = space_.replace_all(tokens[i], i == 0 && drop_first_ ? "" : " ");
  }

 private:
  Pattern space_;
  bool drop_first_;
};

class WordPieceDecoder final : public Decoder {
 public:
  WordPieceDecoder(std::string prefix, bool cleanup) : prefix_(std::move(prefix)), cleanup_(cleanup) {}
  void apply(std::vector<std::string>& tokens) const override {
    for (size_t i = 0; i < tokens.size(); ++i) {
      if (i > 0)
        tokens[i] = tokens[i].starts_with(prefix_) ? tokens[i].substr(prefix_.size()) : " " + tokens[i];
      if (cleanup_) tokens[i] = clean_up(std::move(tokens[i]));
    }
  }

 private:
  /// The reference's list, in its order: spaces before punctuation and in English contractions go.
  static std::string clean_up(std::string token) {
    static const std::vector<std::pair<Pattern, std::string_view>> rules = {
        {Pattern::literal(" ."), "."},    {Pattern::literal(" ?"), "?"},
        {Pattern::literal(" !"), "!"},    {Pattern::literal(" ,"), ","},
        {Pattern::literal(" ' "), "'"},   {Pattern::literal(" n't"), "n't"},
        {Pattern::literal(" 'm"), "'m"},  {Pattern::literal(" do not"), " don't"},
        {Pattern::literal(" 's"), "'s"},  {Pattern::literal(" 've"), "'ve"},
        {Pattern::literal(" 're"), "'re"}};
    for (const auto& [pattern, replacement] : rules) token = pattern.replace_all(token, replacement);
    return token;
  }

  std::string prefix_;
  bool cleanup_;
};

class DecoderSequence final : public Decoder {
 public:
  explicit DecoderSequence(std::vector<std::unique_ptr<Decoder>> parts) : parts_(std::move(parts)) {}
  void apply(std::vector<std::string>& tokens) const override {
    for (const auto& part : parts_) part->apply(tokens);
  }

 private:
  std::vector<std::unique_ptr<Decoder>> parts_;
};

std::unique_ptr<Decoder> parse_sequence(const JsonNode& node) {
  std::vector<std::unique_ptr<Decoder>> parts;
  for (const JsonNode& item : node.at("decoders").items()) parts.push_back(parse_decoder(item));
  return std::make_unique<DecoderSequence>(std::move(parts));
}

std::unique_ptr<Decoder> parse_strip(const JsonNode& node) {
  const std::string content = node.text_or("content", " ");
  if (content.empty()) node.at("content").fail("one character");
  return std::make_unique<StripDecoder>(content, node.at("start").integer(), node.at("stop").integer());
}

}  // namespace

std::unique_ptr<Decoder> byte_level_decoder() { return std::make_unique<ByteLevelDecoder>(); }

std::unique_ptr<Decoder> marker_decoder(bool prefix) {
  std::vector<std::unique_ptr<Decoder>> parts;
  parts.push_back(std::make_unique<ReplaceDecoder>(Pattern::literal(std::string(kMarker)), " "));
  parts.push_back(std::make_unique<ByteFallbackDecoder>());
  parts.push_back(std::make_unique<FuseDecoder>());
  if (prefix) parts.push_back(std::make_unique<StripDecoder>(" ", 1, 0));
  return std::make_unique<DecoderSequence>(std::move(parts));
}

std::unique_ptr<Decoder> parse_decoder(const JsonNode& node) {
  const std::string type = node.at("type").text();
  if (type == "ByteLevel") return byte_level_decoder();
  if (type == "ByteFallback") return std::make_unique<ByteFallbackDecoder>();
  if (type == "Fuse") return std::make_unique<FuseDecoder>();
  if (type == "Strip") return parse_strip(node);
  if (type == "Replace")
    return std::make_unique<ReplaceDecoder>(parse_pattern(node.at("pattern")), node.at("content").text());
  if (type == "Metaspace") {
    const bool drop_first =
        node.text_or("prepend_scheme", node.boolean_or("add_prefix_space", true) ? "always" : "never") !=
        "never";
    return std::make_unique<MetaspaceDecoder>(node.text_or("replacement", kMarker), drop_first);
  }
  if (type == "WordPiece") {
    return std::make_unique<WordPieceDecoder>(node.text_or("prefix", "##"), node.boolean_or("cleanup", true));
  }
  if (type == "Sequence") return parse_sequence(node);
  refuse_component(
      node, "decoder", type,
      {"ByteLevel", "ByteFallback", "Fuse", "Strip", "Replace", "Metaspace", "WordPiece", "Sequence"});
}

}  // namespace qbench::tokenizers
