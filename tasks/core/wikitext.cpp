#include "tasks/core/wikitext.h"

#include <algorithm>
#include <array>
#include <span>
#include <utility>

#include "tasks/core/python_text.h"

namespace qbench::tasks {
namespace {

using Replacement = std::pair<std::string_view, std::string_view>;

std::string apply(std::string text, std::span<const Replacement> replacements) {
  for (const auto& [from, to] : replacements) text = replace_all(text, from, to);
  return text;
}

bool starts_page(std::string_view line) {
  const std::string marks = replace_all(replace_all(line, "= = =", "==="), "= =", "==");
  const std::string_view heading = python_strip(marks);
  return heading.starts_with("= ") && heading.ends_with(" =");
}

/// Pass 2: the pattern /' [0-9]/ with its slashes taken literally, as written in the source.
std::string replace_slashed_digit(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size();) {
    const std::string_view rest = text.substr(i);
    if (rest.starts_with("/' ") && rest.size() >= 5 && rest[3] >= '0' && rest[3] <= '9' && rest[4] == '/') {
      out += "/'[0-9]/";
      i += 5;
    } else {
      out += text[i++];
    }
  }
  return out;
}

/// Pass 5: white space just inside the shortest span from `open` to the next `close`.
std::string tighten(std::string_view text, char open, char close) {
  std::string out;
  size_t begin = 0;
  while (true) {
    const size_t start = text.find(open, begin);
    const size_t end = start == std::string_view::npos ? start : text.find(close, start + 1);
    if (end == std::string_view::npos) break;
    out.append(text.substr(begin, start - begin));
    out += open;
    out.append(python_strip(text.substr(start + 1, end - start - 1)));
    out += close;
    begin = end + 1;
  }
  return out.append(text.substr(begin));
}

}  // namespace

std::vector<std::string> wikitext_pages(std::string_view text) {
  std::vector<std::string> pages;
  std::string current;
  bool started = false, first_line = true;
  for (size_t begin = 0; begin <= text.size();) {
    const size_t newline = std::min(text.find('\n', begin), text.size());
    const std::string_view line = text.substr(begin, newline - begin);
    if (starts_page(line)) {
      if (started) pages.push_back(std::move(current));
      current.clear();
      started = first_line = true;
    }
    if (started) {
      if (!first_line) current += '\n';
      current += line;
      first_line = false;
    }
    begin = newline + 1;
  }
  if (started) pages.push_back(std::move(current));
  return pages;
}

std::string wikitext_detokenize(std::string_view page) {
  static constexpr std::array<Replacement, 9> kSeparators = {{{" @-@ ", "-"},
                                                              {" @,@ ", ","},
                                                              {" @.@ ", "."},
                                                              {" : ", ": "},
                                                              {" ; ", "; "},
                                                              {" . ", ". "},
                                                              {" ! ", "! "},
                                                              {" ? ", "? "},
                                                              {" , ", ", "}}};
  static constexpr std::array<Replacement, 8> kRest = {{{"= = = =", "===="},
                                                        {"= = =", "==="},
                                                        {"= =", "=="},
                                                        {" \u00b0 ", "\u00b0"},
                                                        {" \n", "\n"},
                                                        {"\n ", "\n"},
                                                        {" N ", " 1 "},
                                                        {" 's", "'s"}}};
  std::string text = replace_slashed_digit(replace_all(page, "s '", "s'"));
  text = apply(std::move(text), kSeparators);
  for (const auto& [open, close] : {std::pair{'(', ')'}, {'[', ']'}, {'{', '}'}, {'"', '"'}, {'\'', '\''}})
    text = tighten(text, open, close);
  return apply(std::move(text), kRest);
}

}  // namespace qbench::tasks
