#include "harness/tokenizers/sentencepiece_tokenizer.h"

#include <fmt/format.h>
#include <sentencepiece_processor.h>

#include <algorithm>
#include <string>
#include <utility>

#include "harness/core/errors.h"
#include "harness/core/files.h"
#include "harness/tokenizers/added_tokens.h"
#include "harness/tokenizers/unicode.h"

namespace qbench::tokenizers {
namespace {

constexpr std::string_view kMarker = "\xE2\x96\x81";

absl::string_view view(std::string_view text) { return {text.data(), text.size()}; }

void check(const sentencepiece::util::Status& status, const std::string& doing) {
  if (!status.ok()) throw DataError(fmt::format("{}: {}", doing, status.ToString()));
}

class SentencePieceTokenizer final : public Tokenizer {
 public:
  SentencePieceTokenizer(const std::filesystem::path& path, const TokenizerSettings& settings,
                         std::string hash) {
    const std::string content = read_text_file(path);
    check(processor_.LoadFromSerializedProto(view(content)),
          fmt::format("{}: not a SentencePiece model; fetch it again", path.string()));
    hash_ = std::move(hash);
    pieces_ = processor_.GetPieceSize();
    std::vector<std::string> probe;
    check(processor_.Encode(view("x"), &probe), path.string());
    dummy_prefix_ = !probe.empty() && probe.front().starts_with(kMarker);
    wrapped_ = !settings.tokenizer_class.empty();
    collect_tokens(path.string(), settings);
    set_frame(path.string(), settings);
  }

  std::vector<int32_t> encode(std::string_view text, EncodeOptions options = {}) const override {
    check_text(text);
    std::vector<int32_t> ids;
    if (options.add_special && adds_bos_) ids.push_back(*bos_);
    if (options.parse_special) {
      std::vector<Section> sections;
      added_.cut_raw(text, true, sections);
      for (const Section& section : sections) {
        if (section.id != Vocabulary::kNone) {
          ids.push_back(section.id);
        } else {
          encode_wrapped(text.substr(section.begin, section.end - section.begin), ids);
        }
      }
    } else {
      encode_plain(text, ids);
    }
    if (options.add_special && adds_eos_) ids.push_back(*eos_);
    return ids;
  }

  std::string decode(std::span<const int32_t> ids, bool skip_special = false) const override {
    std::string text;
    std::vector<int> run;
    for (const int32_t id : ids) {
      if (skip_special && std::binary_search(special_ids_.begin(), special_ids_.end(), id)) continue;
      if (id >= pieces_ && added_text(id) != nullptr) {  // the library does not know it
        flush(run, text);
        text += *added_text(id);
      } else {
        check_id(id);
        run.push_back(id);
      }
    }
    flush(run, text);
    return text;
  }

  std::string piece(int32_t id) const override {
    if (const std::string* added = added_text(id)) return *added;
    check_id(id);
    return processor_.IdToPiece(id);
  }

  int64_t vocab_size() const override { return vocab_size_; }

 private:
  void check_id(int32_t id) const {
    if (id >= 0 && id < pieces_) return;
    throw DataError(
        fmt::format("token id {}: not in the vocabulary; expected an id below {}", id, vocab_size_));
  }

  const std::string* added_text(int32_t id) const {
    for (const AddedToken& token : added_.tokens()) {
      if (token.id == id) return &token.content;
    }
    return nullptr;
  }

  void flush(std::vector<int>& run, std::string& text) const {
    if (run.empty()) return;
    if (wrapped_) spoil_broken_bytes(run);
    std::string part;
    check(processor_.Decode(run, &part), "decoding token ids");
    text += part;
    run.clear();
  }

  /// The transformers wrappers turn every byte of a run that is not UTF-8 as a whole into U+FFFD; the library
  /// alone would keep the valid parts. 0xFF is never valid, so a run of it decodes to that.
  void spoil_broken_bytes(std::vector<int>& ids) const {
    for (size_t begin = 0, end = 0; begin < ids.size(); begin = std::max(end, begin + 1)) {
      std::string bytes;
      for (end = begin; end < ids.size() && processor_.IsByte(ids[end]); ++end) {
        bytes += static_cast<char>(std::stoi(processor_.IdToPiece(ids[end]).substr(3, 2), nullptr, 16));
      }
      if (find_invalid_utf8(bytes) != std::string_view::npos) {
        std::fill(ids.begin() + static_cast<std::ptrdiff_t>(begin),
                  ids.begin() + static_cast<std::ptrdiff_t>(end), processor_.PieceToId("<0xFF>"));
      }
    }
  }

