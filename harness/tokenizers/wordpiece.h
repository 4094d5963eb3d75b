// WordPiece: the longest token from the left, again and again (Wu et al., arXiv:1609.08144, as BERT uses it).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "harness/tokenizers/subword_model.h"

namespace qbench::tokenizers {

class WordPieceModel final : public SubwordModel {
 public:
  /// @param prefix  in front of every token but a word's first ("##").
  /// @param most_characters  a longer word is unk as a whole.
  WordPieceModel(Vocabulary vocabulary, int32_t unk, std::string prefix, int64_t most_characters);

  void tokenize(std::string_view piece, Workspace& work, std::vector<int32_t>& out) const override;
  const Vocabulary& vocabulary() const override { return vocabulary_; }
  int32_t unk() const override { return unk_; }

 private:
  bool cut(std::string_view word, std::vector<int32_t>& ids) const;

  Vocabulary vocabulary_;
  int32_t unk_;
  std::string prefix_;
  int64_t most_characters_;
  size_t longest_ = 0;  ///< bytes of the longest token: no longer stretch needs looking up
};

}  // namespace qbench::tokenizers
