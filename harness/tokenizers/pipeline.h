// The tokenizer as Hugging Face composes it: added tokens -> normalizer -> pre-tokenizer -> model -> frame,
// and back.
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "harness/tokenizers/added_tokens.h"
#include "harness/tokenizers/decoder.h"
#include "harness/tokenizers/normalizer.h"
#include "harness/tokenizers/post_processor.h"
#include "harness/tokenizers/pre_tokenizer.h"
#include "harness/tokenizers/subword_model.h"
#include "harness/tokenizers/tokenizer.h"

namespace qbench::tokenizers {

/// Everything a pipeline is made of. Absent parts are null.
struct PipelineParts {
  std::vector<AddedToken> added;
  std::unique_ptr<Normalizer> normalizer;
  std::unique_ptr<PreTokenizer> pre_tokenizer;
  std::unique_ptr<SubwordModel> model;
  SpecialFrame frame;
  std::unique_ptr<Decoder> decoder;
  bool raw_bytes = false;  ///< pieces are bytes, not characters of the byte alphabet
  std::optional<int32_t> bos, eos, unk;
  std::string hash;
};

class PipelineTokenizer final : public Tokenizer {
 public:
  explicit PipelineTokenizer(PipelineParts parts);

  std::vector<int32_t> encode(std::string_view text, EncodeOptions options = {}) const override;
  std::string decode(std::span<const int32_t> ids, bool skip_special = false) const override;
  std::string piece(int32_t id) const override;
  int64_t vocab_size() const override { return vocab_size_; }

  /// The stages on a whole text, for tests and diagnosis: what the model gets to see, added tokens ignored.
  std::string normalized(std::string_view text) const;
  std::vector<std::string> pre_tokenized(std::string_view text) const;

 private:
  class Lease;
  void encode_section(std::string_view text, bool at_start, bool special, Workspace& work,
                      std::vector<int32_t>& out) const;
  void encode_plain(std::string_view text, bool at_start, Workspace& work, std::vector<int32_t>& out) const;
  const std::string* added_text(int32_t id) const;

  PipelineParts parts_;
  AddedTokens added_;
  std::vector<int32_t> added_index_;  ///< by id: index into added_.tokens(), or -1
  int64_t vocab_size_ = 0;
  mutable std::mutex mutex_;
  mutable std::vector<std::unique_ptr<Workspace>> idle_;  ///< one per encode() at a time; they remember words
};

/// @throws DataError naming the byte offset if `text` is not valid UTF-8, or if it is too long to be one
/// text.
void check_text(std::string_view text);

}  // namespace qbench::tokenizers
