// Scratch memory that stays mapped: large temporaries are taken from an arena instead of being page-faulted
// in anew.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

namespace qbench::engine {

class Arena {
 public:
  Arena() = default;
  ~Arena();
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;

  /// Uninitialised floats, aligned to a cache line, valid until reset(). @throws std::bad_alloc.
  float* floats(int64_t count);
  /// Takes everything back; the memory is kept (as one piece) for the next round.
  void reset();
  /// Bytes mapped.
  size_t mapped() const;

 private:
  struct Piece {
    std::byte* data;
    size_t size;
  };
  void map(size_t bytes);
  std::vector<Piece> pieces_;
  size_t used_ = 0;  // of the last piece
};

/// An arena out of the process-wide pool, empty; goes back when the lease ends.
class ArenaLease {
 public:
  ArenaLease();
  ~ArenaLease();
  ArenaLease(const ArenaLease&) = delete;
  ArenaLease& operator=(const ArenaLease&) = delete;
  Arena& operator*() const { return *arena_; }
  Arena* operator->() const { return arena_.get(); }

 private:
  std::unique_ptr<Arena> arena_;
};

}  // namespace qbench::engine