  void encode_plain(std::string_view text, std::vector<int32_t>& ids) const {
    std::vector<int> part;
    check(processor_.Encode(view(text), &part), "encoding a text");
    ids.insert(ids.end(), part.begin(), part.end());
  }

  /// The space that starts the text takes the place of the dummy prefix.
  void encode_wrapped(std::string_view text, std::vector<int32_t>& ids) const {
    if (!dummy_prefix_ || !text.starts_with(' ')) return encode_plain(text, ids);
    if (text.size() > 1) return encode_plain(text.substr(1), ids);
    const int marker = processor_.PieceToId(view(kMarker));
    if (processor_.IsUnknown(marker)) return encode_plain(text, ids);
    ids.push_back(marker);
  }

  std::optional<int32_t> id_of(const std::string& text) const {
    for (const AddedToken& token : added_.tokens()) {
      if (token.content == text) return token.id;
    }
    const int id = processor_.PieceToId(view(text));
    if (id >= 0 && id < pieces_ && processor_.IdToPiece(id) == text) return id;
    return std::nullopt;
  }

  void collect_tokens(const std::string& path, const TokenizerSettings& settings) {
    std::vector<AddedToken> tokens;
    const auto add = [&](AddedToken token) {
      const auto same = [&](const AddedToken& known) {
        return known.content == token.content || known.id == token.id;
      };
      if (std::none_of(tokens.begin(), tokens.end(), same)) tokens.push_back(std::move(token));
    };
    for (const AddedToken& token : settings.added) {
      if (token.id < pieces_ && processor_.IdToPiece(token.id) != token.content) {
        throw DataError(
            fmt::format("{}: tokenizer_config.json gives id {} to \"{}\"; the model has \"{}\" there", path,
                        token.id, token.content, processor_.IdToPiece(token.id)));
      }
      AddedToken plain = token;
      plain.normalized = false;
      add(std::move(plain));
    }
    for (const int id : {processor_.unk_id(), processor_.bos_id(), processor_.eos_id()}) {
      if (id >= 0) add({.content = processor_.IdToPiece(id), .id = id, .special = true});
    }
    vocab_size_ = pieces_;
    for (const AddedToken& token : tokens) {
      vocab_size_ = std::max<int64_t>(vocab_size_, token.id + 1);
      if (token.special) special_ids_.push_back(token.id);
    }
    for (int id = 0; id < pieces_; ++id) {
      if (processor_.IsControl(id) &&
          std::find(special_ids_.begin(), special_ids_.end(), id) == special_ids_.end()) {
        special_ids_.push_back(id);
      }
    }
    std::sort(special_ids_.begin(), special_ids_.end());
    added_ = AddedTokens(std::move(tokens), nullptr);
  }

  void set_frame(const std::string& path, const TokenizerSettings& settings) {
    const auto resolve = [&](const char* key, const std::optional<std::string>& text,
                             int own) -> std::optional<int32_t> {
      if (!text) return own >= 0 ? std::optional<int32_t>(own) : std::nullopt;
      const auto id = id_of(*text);
      if (!id)
        throw DataError(fmt::format("{}: {} \"{}\" of tokenizer_config.json is not a piece of the model",
                                    path, key, *text));
      return id;
    };
    bos_ = resolve("bos_token", settings.bos, processor_.bos_id());
    eos_ = resolve("eos_token", settings.eos, processor_.eos_id());
    unk_ = resolve("unk_token", settings.unk, processor_.unk_id());
    const bool t5 = settings.tokenizer_class.starts_with(
        "T5");  // the one class here that ends texts instead of beginning them
    adds_bos_ = settings.add_bos.value_or(!t5 && bos_.has_value());
    adds_eos_ = settings.add_eos.value_or(t5);
    if (adds_bos_ && !bos_)
      throw DataError(fmt::format("{}: add_bos_token is set, but there is no bos token", path));
    if (adds_eos_ && !eos_)
      throw DataError(fmt::format("{}: add_eos_token is set, but there is no eos token", path));
  }

  sentencepiece::SentencePieceProcessor processor_;
  AddedTokens added_;
  int pieces_ = 0;
  int64_t vocab_size_ = 0;
  bool dummy_prefix_ = false;
  bool wrapped_ = false;  ///< tokenizer_config.json names a transformers class around the library
};

}  // namespace

std::unique_ptr<Tokenizer> load_sentencepiece(const std::filesystem::path& model,
                                              const TokenizerSettings& settings, const std::string& hash) {
  return std::make_unique<SentencePieceTokenizer>(model, settings, hash);
}

}  // namespace qbench::tokenizers
