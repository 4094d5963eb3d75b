// The unigram language model: the most probable way to cut a piece into tokens (Kudo, arXiv:1804.10959), by
// Viterbi.
#pragma once

#include <array>
#include <string_view>
#include <vector>

#include "harness/tokenizers/added_tokens.h"
#include "harness/tokenizers/subword_model.h"

namespace qbench::tokenizers {

class UnigramModel final : public SubwordModel {
 public:
  /// @param scores  log probabilities by id; @param unk  id for characters without a token, or
  /// Vocabulary::kNone.
  UnigramModel(Vocabulary vocabulary, std::vector<double> scores, int32_t unk, bool byte_fallback);

  /// @throws DataError if the piece has a character without a token and there is no unk.
  void tokenize(std::string_view piece, Workspace& work, std::vector<int32_t>& out) const override;
  const Vocabulary& vocabulary() const override { return vocabulary_; }
  int32_t unk() const override { return unk_; }

 private:
  void find_best_path(std::string_view piece, Workspace& work) const;
  void append_token(std::string_view run, std::vector<int32_t>& out) const;

  Vocabulary vocabulary_;
  std::vector<double> scores_;
  TokenTrie trie_;
  int32_t unk_;
  bool byte_fallback_;
  double unk_score_ = 0;
  std::array<int32_t, 256> byte_ids_{};
};

}  // namespace qbench::tokenizers
