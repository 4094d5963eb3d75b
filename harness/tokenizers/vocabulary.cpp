#include "harness/tokenizers/vocabulary.h"

#include <bit>

#include "harness/core/errors.h"

namespace qbench::tokenizers {

void Vocabulary::reserve(size_t tokens, size_t bytes) {
  entries_.reserve(tokens);
  block_.reserve(bytes);
  if (slots_.size() < tokens * 2) grow(std::bit_ceil(tokens * 2 + 16));
}

void Vocabulary::grow(size_t slots) {
  slots_.assign(slots, kNone);
  const size_t mask = slots - 1;
  for (size_t id = 0; id < entries_.size(); ++id) {
    if (!entries_[id].used) continue;
    size_t i = hash_text(text(static_cast<int32_t>(id))) & mask;
    while (slots_[i] != kNone) i = (i + 1) & mask;
    slots_[i] = static_cast<int32_t>(id);
  }
}

bool Vocabulary::add(std::string_view text, int32_t id) {
  QB_CHECK(id >= 0 && id <= kMaxTokenId, "token id out of range");
  if (has(id)) return false;
  if (slots_.size() < (count_ + 1) * 2) grow(std::bit_ceil((count_ + 8) * 4));
  const size_t mask = slots_.size() - 1;
  size_t i = hash_text(text) & mask;
  for (; slots_[i] != kNone; i = (i + 1) & mask) {
    if (this->text(slots_[i]) == text) return false;
  }
  slots_[i] = id;
  if (static_cast<size_t>(id) >= entries_.size()) entries_.resize(static_cast<size_t>(id) + 1);
  entries_[static_cast<size_t>(id)] = {block_.size(), static_cast<uint32_t>(text.size()), true};
  block_.append(text);
  ++count_;
  return true;
}

int32_t Vocabulary::find(std::string_view text) const {
  if (slots_.empty()) return kNone;
  const size_t mask = slots_.size() - 1;
  for (size_t i = hash_text(text) & mask; slots_[i] != kNone; i = (i + 1) & mask) {
    if (this->text(slots_[i]) == text) return slots_[i];
  }
  return kNone;
}

bool Vocabulary::has(int64_t id) const {
  return id >= 0 && id < static_cast<int64_t>(entries_.size()) && entries_[static_cast<size_t>(id)].used;
}

std::string_view Vocabulary::text(int32_t id) const {
  const Entry& entry = entries_[static_cast<size_t>(id)];
  return std::string_view(block_).substr(entry.offset, entry.length);
}

void MergeTable::reserve(size_t merges) {
  if (slots_.size() < merges * 2) grow(std::bit_ceil(merges * 2 + 16));
}

void MergeTable::grow(size_t slots) {
  std::vector<Slot> old(slots, Slot{kFree, {}});
  old.swap(slots_);
  mask_ = slots - 1;
  for (const Slot& slot : old) {
    if (slot.key == kFree) continue;
    size_t i = mix_bits(slot.key) & mask_;
    while (slots_[i].key != kFree) i = (i + 1) & mask_;
    slots_[i] = slot;
  }
}

void MergeTable::add(int32_t left, int32_t right, Merge merge) {
  if (slots_.size() < (count_ + 1) * 2) grow(std::bit_ceil((count_ + 8) * 4));
  const uint64_t key = pack(left, right);
  size_t i = mix_bits(key) & mask_;
  while (slots_[i].key != kFree && slots_[i].key != key) i = (i + 1) & mask_;
  if (slots_[i].key == kFree) ++count_;
  slots_[i] = {key, merge};
}

bool WordCache::lookup(std::string_view word, std::vector<int32_t>& out) const {
  if (slots_.empty()) return false;
  const uint64_t hash = hash_text(word);
  const size_t mask = slots_.size() - 1;
  for (size_t i = hash & mask; slots_[i].used; i = (i + 1) & mask) {
    const Slot& slot = slots_[i];
    if (slot.hash != hash || std::string_view(text_).substr(slot.text, slot.length) != word) continue;
    out.insert(out.end(), ids_.begin() + slot.ids, ids_.begin() + slot.ids + slot.count);
    return true;
  }
  return false;
}

void WordCache::place(const Slot& slot) {
  const size_t mask = slots_.size() - 1;
  size_t i = slot.hash & mask;
  while (slots_[i].used) i = (i + 1) & mask;
  slots_[i] = slot;
}

void WordCache::grow() {
  std::vector<Slot> old(slots_.empty() ? kFirstSlots : slots_.size() * 2);
  old.swap(slots_);
  for (const Slot& slot : old) {
    if (slot.used) place(slot);
  }
}

void WordCache::remember(std::string_view word, const int32_t* ids, size_t count) {
  if (word.size() > kMaxWordBytes || words_ >= kMaxWords) return;
  if (words_ * 2 >= slots_.size()) grow();
  place({hash_text(word), static_cast<uint32_t>(text_.size()), static_cast<uint32_t>(ids_.size()),
         static_cast<uint16_t>(word.size()), static_cast<uint16_t>(count), true});
  text_.append(word);
  ids_.insert(ids_.end(), ids, ids + count);
  ++words_;
}

}  // namespace qbench::tokenizers
