#include "methods/core/scheme.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>

#include "harness/core/errors.h"

namespace qbench::methods {
namespace {

constexpr std::string_view kGrammar =
    "Write w<bits>a<bits>, then g<columns> for groups or -tensor for one scale, then -asym for an asymmetric "
    "grid: "
    "w4a16g64, w4a16g32-asym, w3a16, w8a8, w8a8-tensor, or fp";
constexpr int64_t kMaxGroup = 1 << 20;

const std::vector<int64_t>& legal_weight_bits() {
  static const std::vector<int64_t> bits = {2, 3, 4, 5, 6, 7, 8, 16};
  return bits;
}

const std::vector<int64_t>& legal_activation_bits() {
  static const std::vector<int64_t> bits = {4, 8, 16};
  return bits;
}

class SchemeParser {
 public:
  explicit SchemeParser(std::string_view text) : whole_(text), rest_(text) {}

  Scheme parse() {
    Scheme scheme;
    if (whole_ == "fp") return scheme;
    if (!eat("w")) fail("expected it to begin with w<bits>");
    scheme.weight_bits = legal(number("weight bits"), legal_weight_bits(), "weight bits");
    if (eat("a"))
      scheme.activation_bits = legal(number("activation bits"), legal_activation_bits(), "activation bits");
    if (eat("g")) group(scheme);
    suffixes(scheme);
    check(scheme);
    return scheme;
  }

 private:
  bool eat(std::string_view token) {
    if (!rest_.starts_with(token)) return false;
    rest_.remove_prefix(token.size());
    return true;
  }

  int64_t number(std::string_view what) {
    int64_t value = 0;
    const auto [end, error] = std::from_chars(rest_.data(), rest_.data() + rest_.size(), value);
    if (error != std::errc()) fail(fmt::format("expected a number of {} at \"{}\"", what, rest_));
    rest_.remove_prefix(static_cast<size_t>(end - rest_.data()));
    return value;
  }

  int64_t legal(int64_t value, const std::vector<int64_t>& values, std::string_view what) {
    if (std::find(values.begin(), values.end(), value) != values.end()) return value;
    const int64_t bounded = std::clamp<int64_t>(value, -64, 64);
    const int64_t nearest = *std::min_element(values.begin(), values.end(), [&](int64_t a, int64_t b) {
      return std::abs(a - bounded) < std::abs(b - bounded);
    });
    fail(fmt::format("{} {} is not one of {}; the nearest is {}", value, what, fmt::join(values, ", "),
                     nearest));
  }

  void group(Scheme& scheme) {
    scheme.group = number("columns per group");
    if (scheme.group < 1 || scheme.group > kMaxGroup) {
      fail(fmt::format("a group has 1 to {} columns, found {}; drop the g for one scale per output channel",
                       kMaxGroup, scheme.group));
    }
    scheme.granularity = Granularity::kGroup;
  }

  void suffixes(Scheme& scheme) {
    bool symmetry_given = false;
    while (!rest_.empty()) {
      if (eat("-tensor")) {
        if (scheme.granularity != Granularity::kChannel)
          fail("-tensor excludes groups and may be given once");
        scheme.granularity = Granularity::kTensor;
      } else if (!symmetry_given && (eat("-asym") || rest_ == "-sym")) {
        symmetry_given = true;
        scheme.symmetric = rest_ == "-sym";
        if (scheme.symmetric) rest_ = {};
      } else {
        fail(fmt::format("\"{}\" means nothing here", rest_));
      }
    }
    asymmetry_given_ = symmetry_given;
  }

  void check(const Scheme& scheme) const {
    if (scheme.quantizes_weights()) return;
    if (scheme.baseline()) fail("nothing is quantized; write fp");
    if (scheme.granularity != Granularity::kChannel || asymmetry_given_) {
      fail(fmt::format("weights of 16 bits have no grid; write w16a{}", scheme.activation_bits));
    }
  }

  [[noreturn]] void fail(const std::string& reason) const {
    throw ConfigError(fmt::format("scheme \"{}\": {}. {}.", whole_, reason, kGrammar));
  }

  std::string_view whole_, rest_;
  bool asymmetry_given_ = false;
};

}  // namespace

std::string_view granularity_name(Granularity granularity) {
  switch (granularity) {
    case Granularity::kTensor:
      return "tensor";
    case Granularity::kChannel:
      return "channel";
    case Granularity::kGroup:
      return "group";
  }
  return "";
}

std::string Scheme::print() const {
  if (baseline()) return "fp";
  std::string text = fmt::format("w{}a{}", weight_bits, activation_bits);
  if (granularity == Granularity::kGroup) text += fmt::format("g{}", group);
  if (granularity == Granularity::kTensor) text += "-tensor";
  if (!symmetric) text += "-asym";
  return text;
}

Json Scheme::json() const {
  return {{"scheme", print()}, {"weight_bits", weight_bits}, {"granularity", granularity_name(granularity)},
          {"group", group},    {"symmetric", symmetric},     {"activation_bits", activation_bits}};
}

Scheme parse_scheme(std::string_view text) { return SchemeParser(text).parse(); }

const std::vector<SchemeExample>& scheme_examples() {
  static const std::vector<SchemeExample> examples = {
      {"fp", "nothing quantized: the baseline"},
      {"w4a16g64", "4-bit weights, one symmetric scale per 64 input columns of a row; activations untouched"},
      {"w4a16g32-asym", "4-bit weights, one scale and zero point per 32 input columns"},
      {"w3a16", "3-bit weights, one symmetric scale per output channel"},
      {"w8a8", "8-bit weights per output channel, activations 8-bit per token, dynamic"},
      {"w8a8-tensor", "8-bit weights with one scale for the whole matrix, activations 8-bit per token"},
      {"w4a4", "4-bit weights per output channel, activations 4-bit per token, dynamic"},
      {"w16a8", "weights untouched, activations 8-bit per token"},
  };
  return examples;
}

}  // namespace qbench::methods
