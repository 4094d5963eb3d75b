#include "harness/tokenizers/bpe.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <utility>

#include "harness/core/errors.h"
#include "harness/tokenizers/unicode.h"

namespace qbench::tokenizers {
namespace {

constexpr std::string_view kMarker = "\xE2\x96\x81";  // ▁, SentencePiece's visible space
constexpr size_t kShortWord = 96;                     // symbols up to which a linear scan beats a heap

std::array<char32_t, 256> build_byte_alphabet() {
  std::array<char32_t, 256> alphabet{};
  char32_t stand_in = 256;
  for (size_t byte = 0; byte < 256; ++byte) {
    const bool printable = (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
    alphabet[byte] = printable ? static_cast<char32_t>(byte) : stand_in++;
  }
  return alphabet;
}

std::array<int16_t, 0x144> build_alphabet_bytes() {
  std::array<int16_t, 0x144> bytes{};
  bytes.fill(-1);
  for (size_t byte = 0; byte < 256; ++byte) bytes[byte_alphabet()[byte]] = static_cast<int16_t>(byte);
  return bytes;
}

/// Candidates pop lowest rank first, then leftmost.
bool pops_later(const Workspace::Candidate& a, const Workspace::Candidate& b) {
  return a.rank != b.rank ? a.rank > b.rank : a.position > b.position;
}

}  // namespace

const std::array<char32_t, 256>& byte_alphabet() {
  static const std::array<char32_t, 256> alphabet = build_byte_alphabet();
  return alphabet;
}

std::optional<std::string> bytes_of_alphabet(std::string_view text) {
  static const std::array<int16_t, 0x144> bytes = build_alphabet_bytes();
  std::string out;
  out.reserve(text.size());
  for (size_t pos = 0; pos < text.size();) {
    const char32_t c = next_code_point(text, pos);
    if (c >= bytes.size() || bytes[c] < 0) return std::nullopt;
    out.push_back(static_cast<char>(bytes[c]));
  }
  return out;
}

std::string alphabet_of_bytes(std::string_view bytes) {
  std::string out;
  out.reserve(bytes.size() * 2);
  for (const char byte : bytes) append_utf8(out, byte_alphabet()[static_cast<unsigned char>(byte)]);
  return out;
}

BpeModel::BpeModel(Vocabulary vocabulary, MergeTable merges, BpeOptions options)
    : vocabulary_(std::move(vocabulary)), merges_(std::move(merges)), options_(std::move(options)) {
  byte_ids_.fill(Vocabulary::kNone);
  for (size_t byte = 0; byte < 256; ++byte) {
    std::string text;
    if (options_.raw_bytes) {
      append_utf8(text, byte_alphabet()[byte]);
    } else {
      text = fmt::format("<0x{:02X}>", byte);
    }
    byte_ids_[byte] = vocabulary_.find(text);
  }
  if (options_.raw_bytes && options_.ignore_merges) {
    for (int32_t id = 0; id < vocabulary_.id_limit(); ++id) {
      if (!vocabulary_.has(id)) continue;
      if (const auto bytes = bytes_of_alphabet(vocabulary_.text(id))) raw_words_.add(*bytes, id);
    }
  }
  cut_at_marker_ = marker_starts_words();
}

/// True if no merge produces a token with a "▁" behind another character. Then every such "▁" starts a word
/// that nothing can merge across, and a text without any other pre-tokenization may be worked on word by
/// word, with the same result.
bool BpeModel::marker_starts_words() const {
  if (options_.raw_bytes || options_.ignore_merges || !options_.continuing_prefix.empty() ||
      !options_.end_suffix.empty() || vocabulary_.find(kMarker) == Vocabulary::kNone) {
    return false;
  }
  bool safe = true;
  merges_.for_each([&](int32_t, int32_t, const Merge& merge) {
    const std::string_view text = vocabulary_.text(merge.id);
    for (size_t at = text.find(kMarker, 1); at != std::string_view::npos; at = text.find(kMarker, at + 1)) {
      if (!text.substr(0, at).ends_with(kMarker)) safe = false;
    }
  });
  return safe;
}

std::unique_ptr<BpeModel> BpeModel::from_scores(Vocabulary vocabulary, const std::vector<float>& scores,
                                                const std::vector<bool>& mergeable, BpeOptions options) {
  std::vector<float> order(scores);
  std::sort(order.begin(), order.end(), std::greater<>());
  order.erase(std::unique(order.begin(), order.end()), order.end());
  Vocabulary stand_ins;
  const int32_t limit = vocabulary.id_limit();
  const auto id_of = [&](std::string_view part) {
    const int32_t id = vocabulary.find(part);
    if (id != Vocabulary::kNone) return mergeable[static_cast<size_t>(id)] ? id : Vocabulary::kNone;
    if (part.size() != utf8_length(part[0])) return Vocabulary::kNone;
    const int32_t next = static_cast<int32_t>(stand_ins.count());
    return limit + (stand_ins.add(part, next) ? next : stand_ins.find(part));
  };
  MergeTable merges;
  merges.reserve(scores.size() * 4);
  for (int32_t id = 0; id < limit; ++id) {
    if (!vocabulary.has(id) || !mergeable[static_cast<size_t>(id)]) continue;
    const std::string text(vocabulary.text(id));
    const float score = scores[static_cast<size_t>(id)];
    const auto rank = std::lower_bound(order.begin(), order.end(), score, std::greater<>()) - order.begin();
    for (size_t cut = utf8_length(text[0]); cut < text.size(); cut += utf8_length(text[cut])) {
      const std::string_view view(text);
      const int32_t left = id_of(view.substr(0, cut));
      const int32_t right = left == Vocabulary::kNone ? left : id_of(view.substr(cut));
      if (right != Vocabulary::kNone) merges.add(left, right, {static_cast<uint32_t>(rank), id});
    }
  }
  auto model = std::make_unique<BpeModel>(std::move(vocabulary), std::move(merges), std::move(options));
  model->stand_ins_ = std::move(stand_ins);
  return model;
}

void BpeModel::tokenize(std::string_view piece, Workspace& work, std::vector<int32_t>& out) const {
  if (!cut_at_marker_) return tokenize_word(piece, work, out);
  size_t begin = 0;
  for (size_t at = piece.find(kMarker, 1); at != std::string_view::npos;
       at = piece.find(kMarker, at + kMarker.size())) {
    if (piece.substr(0, at).ends_with(kMarker)) continue;
    tokenize_word(piece.substr(begin, at - begin), work, out);
    begin = at;
  }
  tokenize_word(piece.substr(begin), work, out);
}

void BpeModel::tokenize_word(std::string_view word, Workspace& work, std::vector<int32_t>& out) const {
  if (word.empty()) return;
  const bool cached = word.size() <= WordCache::kMaxWordBytes;
  if (cached && work.cache.lookup(word, out)) return;
  work.ids.clear();
  if (const int32_t id = whole_word(word); id != Vocabulary::kNone) {
    work.ids.push_back(id);
  } else {
    start_symbols(word, work);
    if (work.ids.size() <= kShortWord) {
      merge_short(work);
    } else {
      merge_long(work);
    }
    if (stand_ins_.count() > 0) replace_stand_ins(work.ids);
  }
  if (cached) work.cache.remember(word, work.ids.data(), work.ids.size());
  out.insert(out.end(), work.ids.begin(), work.ids.end());
}

int32_t BpeModel::whole_word(std::string_view word) const {
  if (!options_.ignore_merges) return Vocabulary::kNone;
  return (options_.raw_bytes ? raw_words_ : vocabulary_).find(word);
}

void BpeModel::start_symbols(std::string_view word, Workspace& work) const {
  if (!options_.raw_bytes) return start_characters(word, work.ids);
  for (const char byte : word) {
    const int32_t id = byte_ids_[static_cast<unsigned char>(byte)];
    if (id != Vocabulary::kNone)
      work.ids.push_back(id);  // a byte without a token leaves no trace, as in the reference
  }
}

bool BpeModel::append_bytes(std::string_view character, std::vector<int32_t>& ids) const {
  const auto known = [&](char byte) {
    return byte_ids_[static_cast<unsigned char>(byte)] != Vocabulary::kNone;
  };
  if (!std::all_of(character.begin(), character.end(), known)) return false;
  for (const char byte : character) ids.push_back(byte_ids_[static_cast<unsigned char>(byte)]);
  return true;
}

void BpeModel::start_characters(std::string_view word, std::vector<int32_t>& ids) const {
  bool unk_waits = false;  // a fused unk is put down when the run of unknown characters ends
  std::string decorated;
  for (size_t pos = 0; pos < word.size();) {
    const size_t length = utf8_length(word[pos]);
    std::string_view character = word.substr(pos, length);
    const bool first = pos == 0;
    pos += length;
    if ((!first && !options_.continuing_prefix.empty()) ||
        (pos == word.size() && !options_.end_suffix.empty())) {
      decorated = (first ? "" : options_.continuing_prefix) + std::string(character);
      if (pos == word.size()) decorated += options_.end_suffix;
      character = decorated;
    }
    int32_t id = vocabulary_.find(character);
    if (id == Vocabulary::kNone && stand_ins_.count() > 0) {
      id = stand_ins_.find(character);
      if (id != Vocabulary::kNone) id += vocabulary_.id_limit();
    }
    if (id != Vocabulary::kNone) {
      if (std::exchange(unk_waits, false)) ids.push_back(options_.unk);
      ids.push_back(id);
    } else if (!(options_.byte_fallback && append_bytes(character, ids)) &&
               options_.unk != Vocabulary::kNone) {
      if (unk_waits && !options_.fuse_unk) ids.push_back(options_.unk);
      unk_waits = true;
    }
  }
  if (unk_waits) ids.push_back(options_.unk);
}

void BpeModel::replace_stand_ins(std::vector<int32_t>& ids) const {
  const int32_t limit = vocabulary_.id_limit();
  if (std::none_of(ids.begin(), ids.end(), [&](int32_t id) { return id >= limit; })) return;
  std::vector<int32_t> replaced;
  for (const int32_t id : ids) {
    if (id < limit) {
      replaced.push_back(id);
    } else if (!append_bytes(stand_ins_.text(id - limit), replaced) && options_.unk != Vocabulary::kNone) {
      replaced.push_back(options_.unk);
    }
  }
  ids = std::move(replaced);
}

/// For a word of some tens of symbols: look for the best pair along the whole word each time.
void BpeModel::merge_short(Workspace& work) const {
  std::vector<int32_t>& ids = work.ids;
  std::vector<Merge>& merges = work.merges;  // merges[i]: of ids[i] and ids[i + 1]
  size_t n = ids.size();
  if (n < 2) return;
  merges.resize(n);
  for (size_t i = 0; i + 1 < n; ++i) merges[i] = merges_.find(ids[i], ids[i + 1]);
  while (n > 1) {
    size_t best = 0;
    for (size_t i = 1; i + 1 < n; ++i) {
      if (merges[i].rank < merges[best].rank) best = i;
    }
    if (merges[best].rank == Merge::kNoRank) break;
    ids[best] = merges[best].id;
    std::copy(ids.begin() + static_cast<int64_t>(best) + 2, ids.begin() + static_cast<int64_t>(n),
              ids.begin() + static_cast<int64_t>(best) + 1);
    std::copy(merges.begin() + static_cast<int64_t>(best) + 1, merges.begin() + static_cast<int64_t>(n) - 1,
              merges.begin() + static_cast<int64_t>(best));
    --n;
    if (best > 0) merges[best - 1] = merges_.find(ids[best - 1], ids[best]);
    if (best + 1 < n) merges[best] = merges_.find(ids[best], ids[best + 1]);
  }
  ids.resize(n);
}

void BpeModel::push_candidate(Workspace& work, int32_t left) const {
  if (left < 0 || work.symbols[static_cast<size_t>(left)].next < 0) return;
  const Workspace::Symbol& a = work.symbols[static_cast<size_t>(left)];
  const int32_t right_id = work.symbols[static_cast<size_t>(a.next)].id;
  const Merge merge = merges_.find(a.id, right_id);
  if (merge.rank == Merge::kNoRank) return;
  work.heap.push_back({merge.rank, left, a.id, right_id, merge.id});
  std::push_heap(work.heap.begin(), work.heap.end(), pops_later);
}

/// For long pieces: a heap of candidates over a linked list; a candidate whose symbols have changed is stale.
void BpeModel::merge_long(Workspace& work) const {
  const auto n = static_cast<int32_t>(work.ids.size());
  work.symbols.resize(work.ids.size());
  for (int32_t i = 0; i < n; ++i)
    work.symbols[static_cast<size_t>(i)] = {work.ids[static_cast<size_t>(i)], i - 1, i + 1 < n ? i + 1 : -1};
  work.heap.clear();
  for (int32_t i = 0; i + 1 < n; ++i) push_candidate(work, i);
  while (!work.heap.empty()) {
    std::pop_heap(work.heap.begin(), work.heap.end(), pops_later);
    const Workspace::Candidate best = work.heap.back();
    work.heap.pop_back();
    Workspace::Symbol& left = work.symbols[static_cast<size_t>(best.position)];
    if (left.id != best.left || left.next < 0) continue;
    Workspace::Symbol& right = work.symbols[static_cast<size_t>(left.next)];
    if (right.id != best.right) continue;
    left.id = best.merged;
    right.id = Vocabulary::kNone;
    left.next = right.next;
    if (right.next >= 0) work.symbols[static_cast<size_t>(right.next)].previous = best.position;
    push_candidate(work, left.previous);
    push_candidate(work, best.position);
  }
  work.ids.clear();
  for (int32_t i = 0; i >= 0; i = work.symbols[static_cast<size_t>(i)].next)
    work.ids.push_back(work.symbols[static_cast<size_t>(i)].id);
}

}  // namespace qbench::tokenizers
