#include "harness/tokenizers/precompiled.h"

#include <unicode/brkiter.h>
#include <unicode/utext.h>

#include <cstring>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "harness/core/errors.h"
#include "harness/tokenizers/unicode.h"

namespace qbench::tokenizers {
namespace {

constexpr size_t kShortCluster = 6;  // bytes; longer clusters are looked up character by character

std::optional<std::string> decode_base64(std::string_view text) {
  std::string out;
  uint32_t bits = 0;
  int count = 0;
  for (const char c : text) {
    if (c == '=') break;
    uint32_t value = 0;
    if (c >= 'A' && c <= 'Z') {
      value = static_cast<uint32_t>(c - 'A');
    } else if (c >= 'a' && c <= 'z') {
      value = static_cast<uint32_t>(c - 'a') + 26;
    } else if (c >= '0' && c <= '9') {
      value = static_cast<uint32_t>(c - '0') + 52;
    } else if (c == '+' || c == '/') {
      value = c == '+' ? 62 : 63;
    } else {
      return std::nullopt;
    }
    bits = bits << 6 | value;
    count += 6;
    if (count >= 8) {
      count -= 8;
      out.push_back(static_cast<char>(bits >> count & 0xFFU));
    }
  }
  return out;
}

/// Darts' double array: a unit holds the label it is entered by, the place of its children, and whether it
/// has a value.
class DoubleArray {
 public:
  explicit DoubleArray(std::vector<uint32_t> units) : units_(std::move(units)) {}

  /// Value of the shortest key that is a prefix of `text`.
  std::optional<uint32_t> shortest_prefix(std::string_view text) const {
    size_t node = 0;
    if (units_.empty()) return std::nullopt;
    node ^= offset(units_[0]);
    for (const char byte : text) {
      const auto label = static_cast<unsigned char>(byte);
      node ^= label;
      if (label == 0 || node >= units_.size()) return std::nullopt;
      const uint32_t unit = units_[node];
      if ((unit & (0x80000000U | 0xFFU)) != label) return std::nullopt;
      node ^= offset(unit);
      if (unit >> 8 & 1U)
        return node < units_.size() ? std::optional(units_[node] & 0x7FFFFFFFU) : std::nullopt;
    }
    return std::nullopt;
  }

 private:
  static size_t offset(uint32_t unit) { return static_cast<size_t>(unit >> 10) << ((unit & 0x200U) >> 6); }
  std::vector<uint32_t> units_;
};

class Precompiled final : public Normalizer {
 public:
  Precompiled(DoubleArray trie, std::string texts) : trie_(std::move(trie)), texts_(std::move(texts)) {
    UErrorCode status = U_ZERO_ERROR;
    breaks_.reset(icu::BreakIterator::createCharacterInstance(icu::Locale::getRoot(), status));
    QB_CHECK(U_SUCCESS(status) && breaks_ != nullptr, "ICU has no character break rules");
  }

  std::string apply(std::string_view text) const override {
    std::string out;
    out.reserve(text.size());
    UErrorCode status = U_ZERO_ERROR;
    UText* view = utext_openUTF8(nullptr, text.data(), static_cast<int64_t>(text.size()), &status);
    const std::unique_ptr<icu::BreakIterator> breaks(breaks_->clone());  // an iterator has state
    breaks->setText(view, status);
    QB_CHECK(U_SUCCESS(status), u_errorName(status));
    auto begin = static_cast<size_t>(breaks->first());
    for (int32_t end = breaks->next(); end != icu::BreakIterator::DONE; end = breaks->next()) {
      apply_cluster(text.substr(begin, static_cast<size_t>(end) - begin), out);
      begin = static_cast<size_t>(end);
    }
    utext_close(view);
    return out;
  }

 private:
  void apply_cluster(std::string_view cluster, std::string& out) const {
    if (cluster.size() < kShortCluster) {
      if (const auto replacement = find(cluster)) {
        out.append(*replacement);
        return;
      }
    }
    for (size_t pos = 0; pos < cluster.size();) {
      const size_t length = utf8_length(cluster[pos]);
      out.append(find(cluster.substr(pos, length)).value_or(cluster.substr(pos, length)));
      pos += length;
    }
  }

  std::optional<std::string_view> find(std::string_view text) const {
    const auto at = trie_.shortest_prefix(text);
    if (!at || *at >= texts_.size()) return std::nullopt;
    const std::string_view rest = std::string_view(texts_).substr(*at);
    return rest.substr(0, rest.find('\0'));
  }

  DoubleArray trie_;
  std::string texts_;
  std::unique_ptr<icu::BreakIterator> breaks_;
};

}  // namespace

std::unique_ptr<Normalizer> precompiled_normalizer(const JsonNode& base64) {
  const auto blob = decode_base64(base64.text());
  uint32_t bytes = 0;
  if (blob && blob->size() >= sizeof bytes) std::memcpy(&bytes, blob->data(), sizeof bytes);
  if (!blob || blob->size() < sizeof bytes || bytes > blob->size() - sizeof bytes || bytes % 4 != 0) {
    base64.fail("base64 of a compiled normalization table");
  }
  std::vector<uint32_t> units(bytes / 4);
  std::memcpy(units.data(), blob->data() + sizeof bytes, bytes);
  std::string texts = blob->substr(sizeof bytes + bytes);
  if (find_invalid_utf8(texts) != std::string::npos) base64.fail("a table of UTF-8 texts");
  return std::make_unique<Precompiled>(DoubleArray(std::move(units)), std::move(texts));
}

}  // namespace qbench::tokenizers
