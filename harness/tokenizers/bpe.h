// Byte pair encoding: the lowest-ranked adjacent pair merges first, the leftmost among equals
// (Sennrich et al., arXiv:1508.07909; byte-level as in GPT-2; byte fallback as in SentencePiece).
#pragma once

#include <array>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "harness/tokenizers/subword_model.h"

namespace qbench::tokenizers {

/// GPT-2's printable stand-in for each byte value ("Ġ" for a space), as code points.
const std::array<char32_t, 256>& byte_alphabet();
/// The bytes that `text` stands for, or nothing if it has a character outside the byte alphabet.
std::optional<std::string> bytes_of_alphabet(std::string_view text);
/// `bytes` in the byte alphabet.
std::string alphabet_of_bytes(std::string_view bytes);

struct BpeOptions {
  int32_t unk = Vocabulary::kNone;
  bool fuse_unk = false;          ///< a run of unknown characters is one unk
  bool byte_fallback = false;     ///< an unknown character becomes its <0xNN> tokens
  bool ignore_merges = false;     ///< a piece that is a token is taken whole
  bool raw_bytes = false;         ///< pieces are bytes, vocabulary texts are in the byte alphabet
  std::string continuing_prefix;  ///< put before every character but the first of a piece
  std::string end_suffix;         ///< put behind the last character of a piece
};

class BpeModel final : public SubwordModel {
 public:
  BpeModel(Vocabulary vocabulary, MergeTable merges, BpeOptions options);

  void tokenize(std::string_view piece, Workspace& work, std::vector<int32_t>& out) const override;
  const Vocabulary& vocabulary() const override { return vocabulary_; }
  int32_t unk() const override { return options_.unk; }

  /// SentencePiece's BPE without its file: a pair may merge if the joined text is a piece, best score first.
  /// @param scores  by id; @param mergeable  by id: may the token be the result of a merge (not control,
  /// unknown, byte)?
  static std::unique_ptr<BpeModel> from_scores(Vocabulary vocabulary, const std::vector<float>& scores,
                                               const std::vector<bool>& mergeable, BpeOptions options);

 private:
  void start_symbols(std::string_view word, Workspace& work) const;
  void start_characters(std::string_view word, std::vector<int32_t>& ids) const;
  bool append_bytes(std::string_view character, std::vector<int32_t>& ids) const;
  void merge_short(Workspace& work) const;
  void merge_long(Workspace& work) const;
  void push_candidate(Workspace& work, int32_t left) const;
  void tokenize_word(std::string_view word, Workspace& work, std::vector<int32_t>& out) const;
  int32_t whole_word(std::string_view word) const;
  void replace_stand_ins(std::vector<int32_t>& ids) const;
  bool marker_starts_words() const;

  Vocabulary vocabulary_;
  MergeTable merges_;
  BpeOptions options_;
  Vocabulary raw_words_;  ///< ignore_merges on raw bytes: vocabulary texts as bytes
  Vocabulary
      stand_ins_;  ///< characters that are no tokens but part of one; their ids follow the vocabulary's
  std::array<int32_t, 256> byte_ids_{};  ///< id of each byte's own token: "Ġ"-style (raw_bytes) or <0xNN>
  bool cut_at_marker_ = false;
};

}  // namespace qbench::tokenizers
