// BIG-bench's text metrics and the cutting of generated text.
#define PCRE2_CODE_UNIT_WIDTH 8
#include <fmt/format.h>
#include <pcre2.h>
#include <unicode/uchar.h>
#include <unicode/utf8.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cmath>
#include <memory>

#include "harness/core/errors.h"
#include "tasks/bigbench/metrics.h"
#include "tasks/core/python_text.h"

namespace qbench::tasks {
namespace {

/// str.split(" "): empty pieces stay.
std::vector<std::string> split_spaces(const std::string& text) {
  std::vector<std::string> words;
  size_t begin = 0;
  for (size_t at = text.find(' '); at != std::string::npos; at = text.find(' ', begin)) {
    words.push_back(text.substr(begin, at - begin));
    begin = at + 1;
  }
  words.push_back(text.substr(begin));
  return words;
}

/// Decimal digits of any script become ASCII, underscores between digits vanish; "" if the text cannot be a
/// number.
std::string plain_number(std::string_view text) {
  std::string out;
  text = python_strip(text);
  const auto* bytes = reinterpret_cast<const uint8_t*>(text.data());
  for (int32_t at = 0; at < static_cast<int32_t>(text.size());) {
    UChar32 c = 0;
    U8_NEXT(bytes, at, static_cast<int32_t>(text.size()), c);
    if (c < 0) return "";
    const int32_t digit = u_charDigitValue(c);
    if (digit >= 0) {
      out += static_cast<char>('0' + digit);
    } else if (c < 128) {
      out += static_cast<char>(c);
    } else {
      return "";
    }
  }
  std::string clean;
  for (size_t i = 0; i < out.size(); ++i) {
    if (out[i] != '_') {
      clean += out[i];
      continue;
    }
    const auto digit_at = [&](size_t j) {
      return j < out.size() && std::isdigit(static_cast<unsigned char>(out[j])) != 0;
    };
    if (i == 0 || !digit_at(i - 1) || !digit_at(i + 1)) return "";
  }
  return clean;
}

/// Python's float(text).
std::optional<double> python_float(std::string_view text) {
  std::string number = plain_number(text);
  std::transform(number.begin(), number.end(), number.begin(),
                 [](char c) { return static_cast<char>(std::tolower(static_cast<unsigned char>(c))); });
  bool negative = false;
  if (!number.empty() && (number[0] == '+' || number[0] == '-')) {
    negative = number[0] == '-';
    number.erase(0, 1);
  }
  if (number.empty()) return std::nullopt;
  double value = 0;
  if (number == "nan") {
    value = std::nan("");
  } else if (number == "inf" || number == "infinity") {
    value = INFINITY;
  } else if (std::isdigit(static_cast<unsigned char>(number[0])) != 0 || number[0] == '.') {
    const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), value);
    if (end != number.data() + number.size() || error == std::errc::invalid_argument) return std::nullopt;
    if (error == std::errc::result_out_of_range) value = std::strtod(number.c_str(), nullptr);
  } else {
    return std::nullopt;
  }
  return negative ? -value : value;
}

std::string first_match(const std::string& text, const std::string& pattern) {
  int error = 0;
  PCRE2_SIZE offset = 0;
  const std::unique_ptr<pcre2_code, void (*)(pcre2_code*)> code(
      pcre2_compile(reinterpret_cast<PCRE2_SPTR>(pattern.data()), pattern.size(), PCRE2_UTF | PCRE2_UCP,
                    &error, &offset, nullptr),
      pcre2_code_free);
  if (code == nullptr)
    throw DataError(
        fmt::format("output_regex \"{}\": not a regular expression (position {})", pattern, offset));
  const std::unique_ptr<pcre2_match_data, void (*)(pcre2_match_data*)> match(
      pcre2_match_data_create_from_pattern(code.get(), nullptr), pcre2_match_data_free);
  const int found = pcre2_match(code.get(), reinterpret_cast<PCRE2_SPTR>(text.data()), text.size(), 0, 0,
                                match.get(), nullptr);
  if (found < 0) return "";
  const PCRE2_SIZE* range = pcre2_get_ovector_pointer(match.get());
  return text.substr(range[0], range[1] - range[0]);
}

std::string first_characters(const std::string& text, int64_t count) {
  int32_t at = 0;
  const auto size = static_cast<int32_t>(text.size());
  for (int64_t i = 0; i < count && at < size; ++i)
    U8_FWD_1(reinterpret_cast<const uint8_t*>(text.data()), at, size);
  return text.substr(0, static_cast<size_t>(at));
}

}  // namespace

bool exact_str_match(const std::string& response, const Targets& targets) {
  return std::find(targets.begin(), targets.end(), response) != targets.end();
}

bool case_insensitive_str_match(const std::string& response, const Targets& targets) {
  const std::string wanted = python_lower(python_strip(response));
  return std::any_of(targets.begin(), targets.end(),
                     [&](const std::string& target) { return python_lower(python_strip(target)) == wanted; });
}

std::optional<bool> numeric_match(const std::string& response, const Targets& targets) {
  if (targets.size() != 1) return std::nullopt;
  const auto value = python_float(response);
  const auto target = python_float(targets.front());
  if (!value || !target || *target == 0) return false;
  return std::abs(*value - *target) / *target < 0.1;
}

double sequence_f1(std::span<const std::string> responses, std::span<const Targets> targets) {
  double total = 0;
  for (size_t i = 0; i < responses.size(); ++i) {
    const std::vector<std::string> wanted = split_spaces(targets[i].front());
    std::vector<std::string> given = split_spaces(responses[i]);
    given.resize(wanted.size(), "O");
    double correct = 0;
    for (size_t j = 0; j < wanted.size(); ++j) correct += given[j] == wanted[j];
    total += correct / static_cast<double>(wanted.size());
  }
  return 100 * total / static_cast<double>(responses.size());
}

std::string postprocess_output(const std::string& original, int64_t max_length,
                               const std::vector<std::string>& stop_strings,
                               const std::string& output_regex) {
  std::string text = max_length > 0 ? first_characters(original, max_length) : original;
  for (const std::string& stop : stop_strings) {
    const size_t at = text.find(stop);
    // A stop string at the very start is not honoured, and the stop string itself stays: the official code's
    // habit.
    if (at != std::string::npos && at > 0) text.resize(at + stop.size());
  }
  return output_regex.empty() ? text : first_match(text, output_regex);
}

}  // namespace qbench::tasks
