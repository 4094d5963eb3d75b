#include "harness/tokenizers/added_tokens.h"

#include <algorithm>
#include <utility>

#include "harness/tokenizers/unicode.h"

namespace qbench::tokenizers {
namespace {

bool word_before(std::string_view text, size_t pos) {
  return pos > 0 && (char_class(previous_code_point(text, pos)) & kWord) != 0;
}

bool word_at(std::string_view text, size_t pos) {
  return pos < text.size() && (char_class(next_code_point(text, pos)) & kWord) != 0;
}

size_t spaces_begin(std::string_view text, size_t end) {
  while (end > 0 && is_space(previous_code_point(text, end))) {
    do {
      --end;
    } while ((static_cast<unsigned char>(text[end]) & 0xC0U) == 0x80U);
  }
  return end;
}

size_t spaces_end(std::string_view text, size_t begin) {
  while (begin < text.size()) {
    size_t next = begin;
    if (!is_space(next_code_point(text, next))) break;
    begin = next;
  }
  return begin;
}

}  // namespace

uint32_t TokenTrie::child(uint32_t node, char byte) const {
  if (node == 0) return roots_[static_cast<unsigned char>(byte)];
  for (const auto& [label, next] : nodes_[node].children) {
    if (label == byte) return next;
  }
  return 0;
}

void TokenTrie::add(std::string_view text, size_t value) {
  if (text.empty()) return;
  uint32_t node = 0;
  for (const char byte : text) {
    uint32_t next = child(node, byte);
    if (next == 0) {
      next = static_cast<uint32_t>(nodes_.size());
      nodes_.emplace_back();
      nodes_[node].children.emplace_back(byte, next);
      if (node == 0) {
        roots_[static_cast<unsigned char>(byte)] = next;
        first_bytes_.push_back(byte);
      }
    }
    node = next;
  }
  if (nodes_[node].value == SIZE_MAX) nodes_[node].value = value;
}

TokenTrie::Hit TokenTrie::find(std::string_view text, size_t from) const {
  if (first_bytes_.empty()) return {};
  for (size_t begin = from; begin < text.size(); ++begin) {
    if (first_bytes_.size() == 1) {
      begin = text.find(first_bytes_[0], begin);
      if (begin == std::string_view::npos) return {};
    }
    Hit hit;
    uint32_t node = 0;
    for (size_t pos = begin; pos < text.size(); ++pos) {
      node = child(node, text[pos]);
      if (node == 0) break;
      if (nodes_[node].value != SIZE_MAX) hit = {begin, pos + 1 - begin, nodes_[node].value};
    }
    if (hit.length > 0) return hit;
  }
  return {};
}

AddedTokens::AddedTokens(std::vector<AddedToken> tokens, const Normalizer* normalizer)
    : tokens_(std::move(tokens)) {
  for (size_t i = 0; i < tokens_.size(); ++i) {
    AddedToken& token = tokens_[i];
    if (token.normalized && normalizer != nullptr) token.content = normalizer->apply(token.content);
    (token.normalized ? normalized_ : raw_).add(token.content, i);
  }
}

void AddedTokens::cut(const TokenTrie& trie, std::string_view text, bool special,
                      std::vector<Section>& out) const {
  size_t done = 0;
  size_t from = 0;
  while (!trie.empty()) {
    const TokenTrie::Hit hit = trie.find(text, from);
    if (hit.length == 0) break;
    from = hit.begin + hit.length;
    const AddedToken& token = tokens_[hit.value];
    if (token.special && !special) continue;
    size_t begin = hit.begin;
    size_t end = from;
    if (token.single_word && (word_before(text, begin) || word_at(text, end))) continue;
    if (token.lstrip) begin = std::max(done, spaces_begin(text, begin));
    if (token.rstrip) end = spaces_end(text, end);
    if (done < begin) out.push_back({Vocabulary::kNone, done, begin});
    if (begin < end) out.push_back({token.id, begin, end});
    done = end;  // may lie before the end of white space that the token before has taken: the reference
                 // counts it twice
  }
  if (done < text.size()) out.push_back({Vocabulary::kNone, done, text.size()});
}

}  // namespace qbench::tokenizers
