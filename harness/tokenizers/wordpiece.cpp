#include "harness/tokenizers/wordpiece.h"

#include <algorithm>
#include <utility>

#include "harness/tokenizers/unicode.h"

namespace qbench::tokenizers {

WordPieceModel::WordPieceModel(Vocabulary vocabulary, int32_t unk, std::string prefix,
                               int64_t most_characters)
    : vocabulary_(std::move(vocabulary)),
      unk_(unk),
      prefix_(std::move(prefix)),
      most_characters_(most_characters) {
  for (int32_t id = 0; id < vocabulary_.id_limit(); ++id) {
    if (vocabulary_.has(id)) longest_ = std::max(longest_, vocabulary_.text(id).size());
  }
}

bool WordPieceModel::cut(std::string_view word, std::vector<int32_t>& ids) const {
  std::string token;
  for (size_t begin = 0; begin < word.size();) {
    int32_t id = Vocabulary::kNone;
    size_t end = begin + std::min(word.size() - begin, longest_);
    const auto cuts_character = [&] {
      return end < word.size() && (static_cast<unsigned char>(word[end]) & 0xC0U) == 0x80U;
    };
    for (; end > begin; --end) {
      if (cuts_character()) continue;
      token = begin > 0 ? prefix_ : "";
      token += word.substr(begin, end - begin);
      id = vocabulary_.find(token);
      if (id != Vocabulary::kNone) break;
    }
    if (id == Vocabulary::kNone) return false;
    ids.push_back(id);
    begin = end;
  }
  return true;
}

void WordPieceModel::tokenize(std::string_view piece, Workspace& work, std::vector<int32_t>& out) const {
  if (piece.empty() || work.cache.lookup(piece, out)) return;
  const auto characters = std::count_if(
      piece.begin(), piece.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U; });
  work.ids.clear();
  if (characters > most_characters_ || !cut(piece, work.ids)) work.ids = {unk_};
  work.cache.remember(piece, work.ids.data(), work.ids.size());
  out.insert(out.end(), work.ids.begin(), work.ids.end());
}

}  // namespace qbench::tokenizers
