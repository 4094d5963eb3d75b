#include "harness/tokenizers/pipeline.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "harness/core/errors.h"
#include "harness/tokenizers/bpe.h"
#include "harness/tokenizers/unicode.h"

namespace qbench::tokenizers {

void check_text(std::string_view text) {
  constexpr size_t kMostBytes =
      size_t{1} << 29;  // symbol indices and ICU lengths are 32 bits, and stages may lengthen a text
  if (text.size() > kMostBytes) {
    throw DataError(
        fmt::format("text of {} bytes: expected at most {}; encode it in parts", text.size(), kMostBytes));
  }
  if (const size_t at = find_invalid_utf8(text); at != std::string_view::npos) {
    throw DataError(
        fmt::format("text to encode: byte {} (0x{:02X}) is not valid UTF-8; convert the text to UTF-8", at,
                    static_cast<unsigned>(static_cast<unsigned char>(text[at]))));
  }
}

class PipelineTokenizer::Lease {
 public:
  explicit Lease(const PipelineTokenizer& owner) : owner_(owner) {
    const std::lock_guard lock(owner_.mutex_);
    if (!owner_.idle_.empty()) {
      work_ = std::move(owner_.idle_.back());
      owner_.idle_.pop_back();
    }
    if (!work_) work_ = std::make_unique<Workspace>();
  }
  ~Lease() {
    const std::lock_guard lock(owner_.mutex_);
    owner_.idle_.push_back(std::move(work_));
  }
  Lease(const Lease&) = delete;
  Lease& operator=(const Lease&) = delete;
  Workspace& operator*() { return *work_; }

 private:
  const PipelineTokenizer& owner_;
  std::unique_ptr<Workspace> work_;
};

PipelineTokenizer::PipelineTokenizer(PipelineParts parts)
    : parts_(std::move(parts)), added_(std::move(parts_.added), parts_.normalizer.get()) {
  bos_ = parts_.bos;
  eos_ = parts_.eos;
  unk_ = parts_.unk;
  hash_ = parts_.hash;
  adds_bos_ = bos_ && !parts_.frame.before.empty() && parts_.frame.before.front() == *bos_;
  adds_eos_ = eos_ && !parts_.frame.after.empty() && parts_.frame.after.back() == *eos_;
  vocab_size_ = parts_.model->vocabulary().id_limit();
  for (size_t i = 0; i < added_.tokens().size(); ++i) {
    const AddedToken& token = added_.tokens()[i];
    vocab_size_ = std::max<int64_t>(vocab_size_, token.id + 1);
    if (static_cast<size_t>(token.id) >= added_index_.size())
      added_index_.resize(static_cast<size_t>(token.id) + 1, -1);
    added_index_[static_cast<size_t>(token.id)] = static_cast<int32_t>(i);
    if (token.special) special_ids_.push_back(token.id);
  }
  std::sort(special_ids_.begin(), special_ids_.end());
}

std::vector<int32_t> PipelineTokenizer::encode(std::string_view text, EncodeOptions options) const {
  check_text(text);
  std::vector<int32_t> ids;
  ids.reserve(text.size() / 3 + 8);
  if (options.add_special) ids = parts_.frame.before;
  Lease work(*this);
  std::vector<Section> sections;
  added_.cut_raw(text, options.parse_special, sections);
  for (const Section& section : sections) {
    if (section.id != Vocabulary::kNone) {
      ids.push_back(section.id);
    } else {
      encode_section(text.substr(section.begin, section.end - section.begin), section.begin == 0,
                     options.parse_special, *work, ids);
    }
  }
  if (options.add_special) ids.insert(ids.end(), parts_.frame.after.begin(), parts_.frame.after.end());
  return ids;
}

void PipelineTokenizer::encode_section(std::string_view text, bool at_start, bool special, Workspace& work,
                                       std::vector<int32_t>& out) const {
  std::string normalized;
  if (parts_.normalizer) {
    normalized = parts_.normalizer->apply(text);
    text = normalized;
  }
  std::vector<Section> sections;
  added_.cut_normalized(text, special, sections);
  for (const Section& section : sections) {
    if (section.id != Vocabulary::kNone) {
      out.push_back(section.id);
    } else {
      encode_plain(text.substr(section.begin, section.end - section.begin), at_start && section.begin == 0,
                   work, out);
    }
  }
}

void PipelineTokenizer::encode_plain(std::string_view text, bool at_start, Workspace& work,
                                     std::vector<int32_t>& out) const {
  if (!parts_.pre_tokenizer) return parts_.model->tokenize(text, work, out);
  Pieces pieces;
  pieces.text = text;
  pieces.ranges = {{0, text.size()}};
  pieces.at_start = at_start;
  parts_.pre_tokenizer->apply(pieces);
  for (size_t i = 0; i < pieces.ranges.size(); ++i) parts_.model->tokenize(pieces.piece(i), work, out);
}

const std::string* PipelineTokenizer::added_text(int32_t id) const {
  if (id < 0 || static_cast<size_t>(id) >= added_index_.size() || added_index_[static_cast<size_t>(id)] < 0)
    return nullptr;
  return &added_.tokens()[static_cast<size_t>(added_index_[static_cast<size_t>(id)])].content;
}

std::string PipelineTokenizer::piece(int32_t id) const {
  if (const std::string* text = added_text(id)) return *text;
  if (parts_.model->vocabulary().has(id)) return std::string(parts_.model->vocabulary().text(id));
  throw DataError(
      fmt::format("token id {}: not in the vocabulary; expected an id below {}", id, vocab_size_));
}

std::string PipelineTokenizer::decode(std::span<const int32_t> ids, bool skip_special) const {
  std::vector<std::string> tokens;
  tokens.reserve(ids.size());
  for (const int32_t id : ids) {
    if (skip_special && std::binary_search(special_ids_.begin(), special_ids_.end(), id)) continue;
    tokens.push_back(piece(id));
  }
  if (parts_.decoder) parts_.decoder->apply(tokens);
  std::string text;
  for (size_t i = 0; i < tokens.size(); ++i) {
    if (i > 0 && !parts_.decoder) text += ' ';
    text += tokens[i];
  }
  return text;
}

std::string PipelineTokenizer::normalized(std::string_view text) const {
  return parts_.normalizer ? parts_.normalizer->apply(text) : std::string(text);
}

std::vector<std::string> PipelineTokenizer::pre_tokenized(std::string_view text) const {
  const std::string normal = normalized(text);
  Pieces pieces;
  pieces.text = normal;
  if (!normal.empty()) pieces.ranges = {{0, normal.size()}};
  if (parts_.pre_tokenizer) parts_.pre_tokenizer->apply(pieces);
  std::vector<std::string> out;
  for (size_t i = 0; i < pieces.ranges.size(); ++i) {
    out.push_back(parts_.raw_bytes ? alphabet_of_bytes(pieces.piece(i)) : std::string(pieces.piece(i)));
  }
  return out;
}

}  // namespace qbench::tokenizers
