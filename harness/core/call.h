// The one spelling of "a name with arguments" that recipes, tasks, calibration sets and models share:
//   name   or   name(key=value, key=value)
// Values are bare words (up to the next ',' or ')') or double-quoted strings with \" and \\ escapes.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace qbench {

struct Call {
  std::string name;
  std::vector<std::pair<std::string, std::string>> args;  ///< in the order written; keys are unique

  /// The value of `key`, or nullptr.
  const std::string* find(std::string_view key) const;
  /// Canonical text: parse_call(print()) == *this. Values are quoted only where they must be.
  std::string print() const;
  bool operator==(const Call&) const = default;
};

/// @param what  the noun for messages ("task", "recipe pass", ...)
/// @throws ConfigError with the column of the fault, on bad syntax or a repeated key.
Call parse_call(std::string_view text, std::string_view what);

/// Splits at `separator` outside quotes and parentheses and trims each part: "a(x=1)|b" -> {"a(x=1)", "b"}.
std::vector<std::string> split_outside(std::string_view text, char separator);

/// Shell-style match with '*' and '?'.
bool glob_match(std::string_view pattern, std::string_view text);

std::string trim(std::string_view text);

}  // namespace qbench
