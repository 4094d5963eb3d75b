#include "harness/engine/packing.h"

#include <algorithm>
#include <numeric>
#include <utility>

namespace qbench::engine {
namespace {

struct Node {
  int64_t begin = 0, end = 0;  // positions of its own tokens
  int64_t sequence = 0;        // a sequence that holds them
  int64_t subtree_tokens = 0;
  std::vector<int32_t> children;
  std::vector<int32_t> ending;  // sequences whose last token is here
};

class PrefixTree {
 public:
  explicit PrefixTree(std::span<const Sequence> sequences, bool share)
      : sequences_(sequences), order_(sequences.size()) {
    std::iota(order_.begin(), order_.end(), 0);
    std::stable_sort(order_.begin(), order_.end(),
                     [&](int32_t a, int32_t b) { return before(at(a), at(b)); });
    size_t first = 0;
    while (first < order_.size()) {
      size_t last = first + 1;
      while (share && last < order_.size() && same_root(at(order_[first]), at(order_[last]))) ++last;
      if (!at(order_[first]).tokens.empty()) roots_.push_back(build(first, last, 0));
      first = last;
    }
  }

  const std::vector<int32_t>& roots() const { return roots_; }
  const Node& node(int32_t index) const { return nodes_[static_cast<size_t>(index)]; }
  const Sequence& at(int64_t sequence) const { return sequences_[static_cast<size_t>(sequence)]; }

 private:
  static bool before(const Sequence& a, const Sequence& b) {
    if (a.family != b.family) return a.family < b.family;
    return std::lexicographical_compare(a.tokens.begin(), a.tokens.end(), b.tokens.begin(), b.tokens.end());
  }
  static bool same_root(const Sequence& a, const Sequence& b) {
    return a.family == b.family && !a.tokens.empty() && !b.tokens.empty() && a.tokens[0] == b.tokens[0];
  }

  // Sequences order_[first, last) agree up to `depth`; in sorted order their common prefix is that of the
  // outer two.
  int32_t build(size_t first, size_t last, int64_t depth) {
    const auto& a = at(order_[first]).tokens;
    const auto& b = at(order_[last - 1]).tokens;
    Node node;
    node.sequence = order_[first];
    node.begin = depth;
    node.end = std::mismatch(a.begin() + depth, a.end(), b.begin() + depth, b.end()).first - a.begin();
    node.subtree_tokens = node.end - node.begin;
    while (first < last && std::ssize(at(order_[first]).tokens) == node.end)
      node.ending.push_back(order_[first++]);
    while (first < last) {
      const int32_t token = token_of(first, node.end);
      size_t next = first + 1;
      while (next < last && token_of(next, node.end) == token) ++next;
      node.children.push_back(build(first, next, node.end));
      node.subtree_tokens += this->node(node.children.back()).subtree_tokens;
      first = next;
    }
    nodes_.push_back(std::move(node));
    return static_cast<int32_t>(nodes_.size() - 1);
  }
  int32_t token_of(size_t rank, int64_t position) const {
    return at(order_[rank]).tokens[static_cast<size_t>(position)];
  }

  std::span<const Sequence> sequences_;
  std::vector<int32_t> order_;
  std::vector<Node> nodes_;
  std::vector<int32_t> roots_;
};

// An ancestor of the node being placed: either already computed in an earlier unit, or copied into each unit
// that needs it.
struct Ancestor {
  int32_t node;
  Place fixed;  // unit -1: copied per unit
};

class Packer {
 public:
  Packer(const PrefixTree& tree, const PackingLimits& limits, size_t sequences)
      : tree_(tree), limits_(limits) {
    packing_.paths.resize(sequences);
  }

  Packing run() {
    for (const int32_t root : tree_.roots()) {
      std::vector<Ancestor> chain;
      place(root, chain);
      if (limits_.isolate) close();
    }
    close();
    hoist_trunks();
    return std::move(packing_);
  }

 private:
  void place(int32_t index, std::vector<Ancestor>& chain) {
    const Node& node = tree_.node(index);
    if (node.subtree_tokens <= limits_.unit_tokens || node.children.empty()) {
      if (fresh_tokens_ > 0 && fresh_tokens_ + node.subtree_tokens > limits_.unit_tokens) close();
      std::vector<Place> path = ensure(chain);
      add_subtree(index, path);
      fresh_tokens_ += node.subtree_tokens;
      return;
    }
    const int64_t own = node.end - node.begin;
    std::vector<Ancestor> below = chain;
    below.push_back({index, {}});
    if (own >= limits_.shortest_trunk && own <= limits_.longest_trunk) make_trunk(below);
    if (!node.ending.empty()) finish(node, ensure(below));
    for (const int32_t child : node.children) place(child, below);
  }

