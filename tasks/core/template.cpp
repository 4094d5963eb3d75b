#include "tasks/core/template.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "harness/core/call.h"
#include "harness/core/errors.h"
#include "tasks/core/python_text.h"

namespace qbench::tasks {
namespace {

using Arguments = std::vector<std::string>;

/// A filter from text to text.
struct TextFilter {
  const char* name;
  size_t arguments;
  std::string (*apply)(const std::string& text, const Arguments& arguments);
};

/// Deletes every shortest span from `open` to the next `close`.
std::string delete_spans(const std::string& text, const std::string& open, const std::string& close) {
  std::string out;
  size_t begin = 0;
  while (!open.empty() && !close.empty()) {
    const size_t start = text.find(open, begin);
    const size_t end = start == std::string::npos ? start : text.find(close, start + open.size());
    if (end == std::string::npos) break;
    out.append(text, begin, start - begin);
    begin = end + close.size();
  }
  return out.append(text, begin);
}

std::string before(const std::string& text, size_t at) {
  return at == std::string::npos ? text : text.substr(0, at);
}
std::string after(const std::string& text, size_t at, size_t width) {
  return at == std::string::npos ? "" : text.substr(at + width);
}

const TextFilter kTextFilters[] = {
    {"trim", 0, [](const std::string& t, const Arguments&) { return std::string(python_strip(t)); }},
    {"trim_right", 0, [](const std::string& t, const Arguments&) { return std::string(python_rstrip(t)); }},
    {"lower", 0, [](const std::string& t, const Arguments&) { return python_lower(t); }},
    {"lower_first", 0, [](const std::string& t, const Arguments&) { return lower_first(t); }},
    {"capitalize", 0, [](const std::string& t, const Arguments&) { return python_capitalize(t); }},
    {"drop_last", 0, [](const std::string& t, const Arguments&) { return drop_last_character(t); }},
    {"replace", 2, [](const std::string& t, const Arguments& a) { return replace_all(t, a[0], a[1]); }},
    {"delete_spans", 2, [](const std::string& t, const Arguments& a) { return delete_spans(t, a[0], a[1]); }},
    {"before", 1, [](const std::string& t, const Arguments& a) { return before(t, t.find(a[0])); }},
    {"after", 1,
     [](const std::string& t, const Arguments& a) { return after(t, t.find(a[0]), a[0].size()); }},
    {"before_last", 1, [](const std::string& t, const Arguments& a) { return before(t, t.rfind(a[0])); }},
    {"after_last", 1,
     [](const std::string& t, const Arguments& a) { return after(t, t.rfind(a[0]), a[0].size()); }},
};
// Filters that look at other types: add(n), index_in(path), map(from, to, ...), each(filter).
const std::vector<std::string> kOtherFilters = {"add", "index_in", "map", "each"};

const TextFilter* find_text_filter(const std::string& name) {
  for (const TextFilter& filter : kTextFilters) {
    if (name == filter.name) return &filter;
  }
  return nullptr;
}

std::string as_text(const OrderedJson& value, const std::string& place) {
  if (value.is_string()) return value.get<std::string>();
  if (value.is_number() || value.is_boolean()) return value.dump();
  throw DataError(fmt::format("{}: found a JSON {}; expected text or a number", place, value.type_name()));
}

int64_t as_integer(const OrderedJson& value, const std::string& place) {
  if (value.is_number_integer()) return value.get<int64_t>();
  const std::string text(python_strip(as_text(value, place)));
  int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) {
    throw DataError(fmt::format("{}: found \"{}\"; expected an integer", place, text));
  }
  return number;
}

/// "a.b.0" -> {"a", "b", "0"}
std::vector<std::string> split_path(const std::string& text) { return split_outside(text, '.'); }

}  // namespace

std::vector<std::string> Template::filter_names() {
  std::vector<std::string> names = kOtherFilters;
  for (const TextFilter& filter : kTextFilters) names.emplace_back(filter.name);
  std::sort(names.begin(), names.end());
  return names;
}

Template::Template(std::string_view text, std::string place) : place_(std::move(place)) {
  while (true) {
    const size_t open = text.find("{{");
    if (open == std::string_view::npos) break;
    // A closing brace pair inside quotes belongs to an argument.
    bool quoted = false;
    size_t close = open + 2;
    for (; close + 1 < text.size(); ++close) {
      if (text[close] == '"' && text[close - 1] != '\\') quoted = !quoted;
      if (!quoted && text[close] == '}' && text[close + 1] == '}') break;
    }
    if (close + 1 >= text.size())
      throw ConfigError(fmt::format("{}: \"{}\" has {{{{ without }}}}", place_, text));
    Piece piece = parse_expression(text.substr(open + 2, close - open - 2));
    piece.literal = std::string(text.substr(0, open));
    pieces_.push_back(std::move(piece));
    text.remove_prefix(close + 2);
  }
  pieces_.push_back({std::string(text), {}, {}});
}

