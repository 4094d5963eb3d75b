// The bits of a cell: "w4a16g64", "w4a16g32-asym", "w8a8", "w8a8-tensor", "fp". No torch here.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "harness/core/fields.h"

namespace qbench::methods {

/// The slice of a weight matrix that shares one scale.
enum class Granularity { kTensor, kChannel, kGroup };

/// w<bits>[a<bits>][g<columns>|-tensor][-asym]. Weights: 2-8 bits or 16 (untouched), one scale per output
/// channel unless a group of input columns or "-tensor" is given, symmetric unless "-asym". Activations: 16,
/// or 8 or 4 bits, symmetric, dynamic, one scale per token.
struct Scheme {
  int64_t weight_bits = 16;
  Granularity granularity = Granularity::kChannel;
  int64_t group = 0;  ///< columns per scale; only for kGroup
  bool symmetric = true;
  int64_t activation_bits = 16;

  /// "fp": nothing is quantized; the scheme of the baseline.
  bool baseline() const { return weight_bits == 16 && activation_bits == 16; }
  bool quantizes_weights() const { return weight_bits < 16; }
  bool quantizes_activations() const { return activation_bits < 16; }
  /// Columns that share a scale in a row of `in_features` columns.
  int64_t group_columns(int64_t in_features) const {
    return granularity == Granularity::kGroup ? group : in_features;
  }

  /// Canonical text; parse_scheme(print()) == *this and print(parse_scheme(s)) is the one spelling of s.
  std::string print() const;
  /// Bits of a weight as papers print them: the code alone.
  double nominal_weight_bits() const { return static_cast<double>(weight_bits); }
  /// {"scheme", "weight_bits", "granularity", "group", "symmetric", "activation_bits"}
  Json json() const;
  bool operator==(const Scheme&) const = default;
};

/// @throws ConfigError with an example and the nearest legal value.
Scheme parse_scheme(std::string_view text);

/// What `describe schemes` lists: spelling and meaning.
struct SchemeExample {
  std::string text;
  std::string meaning;
};
const std::vector<SchemeExample>& scheme_examples();

std::string_view granularity_name(Granularity granularity);

}  // namespace qbench::methods
