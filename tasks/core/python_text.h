// Python's string rules, which evaluation programs inherit: what white space is, how text is stripped, cased,
// counted.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace qbench::tasks {

/// str.isspace() of one code point.
bool is_python_space(int32_t code_point);
/// Bytes of trailing white space (str.rstrip).
size_t trailing_space_bytes(std::string_view text);
std::string_view python_rstrip(std::string_view text);
std::string_view python_strip(std::string_view text);
/// Code points, str's len().
int64_t code_points(std::string_view text);
/// len(re.split(r"\s+", text)): runs of white space plus one, so "" counts 1.
int64_t count_words(std::string_view text);
/// str.lower(), str.capitalize(); invalid UTF-8 becomes U+FFFD.
std::string python_lower(std::string_view text);
std::string python_capitalize(std::string_view text);
/// Only the first character in lower case.
std::string lower_first(std::string_view text);
/// All but the last character.
std::string drop_last_character(std::string_view text);
/// str.replace: all non-overlapping occurrences, left to right. An empty `from` changes nothing.
std::string replace_all(std::string_view text, std::string_view from, std::string_view to);

}  // namespace qbench::tasks
