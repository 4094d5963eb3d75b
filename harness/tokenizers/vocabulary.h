// Flat hash tables of the tokenizers: text <-> id, and (left, right) -> merge.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace qbench::tokenizers {

/// Largest id a tokenizer file may use: keeps a hostile file from asking for gigabytes.
inline constexpr int64_t kMaxTokenId = (int64_t{1} << 24) - 1;

inline uint64_t mix_bits(uint64_t value) {
  value ^= value >> 32;
  value *= 0x9E3779B97F4A7C15ULL;
  return value ^ value >> 29;
}

inline uint64_t hash_text(std::string_view text) {
  uint64_t hash = 0x243F6A8885A308D3ULL ^ text.size();
  const char* data = text.data();
  size_t left = text.size();
  for (; left >= 8; data += 8, left -= 8) {
    uint64_t word;
    std::memcpy(&word, data, 8);
    hash = mix_bits(hash ^ word) * 0xD6E8FEB86659FD93ULL;
  }
  uint64_t tail = 0;
  for (size_t i = 0; i < left; ++i)
    tail |= static_cast<uint64_t>(static_cast<unsigned char>(data[i])) << (8 * i);
  return mix_bits(hash ^ tail);
}

/// Token texts by id and back. Texts live in one block; views stay valid until the next add().
class Vocabulary {
 public:
  static constexpr int32_t kNone = -1;

  void reserve(size_t tokens, size_t bytes);
  /// @return false, changing nothing, if the text or the id is taken.
  bool add(std::string_view text, int32_t id);
  /// The id of `text`, or kNone.
  int32_t find(std::string_view text) const;
  bool has(int64_t id) const;
  std::string_view text(int32_t id) const;  ///< `id` must be in use
  /// Largest id + 1; ids below it may be unused.
  int32_t id_limit() const { return static_cast<int32_t>(entries_.size()); }
  size_t count() const { return count_; }

 private:
  struct Entry {
    size_t offset = 0;
    uint32_t length = 0;
    bool used = false;
  };
  void grow(size_t slots);

  std::string block_;
  std::vector<Entry> entries_;  // by id
  std::vector<int32_t> slots_;  // open addressing, kNone = free
  size_t count_ = 0;
};

struct Merge {
  uint32_t rank = kNoRank;
  int32_t id = -1;  ///< token that the pair becomes
  static constexpr uint32_t kNoRank = UINT32_MAX;
};

/// (left id, right id) -> rank and result. Lower ranks merge first.
class MergeTable {
 public:
  void reserve(size_t merges);
  /// A later merge of the same pair replaces an earlier one.
  void add(int32_t left, int32_t right, Merge merge);
  Merge find(int32_t left, int32_t right) const {
    if (slots_.empty()) return {};
    const uint64_t key = pack(left, right);
    for (size_t i = mix_bits(key) & mask_;; i = (i + 1) & mask_) {
      const Slot& slot = slots_[i];
      if (slot.key == key) return slot.merge;
      if (slot.key == kFree) return {};
    }
  }
  size_t count() const { return count_; }
  /// Calls visit(left, right, merge) for every merge, in no particular order.
  template <class Visit>
  void for_each(const Visit& visit) const {
    for (const Slot& slot : slots_) {
      if (slot.key != kFree)
        visit(static_cast<int32_t>(slot.key >> 32), static_cast<int32_t>(slot.key), slot.merge);
    }
  }

 private:
  struct Slot {
    uint64_t key;
    Merge merge;
  };
  static constexpr uint64_t kFree = UINT64_MAX;
  static uint64_t pack(int32_t left, int32_t right) {
    return static_cast<uint64_t>(static_cast<uint32_t>(left)) << 32 | static_cast<uint32_t>(right);
  }
  void grow(size_t slots);

  std::vector<Slot> slots_;
  size_t mask_ = 0;
  size_t count_ = 0;
};

/// Remembers the ids of words. Bounded: full, it stops learning but goes on answering.
class WordCache {
 public:
  /// The remembered ids are appended to `out`. @return false if the word is not known.
  bool lookup(std::string_view word, std::vector<int32_t>& out) const;
  void remember(std::string_view word, const int32_t* ids, size_t count);

  static constexpr size_t kMaxWordBytes = 128;

 private:
  struct Slot {
    uint64_t hash = 0;
    uint32_t text = 0, ids = 0;
    uint16_t length = 0, count = 0;
    bool used = false;
  };
  static constexpr size_t kFirstSlots = size_t{1} << 10;
  static constexpr size_t kMaxWords = size_t{1} << 16;
  void place(const Slot& slot);
  void grow();

  std::vector<Slot> slots_;
  std::string text_;
  std::vector<int32_t> ids_;
  size_t words_ = 0;
};

}  // namespace qbench::tokenizers
