#include "harness/engine/packed_run.h"

#include <algorithm>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <utility>

#include "harness/core/errors.h"
#include "harness/engine/packing.h"
#include "harness/engine/unit_forward.h"

namespace qbench::engine {
namespace {

using kernels::kStrip;

constexpr int64_t kKeptKeyBytes = int64_t{256}
                                  << 20;  // a shared prefix whose keys need more is computed per unit

bool per_tensor_quantizers(const Model& model) {
  const auto spans_sequence = [](const ActivationQuantizer& q) { return q.enabled() && !q.per_token; };
  return std::any_of(model.blocks.begin(), model.blocks.end(), [&](const Block& block) {
    return std::any_of(block.activation.begin(), block.activation.end(), spans_sequence);
  });
}

// Keys of units that later units need; freed with the last of their readers.
class KeyExchange {
 public:
  explicit KeyExchange(const std::vector<Unit>& units)
      : stores_(units.size()), readers_(units.size()), needs_(units.size()) {
    for (size_t u = 0; u < units.size(); ++u) {
      for (const Segment& segment : units[u].segments) need_chain(units, u, segment.parent);
      for (const int32_t needed : needs_[u]) ++readers_[static_cast<size_t>(needed)];
    }
  }

  /// Waits for the key stores that unit `u` reads.
  std::vector<std::shared_ptr<KeyStore>> wait(size_t u) {
    std::unique_lock lock(mutex_);
    arrived_.wait(lock, [&] {
      return failure_ != nullptr || std::all_of(needs_[u].begin(), needs_[u].end(), [&](int32_t n) {
               return stores_[static_cast<size_t>(n)] != nullptr;
             });
    });
    if (failure_ != nullptr) std::rethrow_exception(failure_);
    std::vector<std::shared_ptr<KeyStore>> view(u);
    for (const int32_t n : needs_[u]) view[static_cast<size_t>(n)] = stores_[static_cast<size_t>(n)];
    return view;
  }

  void publish(size_t u, std::shared_ptr<KeyStore> store) {
    const std::lock_guard lock(mutex_);
    stores_[u] = std::move(store);
    arrived_.notify_all();
  }

  void done(size_t u) {
    const std::lock_guard lock(mutex_);
    for (const int32_t n : needs_[u]) {
      if (--readers_[static_cast<size_t>(n)] == 0) stores_[static_cast<size_t>(n)].reset();
    }
  }

  /// Wakes every waiting unit with the failure that makes its wait pointless.
  void fail(std::exception_ptr failure) {
    const std::lock_guard lock(mutex_);
    if (failure_ == nullptr) failure_ = std::move(failure);
    arrived_.notify_all();
  }

 private:
  void need_chain(const std::vector<Unit>& units, size_t reader, Place place) {
    for (; place.unit >= 0;
         place = units[static_cast<size_t>(place.unit)].segments[static_cast<size_t>(place.segment)].parent) {
      auto& needs = needs_[reader];
      if (place.unit != static_cast<int32_t>(reader) &&
          std::find(needs.begin(), needs.end(), place.unit) == needs.end()) {
        needs.push_back(place.unit);
      }
    }
  }

  std::mutex mutex_;
  std::condition_variable arrived_;
  std::exception_ptr failure_;
  std::vector<std::shared_ptr<KeyStore>> stores_;
  std::vector<int> readers_;
  std::vector<std::vector<int32_t>> needs_;
};

// A scored token before its hidden row is known: the token of the unit that predicts it.
struct Wanted {
  size_t request;
  int64_t index;
  int64_t token;
};

class PackedRun {
 public:
  PackedRun(const Model& model, std::span<const ScoreRequest> requests, bool isolate)
      : model_(model), requests_(requests), whole_(per_tensor_quantizers(model)) {
    std::vector<Sequence> sequences;
    int64_t tokens = 0;
    for (const ScoreRequest& request : requests) {
      sequences.push_back(sequence_of(request));
      tokens += std::ssize(sequences.back().tokens);
    }
    PackingLimits limits;
    // Enough units to keep lanes evenly busy, each large enough for the weights to be read seldom.
    limits.unit_tokens = std::clamp<int64_t>(tokens / 16, 192, 1024);
    limits.longest_trunk = kKeptKeyBytes / (KeyStore::floats_per_token(model.architecture()) * 4);
    limits.isolate = isolate || whole_;
    packing_ = pack(sequences, limits);
    wanted_.resize(packing_.units.size());
    for (size_t r = 0; r < requests.size(); ++r) want(r);
  }

