// Text <-> token ids, exactly as the model's own tokenizer does it.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "harness/models/model_source.h"

namespace qbench::tokenizers {

struct EncodeOptions {
  bool add_special = true;  ///< add BOS/EOS as the tokenizer's own default says
  bool parse_special =
      true;  ///< special-token text ("<s>") becomes its id; false: it is plain text (llama.cpp)
};

class Tokenizer {
 public:
  virtual ~Tokenizer() = default;

  /// Thread-safe. @throws DataError if `text` is not valid UTF-8 (names the byte offset).
  virtual std::vector<int32_t> encode(std::string_view text, EncodeOptions options = {}) const = 0;
  virtual std::string decode(std::span<const int32_t> ids, bool skip_special = false) const = 0;
  virtual std::string piece(int32_t id) const = 0;  ///< vocabulary string of one id
  virtual int64_t vocab_size() const = 0;

  std::optional<int32_t> bos() const { return bos_; }
  std::optional<int32_t> eos() const { return eos_; }
  std::optional<int32_t> unk() const { return unk_; }
  bool adds_bos() const { return adds_bos_; }  ///< does encode() with add_special put BOS in front?
  bool adds_eos() const { return adds_eos_; }
  const std::vector<int32_t>& special_ids() const { return special_ids_; }
  /// SHA-256 of the files that define the tokenizer.
  const std::string& hash() const { return hash_; }

 protected:
  std::optional<int32_t> bos_, eos_, unk_;
  bool adds_bos_ = false, adds_eos_ = false;
  std::vector<int32_t> special_ids_;
  std::string hash_;
};

/// The tokenizer that belongs to the model. @throws DataError (missing file, unsupported component with its
/// name, ...).
std::unique_ptr<Tokenizer> load_tokenizer(const models::ModelSource& source);

}  // namespace qbench::tokenizers
