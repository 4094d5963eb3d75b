// A tokenizer for tests: one id per byte, with the usual special tokens in front: <s> = 256, </s> = 257.
#pragma once

#include "harness/tokenizers/tokenizer.h"

namespace qbench::testing_support {

class ByteTokenizer final : public tokenizers::Tokenizer {
 public:
  explicit ByteTokenizer(bool adds_bos = false) {
    bos_ = 256;
    eos_ = 257;
    adds_bos_ = adds_bos;
    special_ids_ = {256, 257};
    hash_ = adds_bos ? "bytes+bos" : "bytes";
  }
  std::vector<int32_t> encode(std::string_view text, tokenizers::EncodeOptions options = {}) const override {
    std::vector<int32_t> ids;
    if (options.add_special && adds_bos_) ids.push_back(256);
    for (size_t i = 0; i < text.size(); ++i) {
      if (options.parse_special && text.substr(i, 3) == "<s>") {
        ids.push_back(256);
        i += 2;
      } else {
        ids.push_back(static_cast<unsigned char>(text[i]));
      }
    }
    return ids;
  }
  std::string decode(std::span<const int32_t> ids, bool skip_special = false) const override {
    std::string text;
    for (const int32_t id : ids) {
      if (id < 256)
        text += static_cast<char>(id);
      else if (!skip_special)
        text += piece(id);
    }
    return text;
  }
  std::string piece(int32_t id) const override {
    return id == 256 ? "<s>" : id == 257 ? "</s>" : std::string(1, static_cast<char>(id));
  }
  int64_t vocab_size() const override { return 258; }
};

}  // namespace qbench::testing_support