Template::Piece Template::parse_expression(std::string_view text) const {
  Piece piece;
  const std::vector<std::string> parts = split_outside(text, '|');
  piece.path = split_path(parts.empty() ? "" : parts.front());
  if (piece.path.empty() || piece.path.front().empty()) {
    throw ConfigError(fmt::format(
        "{}: \"{{{{{}}}}}\" names no field; write {{{{field}}}} or {{{{field|filter}}}}", place_, text));
  }
  for (size_t i = 1; i < parts.size(); ++i) {
    Filter filter;
    const size_t open = parts[i].find('(');
    filter.name = trim(parts[i].substr(0, open));
    if (open != std::string::npos) {
      if (parts[i].back() != ')')
        throw ConfigError(fmt::format("{}: filter \"{}\" lacks its closing parenthesis", place_, parts[i]));
      for (std::string argument : split_outside(parts[i].substr(open + 1, parts[i].size() - open - 2), ',')) {
        // The call parser's quoting rules serve for arguments as well.
        filter.arguments.push_back(
            parse_call("f(a=" + argument + ")", "template argument").args.front().second);
      }
    }
    const TextFilter* known = find_text_filter(filter.name);
    const auto names = filter_names();
    if (known == nullptr &&
        std::find(kOtherFilters.begin(), kOtherFilters.end(), filter.name) == kOtherFilters.end()) {
      throw ConfigError(fmt::format("{}: unknown filter \"{}\".{} Known: {}.", place_, filter.name,
                                    did_you_mean(filter.name, names), fmt::join(names, ", ")));
    }
    const size_t wanted = known != nullptr       ? known->arguments
                          : filter.name == "map" ? filter.arguments.size()
                                                 : 1;
    const bool odd_map =
        filter.name == "map" && (filter.arguments.empty() || filter.arguments.size() % 2 != 0);
    if (filter.arguments.size() != wanted || odd_map) {
      throw ConfigError(fmt::format("{}: filter {} has {} arguments; expected {}", place_, filter.name,
                                    filter.arguments.size(), odd_map ? "pairs" : std::to_string(wanted)));
    }
    if (filter.name == "each" && (find_text_filter(filter.arguments[0]) == nullptr ||
                                  find_text_filter(filter.arguments[0])->arguments != 0)) {
      throw ConfigError(
          fmt::format("{}: each(\"{}\") needs a text filter without arguments", place_, filter.arguments[0]));
    }
    piece.filters.push_back(std::move(filter));
  }
  return piece;
}

const OrderedJson& Template::look_up(const std::vector<std::string>& path, const OrderedJson& record) const {
  const OrderedJson* value = &record;
  std::string walked;
  for (const std::string& step : path) {
    walked += (walked.empty() ? "" : ".") + step;
    if (value->is_object() && value->contains(step)) {
      value = &value->at(step);
      continue;
    }
    size_t index = 0;
    const auto [end, error] = std::from_chars(step.data(), step.data() + step.size(), index);
    if (value->is_array() && error == std::errc() && end == step.data() + step.size() &&
        index < value->size()) {
      value = &value->at(index);
      continue;
    }
    std::vector<std::string> keys;
    if (value->is_object()) {
      for (const auto& [key, unused] : value->items()) keys.push_back(key);
    }
    throw DataError(fmt::format("{}: the record has no field \"{}\".{} Fields there: {}.", place_, walked,
                                did_you_mean(step, keys),
                                keys.empty() ? "none" : fmt::format("{}", fmt::join(keys, ", "))));
  }
  return *value;
}

OrderedJson Template::apply(const Filter& filter, OrderedJson value, const OrderedJson& record) const {
  const std::string place = fmt::format("{}, filter {}", place_, filter.name);
  if (const TextFilter* text = find_text_filter(filter.name))
    return text->apply(as_text(value, place), filter.arguments);
  if (filter.name == "add") return as_integer(value, place) + as_integer(filter.arguments[0], place);
  if (filter.name == "index_in") {
    const OrderedJson& list = look_up(split_path(filter.arguments[0]), record);
    const std::string wanted = as_text(value, place);
    for (size_t i = 0; i < list.size(); ++i) {
      if (as_text(list[i], place) == wanted) return i;
    }
    throw DataError(fmt::format("{}: \"{}\" is not in {}", place, wanted, list.dump()));
  }
  if (filter.name == "each") {
    if (!value.is_array())
      throw DataError(fmt::format("{}: found a JSON {}; expected a list", place, value.type_name()));
    const TextFilter* inner = find_text_filter(filter.arguments[0]);
    for (auto& element : value) element = inner->apply(as_text(element, place), {});
    return value;
  }
  QB_CHECK(filter.name == "map", filter.name);
  const std::string from = as_text(value, place);
  for (size_t i = 0; i + 1 < filter.arguments.size(); i += 2) {
    if (filter.arguments[i] == from) return filter.arguments[i + 1];
  }
  throw DataError(fmt::format("{}: \"{}\" is none of the mapped values", place, from));
}

OrderedJson Template::evaluate(const Piece& piece, const OrderedJson& record) const {
  OrderedJson value = look_up(piece.path, record);
  for (const Filter& filter : piece.filters) value = apply(filter, std::move(value), record);
  return value;
}

std::string Template::render(const OrderedJson& record) const {
  std::string text;
  for (const Piece& piece : pieces_) {
    text += piece.literal;
    if (!piece.path.empty()) text += as_text(evaluate(piece, record), place_);
  }
  return text;
}

OrderedJson Template::value(const OrderedJson& record) const {
  const bool single = pieces_.size() == 2 && pieces_[0].literal.empty() && pieces_[1].literal.empty();
  return single ? evaluate(pieces_[0], record) : OrderedJson(render(record));
}

}  // namespace qbench::tasks
