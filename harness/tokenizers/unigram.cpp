#include "harness/tokenizers/unigram.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "harness/core/errors.h"
#include "harness/tokenizers/unicode.h"

namespace qbench::tokenizers {
namespace {

constexpr double kUnkPenalty = 10.0;  // below the least probable token, as in SentencePiece

}  // namespace

UnigramModel::UnigramModel(Vocabulary vocabulary, std::vector<double> scores, int32_t unk, bool byte_fallback)
    : vocabulary_(std::move(vocabulary)),
      scores_(std::move(scores)),
      unk_(unk),
      byte_fallback_(byte_fallback) {
  QB_CHECK(scores_.size() == static_cast<size_t>(vocabulary_.id_limit()), "one score per token");
  for (int32_t id = 0; id < vocabulary_.id_limit(); ++id)
    trie_.add(vocabulary_.text(id), static_cast<size_t>(id));
  unk_score_ = *std::min_element(scores_.begin(), scores_.end()) - kUnkPenalty;
  for (size_t byte = 0; byte < 256; ++byte)
    byte_ids_[byte] = vocabulary_.find(fmt::format("<0x{:02X}>", byte));
}

/// Fills work.symbols: for each byte position, the token that ends there on the best path and where it
/// starts.
void UnigramModel::find_best_path(std::string_view piece, Workspace& work) const {
  work.scores.assign(piece.size() + 1, 0.0);
  work.symbols.assign(piece.size() + 1, {Vocabulary::kNone, -1, -1});
  for (size_t begin = 0; begin < piece.size();) {
    const size_t character = utf8_length(piece[begin]);
    const auto reach = [&](size_t end, int32_t id, double token_score) {
      const double score = work.scores[begin] + token_score;
      Workspace::Symbol& node = work.symbols[end];
      if (node.previous >= 0 && score <= work.scores[end]) return;
      node = {id, static_cast<int32_t>(begin), -1};
      work.scores[end] = score;
    };
    bool single = false;
    trie_.for_each_prefix(piece.substr(begin), [&](size_t length, size_t id) {
      single = single || length == character;
      reach(begin + length, static_cast<int32_t>(id), scores_[id]);
    });
    if (!single) reach(begin + character, unk_, unk_score_);
    begin += character;
  }
}

void UnigramModel::append_token(std::string_view run, std::vector<int32_t>& out) const {
  if (const int32_t id = vocabulary_.find(run); id != Vocabulary::kNone) {
    out.push_back(id);
    return;
  }
  const auto known = [&](char byte) {
    return byte_ids_[static_cast<unsigned char>(byte)] != Vocabulary::kNone;
  };
  if (byte_fallback_ && std::all_of(run.begin(), run.end(), known)) {
    for (const char byte : run) out.push_back(byte_ids_[static_cast<unsigned char>(byte)]);
    return;
  }
  if (unk_ == Vocabulary::kNone) {
    throw DataError(
        fmt::format("unigram tokenizer: \"{}\" has no token, and the tokenizer has no unk token", run));
  }
  out.push_back(unk_);
}

void UnigramModel::tokenize(std::string_view piece, Workspace& work, std::vector<int32_t>& out) const {
  if (piece.empty() || work.cache.lookup(piece, out)) return;
  find_best_path(piece, work);
  std::vector<Range> path;  // last token first; neighbouring unknowns as one
  bool in_unknown = false;
  for (size_t end = piece.size(); end > 0;) {
    const Workspace::Symbol& node = work.symbols[end];
    const auto begin = static_cast<size_t>(node.previous);
    const bool unknown = node.id == unk_;
    if (unknown && in_unknown) {
      path.back().begin = begin;
    } else {
      path.push_back({begin, end});
    }
    in_unknown = unknown;
    end = begin;
  }
  work.ids.clear();
  for (auto part = path.rbegin(); part != path.rend(); ++part) {
    append_token(piece.substr(part->begin, part->end - part->begin), work.ids);
  }
  work.cache.remember(piece, work.ids.data(), work.ids.size());
  out.insert(out.end(), work.ids.begin(), work.ids.end());
}

}  // namespace qbench::tokenizers