  // Computes the whole chain in a unit of its own whose keys are kept.
  void make_trunk(std::vector<Ancestor>& chain) {
    close();
    const std::vector<Place> path = ensure(chain);
    for (size_t i = 0; i < chain.size(); ++i) chain[i].fixed = path[i];
    unit_.keep_keys = true;
    close();
  }

  // Places of the chain as the open unit sees it, copying into it what is not computed elsewhere.
  std::vector<Place> ensure(const std::vector<Ancestor>& chain) {
    std::vector<Place> path;
    for (const Ancestor& ancestor : chain) {
      if (ancestor.fixed.unit >= 0) {
        path.push_back(ancestor.fixed);
        continue;
      }
      const auto known = std::find_if(copies_.begin(), copies_.end(),
                                      [&](const auto& c) { return c.first == ancestor.node; });
      if (known != copies_.end()) {
        path.push_back(known->second);
        continue;
      }
      path.push_back(add_segment(ancestor.node, path.empty() ? Place{} : path.back()));
      copies_.emplace_back(ancestor.node, path.back());
    }
    return path;
  }

  Place add_segment(int32_t index, Place parent) {
    const Node& node = tree_.node(index);
    const Sequence& sequence = tree_.at(node.sequence);
    const auto tokens =
        sequence.tokens.subspan(static_cast<size_t>(node.begin), static_cast<size_t>(node.end - node.begin));
    unit_.segments.push_back(
        {std::ssize(unit_.tokens), std::ssize(tokens), node.begin, sequence.rope_length, parent});
    unit_.tokens.insert(unit_.tokens.end(), tokens.begin(), tokens.end());
    return {static_cast<int32_t>(packing_.units.size()), static_cast<int32_t>(unit_.segments.size() - 1)};
  }

  void add_subtree(int32_t index, std::vector<Place>& path) {
    path.push_back(add_segment(index, path.empty() ? Place{} : path.back()));
    finish(tree_.node(index), path);
    for (const int32_t child : tree_.node(index).children) add_subtree(child, path);
    path.pop_back();
  }

  void finish(const Node& node, const std::vector<Place>& path) {
    for (const int32_t sequence : node.ending) packing_.paths[static_cast<size_t>(sequence)] = path;
  }

  void close() {
    if (!unit_.tokens.empty()) packing_.units.push_back(std::move(unit_));
    unit_ = Unit{};
    copies_.clear();
    fresh_tokens_ = 0;
  }

  // Moves each trunk to just behind the trunk before it, so that it is computed while other lanes work on
  // that one's branches instead of making them wait.
  void hoist_trunks() {
    std::vector<int32_t> order;
    size_t behind_trunk = 0;
    for (size_t u = 0; u < packing_.units.size(); ++u) {
      size_t at = order.size();
      if (packing_.units[u].keep_keys) {
        size_t earliest = behind_trunk;
        for (const Segment& segment : packing_.units[u].segments) {
          if (segment.parent.unit < 0 || segment.parent.unit == static_cast<int32_t>(u)) continue;
          const auto found = std::find(order.begin(), order.end(), segment.parent.unit);
          earliest = std::max(earliest, static_cast<size_t>(found - order.begin()) + 1);
        }
        at = earliest;
        behind_trunk = at + 1;
      }
      order.insert(order.begin() + static_cast<std::ptrdiff_t>(at), static_cast<int32_t>(u));
    }
    renumber(order);
  }

  void renumber(const std::vector<int32_t>& order) {
    std::vector<int32_t> renamed(order.size());
    std::vector<Unit> units(order.size());
    for (size_t i = 0; i < order.size(); ++i) {
      renamed[static_cast<size_t>(order[i])] = static_cast<int32_t>(i);
      units[i] = std::move(packing_.units[static_cast<size_t>(order[i])]);
    }
    const auto rename = [&](Place& place) {
      if (place.unit >= 0) place.unit = renamed[static_cast<size_t>(place.unit)];
    };
    for (Unit& unit : units) {
      for (Segment& segment : unit.segments) rename(segment.parent);
    }
    for (auto& path : packing_.paths) std::for_each(path.begin(), path.end(), rename);
    packing_.units = std::move(units);
  }

  const PrefixTree& tree_;
  PackingLimits limits_;
  Packing packing_;
  Unit unit_;
  std::vector<std::pair<int32_t, Place>> copies_;
  int64_t fresh_tokens_ = 0;
};

}  // namespace

Packing pack(std::span<const Sequence> sequences, const PackingLimits& limits) {
  const PrefixTree tree(sequences, !limits.isolate);
  return Packer(tree, limits, sequences.size()).run();
}

}  // namespace qbench::engine