  void run(const Lanes& lanes, const std::function<void(const ScoredRows&, Arena&)>& use) {
    KeyExchange keys(packing_.units);
    lanes.run(packing_.units.size(), [&](size_t unit, int) {
      try {
        run_unit(unit, keys, use);
      } catch (...) {
        keys.fail(std::current_exception());
        throw;
      }
    });
  }

 private:
  // The last token predicts nothing that is scored; it matters only where a quantizer looks at the whole
  // sequence.
  Sequence sequence_of(const ScoreRequest& request) const {
    const std::span<const int32_t> tokens = request.tokens;
    const bool nothing = std::ssize(tokens) <= request.scored_from;
    const int64_t rope = rope_length_of(model_.architecture(), std::ssize(tokens));
    return {nothing ? tokens.first(0) : tokens.first(tokens.size() - (whole_ ? 0 : 1)), rope, rope};
  }

  void want(size_t request) {
    const std::vector<Place>& path = packing_.paths[request];
    const int64_t from = requests_[request].scored_from - 1, to = std::ssize(requests_[request].tokens) - 1;
    for (const Place& place : path) {
      const Segment& s =
          packing_.units[static_cast<size_t>(place.unit)].segments[static_cast<size_t>(place.segment)];
      for (int64_t p = std::max(from, s.position); p < std::min(to, s.position + s.length); ++p) {
        wanted_[static_cast<size_t>(place.unit)].push_back({request, p - from, s.start + p - s.position});
      }
    }
  }

  void run_unit(size_t index, KeyExchange& keys, const std::function<void(const ScoredRows&, Arena&)>& use) {
    const auto earlier = keys.wait(index);
    const ArenaLease arena;
    UnitForward forward(model_.architecture(), packing_.units, static_cast<int32_t>(index), earlier, *arena);
    std::shared_ptr<KeyStore> store;
    if (packing_.units[index].keep_keys)
      store = std::make_shared<KeyStore>(model_.architecture(), forward.strips());
    forward.embed(model_.embedding);
    for (const Block& block : model_.blocks) forward.run_block(block, store.get());
    if (store != nullptr) keys.publish(index, std::move(store));
    keys.done(index);
    if (!wanted_[index].empty()) use(scored_rows(wanted_[index], forward, *arena), *arena);
  }

  // Collects each wanted hidden row once and normalises it.
  ScoredRows scored_rows(const std::vector<Wanted>& wanted, UnitForward& forward, Arena& arena) const {
    const int64_t width = model_.architecture().hidden_size;
    std::vector<int64_t> row_of(static_cast<size_t>(forward.tokens()), -1);
    ScoredRows rows{};
    int64_t count = 0;
    for (const Wanted& w : wanted) {
      int64_t& row = row_of[static_cast<size_t>(w.token)];
      if (row < 0) row = count++;
      rows.tokens.push_back({w.request, w.index, row});
    }
    rows.strips = strips_of(count);
    float* hidden = arena.floats(rows.strips * kStrip * width);
    std::fill_n(hidden, rows.strips * kStrip * width, 0.0F);
    for (int64_t token = 0; token < forward.tokens(); ++token) {
      const int64_t row = row_of[static_cast<size_t>(token)];
      if (row < 0) continue;
      const float* from = forward.hidden() + (token / kStrip) * kStrip * width + token % kStrip;
      float* to = hidden + (row / kStrip) * kStrip * width + row % kStrip;
      for (int64_t f = 0; f < width; ++f) to[f * kStrip] = from[f * kStrip];
    }
    const FloatView weight(model_.final_norm.weight);
    kernels::table().rms_norm(hidden, width, rows.strips, weight.data(),
                              static_cast<float>(model_.final_norm.eps), hidden);
    rows.hidden = hidden;
    return rows;
  }

  const Model& model_;
  std::span<const ScoreRequest> requests_;
  bool whole_;
  Packing packing_;
  std::vector<std::vector<Wanted>> wanted_;
};

}  // namespace

void run_packed(const Model& model, std::span<const ScoreRequest> requests, const Lanes& lanes, bool isolate,
                const std::function<void(const ScoredRows&, Arena&)>& use) {
  PackedRun(model, requests, isolate).run(lanes, use);
}

std::span<kernels::LogitState> logit_states(Arena& arena, int64_t strips) {
  static_assert(alignof(kernels::LogitState) <= 64 && sizeof(kernels::LogitState) % 64 == 0);
  float* memory = arena.floats(strips * static_cast<int64_t>(sizeof(kernels::LogitState) / sizeof(float)));
  return {reinterpret_cast<kernels::LogitState*>(memory), static_cast<size_t>(strips)};
}

}  // namespace qbench::engine
