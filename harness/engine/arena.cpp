#include "harness/engine/arena.h"

#include <sys/mman.h>

#include <algorithm>
#include <mutex>
#include <new>
#include <utility>

namespace qbench::engine {
namespace {

constexpr size_t kPiece = size_t{2} << 20;  // also the size of a huge page
constexpr size_t kLine = 64;
constexpr size_t kLargestKept = size_t{256} << 20;

struct Pool {
  std::mutex mutex;
  std::vector<std::unique_ptr<Arena>> free;
};

Pool& pool() {
  static Pool instance;
  return instance;
}

size_t round_up(size_t value, size_t unit) { return (value + unit - 1) / unit * unit; }

}  // namespace

Arena::~Arena() {
  for (const Piece& piece : pieces_) munmap(piece.data, piece.size);
}

void Arena::map(size_t bytes) {
  const size_t size = round_up(bytes, kPiece);
  void* data = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (data == MAP_FAILED) throw std::bad_alloc();
  madvise(data, size, MADV_HUGEPAGE);  // a hint; whether it is taken does not matter
  pieces_.push_back({static_cast<std::byte*>(data), size});
  used_ = 0;
}

float* Arena::floats(int64_t count) {
  const size_t bytes = round_up(static_cast<size_t>(std::max<int64_t>(count, 1)) * sizeof(float), kLine);
  if (pieces_.empty() || used_ + bytes > pieces_.back().size) map(bytes);
  std::byte* data = pieces_.back().data + used_;
  used_ += bytes;
  return reinterpret_cast<float*>(data);
}

void Arena::reset() {
  if (pieces_.size() > 1) {
    const size_t total = mapped();
    for (const Piece& piece : pieces_) munmap(piece.data, piece.size);
    pieces_.clear();
    map(total);
  }
  used_ = 0;
}

size_t Arena::mapped() const {
  size_t total = 0;
  for (const Piece& piece : pieces_) total += piece.size;
  return total;
}

ArenaLease::ArenaLease() {
  const std::lock_guard lock(pool().mutex);
  if (pool().free.empty()) {
    arena_ = std::make_unique<Arena>();
  } else {
    arena_ = std::move(pool().free.back());
    pool().free.pop_back();
  }
}

ArenaLease::~ArenaLease() {
  arena_->reset();
  if (arena_->mapped() > kLargestKept)
    return;  // an unusually long sequence: its memory goes back to the system
  const std::lock_guard lock(pool().mutex);
  pool().free.push_back(std::move(arena_));
}

}  // namespace qbench::engine
