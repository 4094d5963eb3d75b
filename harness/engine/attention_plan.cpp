#include "harness/engine/attention_plan.h"

#include <algorithm>

namespace qbench::engine {
namespace {

using kernels::kGroup;
using kernels::kKeyBlock;
using kernels::kStrip;

// A segment as the queries of one strip see it.
struct VisibleSegment {
  int32_t source;
  Segment segment;
  bool own;        // holds queries of the strip, hence causal
  uint16_t lanes;  // queries that see it
};

class Planner {
 public:
  Planner(std::span<const Unit> units, int32_t index)
      : units_(units), index_(index), segments_(unit().segments) {
    // Tokens that fill the last strip look only at each other; they never meet a real token.
    const int64_t tokens = std::ssize(unit().tokens), padded = strips_of(tokens) * kStrip;
    if (padded > tokens) segments_.push_back({tokens, padded - tokens, 0, 0, {}});
    owner_.resize(static_cast<size_t>(padded));
    for (size_t s = 0; s < segments_.size(); ++s) {
      std::fill_n(owner_.begin() + segments_[s].start, segments_[s].length, static_cast<int32_t>(s));
    }
    plan_.strip_blocks.push_back(0);
    for (int64_t strip = 0; strip < padded / kStrip; ++strip) add_strip(strip);
  }
  AttentionPlan take() { return std::move(plan_); }

 private:
  const Unit& unit() const { return units_[static_cast<size_t>(index_)]; }

  const Segment& segment_of(Place place) const {
    if (place.unit == index_) return segments_[static_cast<size_t>(place.segment)];
    return units_[static_cast<size_t>(place.unit)].segments[static_cast<size_t>(place.segment)];
  }

  int32_t source_of(int32_t unit_index) {
    if (unit_index == index_) return 0;
    const auto found = std::find(plan_.source_units.begin(), plan_.source_units.end(), unit_index);
    if (found != plan_.source_units.end())
      return static_cast<int32_t>(found - plan_.source_units.begin()) + 1;
    plan_.source_units.push_back(unit_index);
    return static_cast<int32_t>(plan_.source_units.size());
  }

  // The strip's segments and their ancestors, each once, in the order of their positions.
  std::vector<VisibleSegment> visible_segments(int64_t strip) {
    std::vector<VisibleSegment> visible;
    std::vector<Place> places;
    for (int64_t lane = 0; lane < kStrip; ++lane) {
      const int32_t own = owner_[static_cast<size_t>(strip * kStrip + lane)];
      for (Place p{index_, own}; p.unit >= 0; p = segment_of(p).parent) {
        const auto found = std::find_if(places.begin(), places.end(), [&](const Place& o) {
          return o.unit == p.unit && o.segment == p.segment;
        });
        const size_t at = static_cast<size_t>(found - places.begin());
        if (found == places.end()) {
          places.push_back(p);
          visible.push_back({source_of(p.unit), segment_of(p), false, 0});
        }
        visible[at].lanes = static_cast<uint16_t>(visible[at].lanes | (1U << lane));
        if (p.unit == index_ && p.segment == own) visible[at].own = true;
      }
    }
    std::stable_sort(visible.begin(), visible.end(), [](const VisibleSegment& a, const VisibleSegment& b) {
      return a.segment.position < b.segment.position;
    });
    return visible;
  }

  void add_strip(int64_t strip) {
    const std::vector<VisibleSegment> visible = visible_segments(strip);
    int64_t end = 0;
    for (const VisibleSegment& v : visible) end = std::max(end, v.segment.position + v.segment.length);
    for (int64_t position = 0; position < end; position += kKeyBlock) {
      const auto first = static_cast<int32_t>(plan_.runs.size());
      int64_t keys = 0;
      for (const VisibleSegment& v : visible) keys += add_keys(strip, v, position);
      if (keys > 0) plan_.blocks.push_back({first, static_cast<int32_t>(plan_.runs.size())});
      plan_.block_keys = std::max(plan_.block_keys, keys);
    }
    plan_.strip_blocks.push_back(static_cast<int32_t>(plan_.blocks.size()));
  }

  // Keys of one segment at positions [position, position + kKeyBlock). Returns the rows of scores they take.
  int64_t add_keys(int64_t strip, const VisibleSegment& v, int64_t position) {
    const Segment& s = v.segment;
    const int64_t begin = s.start + std::max<int64_t>(position - s.position, 0);
    int64_t end = s.start + std::min(position + kKeyBlock - s.position, s.length);
    if (v.own) end = std::min(end, last_query(strip, s) + 1);
    if (begin >= end) return 0;
    for (int64_t group = begin / kGroup; group <= (end - 1) / kGroup; ++group)
      add_group(strip, v, group, begin, end);
    return ((end - 1) / kGroup - begin / kGroup + 1) * kGroup;
  }

  static int64_t last_query(int64_t strip, const Segment& s) {
    return std::min(strip * kStrip + kStrip, s.start + s.length) - 1;
  }

  void add_group(int64_t strip, const VisibleSegment& v, int64_t group, int64_t begin, int64_t end) {
    uint16_t masks[kGroup];
    bool full = true;
    for (int64_t k = 0; k < kGroup; ++k) {
      const int64_t key = group * kGroup + k;
      masks[k] = key >= begin && key < end ? lanes_seeing(strip, v, key) : uint16_t{0};
      full = full && masks[k] == 0xFFFF;
    }
    const bool same_block = !plan_.runs.empty() && static_cast<int32_t>(plan_.runs.size()) > block_start();
    if (full && same_block) {
      kernels::KeyRun& last = plan_.runs.back();
      if (last.mask < 0 && last.source == v.source && last.group + last.count == group) {
        ++last.count;
        return;
      }
    }
    int32_t mask = -1;
    if (!full) {
      mask = static_cast<int32_t>(plan_.masks.size() / kGroup);
      plan_.masks.insert(plan_.masks.end(), masks, masks + kGroup);
    }
    plan_.runs.push_back({v.source, static_cast<int32_t>(group), 1, mask});
  }

  // First run of the block being built.
  int32_t block_start() const { return plan_.blocks.empty() ? 0 : plan_.blocks.back().end; }

  uint16_t lanes_seeing(int64_t strip, const VisibleSegment& v, int64_t key) const {
    if (!v.own || key < strip * kStrip) return v.lanes;
    uint16_t lanes = v.lanes;
    for (int64_t lane = 0; lane < kStrip; ++lane) {
      const int64_t query = strip * kStrip + lane;
      // A lane of a descendant sees all of it; a lane of this very segment sees what lies before it.
      if (query < key && query >= v.segment.start && query < v.segment.start + v.segment.length) {
        lanes = static_cast<uint16_t>(lanes & ~(1U << lane));
      }
    }
    return lanes;
  }

  std::span<const Unit> units_;
  int32_t index_;
  std::vector<Segment> segments_;
  std::vector<int32_t> owner_;
  AttentionPlan plan_;
};

}  // namespace

int64_t strips_of(int64_t tokens) { return (tokens + kStrip - 1) / kStrip; }

AttentionPlan plan_attention(std::span<const Unit> units, int32_t index) {
  return Planner(units, index).take();
}

}  // namespace qbench::engine
