#include "harness/core/call.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>

#include "harness/core/errors.h"

namespace qbench {
namespace {

bool is_space(char c) { return std::isspace(static_cast<unsigned char>(c)) != 0; }

class CallParser {
 public:
  CallParser(std::string_view text, std::string_view what) : text_(text), what_(what) {}

  Call parse() {
    Call call;
    skip_spaces();
    call.name = word("(),=|\"");
    if (call.name.empty()) fail("expected a name");
    skip_spaces();
    if (at_end()) return call;
    expect('(');
    skip_spaces();
    if (peek() == ')') {
      ++position_;
    } else {
      while (true) {
        argument(call);
        skip_spaces();
        if (peek() == ',') {
          ++position_;
          continue;
        }
        expect(')');
        break;
      }
    }
    skip_spaces();
    if (!at_end()) fail("nothing may follow the closing parenthesis");
    return call;
  }

 private:
  void argument(Call& call) {
    skip_spaces();
    const std::string key = word("(),=|\"");
    if (key.empty()) fail("expected key=value");
    skip_spaces();
    expect('=');
    skip_spaces();
    std::string value = peek() == '"' ? quoted() : bare();
    if (call.find(key) != nullptr) fail(fmt::format("the key \"{}\" is given twice", key));
    call.args.emplace_back(key, std::move(value));
  }

  std::string word(std::string_view stops) {
    const size_t begin = position_;
    while (!at_end() && !is_space(text_[position_]) && stops.find(text_[position_]) == std::string_view::npos)
      ++position_;
    return std::string(text_.substr(begin, position_ - begin));
  }

  // A bare value runs to the ',' or ')' that ends it; balanced parentheses inside belong to it.
  std::string bare() {
    const size_t begin = position_;
    int depth = 0;
    while (!at_end()) {
      const char c = text_[position_];
      if (depth == 0 && (c == ',' || c == ')')) break;
      depth += c == '(' ? 1 : c == ')' ? -1 : 0;
      ++position_;
    }
    std::string value = trim(text_.substr(begin, position_ - begin));
    if (value.empty()) fail("expected a value");
    return value;
  }

  std::string quoted() {
    std::string value;
    ++position_;
    while (!at_end() && text_[position_] != '"') {
      if (text_[position_] == '\\' && position_ + 1 < text_.size()) ++position_;
      value += text_[position_++];
    }
    if (at_end()) fail("the quoted value is not closed");
    ++position_;
    return value;
  }

  char peek() const { return at_end() ? '\0' : text_[position_]; }
  bool at_end() const { return position_ >= text_.size(); }
  void skip_spaces() {
    while (!at_end() && is_space(text_[position_])) ++position_;
  }
  void expect(char c) {
    if (peek() != c) fail(fmt::format("expected '{}'", c));
    ++position_;
  }
  [[noreturn]] void fail(const std::string& reason) const {
    throw ConfigError(fmt::format("{} \"{}\", column {}: {}. Write name or name(key=value, ...).", what_,
                                  text_, position_ + 1, reason));
  }

  std::string_view text_;
  std::string_view what_;
  size_t position_ = 0;
};

bool needs_quotes(const std::string& value) {
  if (value.empty() || is_space(value.front()) || is_space(value.back())) return true;
  return value.find_first_of(",()\"|\\\n") != std::string::npos;
}

}  // namespace

const std::string* Call::find(std::string_view key) const {
  const auto it = std::find_if(args.begin(), args.end(), [&](const auto& arg) { return arg.first == key; });
  return it == args.end() ? nullptr : &it->second;
}

std::string Call::print() const {
  if (args.empty()) return name;
  std::string text = name + "(";
  for (size_t i = 0; i < args.size(); ++i) {
    const auto& [key, value] = args[i];
    text += (i == 0 ? "" : ",") + key + "=";
    if (!needs_quotes(value)) {
      text += value;
      continue;
    }
    text += '"';
    for (const char c : value) {
      if (c == '"' || c == '\\') text += '\\';
      text += c;
    }
    text += '"';
  }
  return text + ")";
}

Call parse_call(std::string_view text, std::string_view what) { return CallParser(text, what).parse(); }

std::vector<std::string> split_outside(std::string_view text, char separator) {
  std::vector<std::string> parts;
  int depth = 0;
  bool in_quotes = false;
  size_t begin = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_quotes) {
      if (c == '\\')
        ++i;
      else if (c == '"')
        in_quotes = false;
    } else if (c == '"') {
      in_quotes = true;
    } else if (c == '(') {
      ++depth;
    } else if (c == ')') {
      --depth;
    } else if (c == separator && depth <= 0) {
      parts.push_back(trim(text.substr(begin, i - begin)));
      begin = i + 1;
    }
  }
  parts.push_back(trim(text.substr(begin)));
  return parts;
}

bool glob_match(std::string_view pattern, std::string_view text) {
  if (pattern.empty()) return text.empty();
  if (pattern.front() == '*') {
    for (size_t skip = 0; skip <= text.size(); ++skip) {
      if (glob_match(pattern.substr(1), text.substr(skip))) return true;
    }
    return false;
  }
  if (text.empty() || (pattern.front() != '?' && pattern.front() != text.front())) return false;
  return glob_match(pattern.substr(1), text.substr(1));
}

std::string trim(std::string_view text) {
  while (!text.empty() && is_space(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_space(text.back())) text.remove_suffix(1);
  return std::string(text);
}

}  // namespace qbench
