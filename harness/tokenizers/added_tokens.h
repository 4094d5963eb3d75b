// Tokens that are found in the text before anything else happens to it.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "harness/tokenizers/normalizer.h"
#include "harness/tokenizers/vocabulary.h"

namespace qbench::tokenizers {

struct AddedToken {
  std::string content;
  int32_t id = 0;
  bool single_word = false;  ///< only where no word character touches it
  bool lstrip = false;       ///< takes the white space before it
  bool rstrip = false;       ///< takes the white space behind it
  bool normalized = false;   ///< looked for in the normalized text
  bool special = false;
};

/// A part of a text: an added token's id, or plain text.
struct Section {
  int32_t id = Vocabulary::kNone;
  size_t begin = 0, end = 0;
};

/// Finds the longest of a set of strings at each place.
class TokenTrie {
 public:
  void add(std::string_view text, size_t value);
  bool empty() const { return nodes_.size() <= 1; }
  /// Calls visit(length, value) for every string that `text` starts with, shortest first.
  template <class Visit>
  void for_each_prefix(std::string_view text, const Visit& visit) const {
    uint32_t node = 0;
    for (size_t pos = 0; pos < text.size(); ++pos) {
      node = child(node, text[pos]);
      if (node == 0) return;
      if (nodes_[node].value != SIZE_MAX) visit(pos + 1, nodes_[node].value);
    }
  }
  struct Hit {
    size_t begin = 0, length = 0, value = 0;
  };
  /// Leftmost hit at or after `from`, the longest one there; length 0 if there is none.
  Hit find(std::string_view text, size_t from) const;

 private:
  struct Node {
    std::vector<std::pair<char, uint32_t>> children;
    size_t value = SIZE_MAX;
  };
  uint32_t child(uint32_t node, char byte) const;
  std::vector<Node> nodes_ = std::vector<Node>(1);
  std::array<uint32_t, 256> roots_{};
  std::vector<char> first_bytes_;
};

class AddedTokens {
 public:
  AddedTokens() = default;
  /// @param normalizer  may be null
  AddedTokens(std::vector<AddedToken> tokens, const Normalizer* normalizer);

  /// Cuts a text as given / after normalization. With `special` false, special tokens are left as text.
  void cut_raw(std::string_view text, bool special, std::vector<Section>& out) const {
    cut(raw_, text, special, out);
  }
  void cut_normalized(std::string_view text, bool special, std::vector<Section>& out) const {
    cut(normalized_, text, special, out);
  }

  /// The content of tokens that are looked for in normalized text is normalized here, and decodes that way.
  const std::vector<AddedToken>& tokens() const { return tokens_; }

 private:
  void cut(const TokenTrie& trie, std::string_view text, bool special, std::vector<Section>& out) const;

  std::vector<AddedToken> tokens_;
  TokenTrie raw_, normalized_;
};

}  // namespace qbench::tokenizers
