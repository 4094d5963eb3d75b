// One score against the same score of a baseline, item by item where both have items.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "reports/stats.h"
#include "results/store.h"

namespace qbench::reports {

struct Flip {
  std::string item;
  double was = 0, is = 0;  ///< the metric of the item: right = 1, wrong = 0
};

struct Comparison {
  double delta = 0;  ///< score - baseline
  std::optional<double> delta_stderr;
  std::string test;                  ///< "exact McNemar", "block bootstrap", or "" without items
  std::optional<double> p;           ///< two-sided
  std::optional<double> p_adjusted;  ///< Holm, within its family; set by adjust_family
  std::optional<Interval> interval;  ///< 95 % of delta: percentiles of the bootstrap, normal for McNemar
  int64_t paired = 0;                ///< items both sides have
  int64_t unpaired = 0;              ///< items only one side has; then the scores are not over the same items
  std::vector<Flip> flips;           ///< in the order of the baseline's items; McNemar only
  int64_t n10 = 0, n01 = 0;          ///< right -> wrong, wrong -> right
  bool identical_items = false;      ///< every paired number is bitwise equal
};

struct CompareOptions {
  int64_t replicates = 1000;
  uint64_t seed = 0;
};

/// @param baseline_items, items  nullptr where a side has none; then only delta is known.
Comparison compare_scores(const results::ScoreRow& baseline, const results::ItemColumns* baseline_items,
                          const results::ScoreRow& score, const results::ItemColumns* items,
                          const CompareOptions& options);

/// Holm over the comparisons that have a p value.
void adjust_family(const std::vector<Comparison*>& family);

}  // namespace qbench::reports
