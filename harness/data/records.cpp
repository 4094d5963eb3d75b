#include "harness/data/records.h"

#include <fmt/format.h>

#include "harness/core/errors.h"
#include "harness/data/data_set.h"
#include "harness/data/text.h"

namespace qbench::data {
namespace {

/// Nesting deeper than any data set's, shallow enough for the parser's stack.
bool too_deep(std::string_view text) {
  int depth = 0;
  bool quoted = false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (quoted) {
      if (c == '\\')
        ++i;
      else if (c == '"')
        quoted = false;
    } else if (c == '"') {
      quoted = true;
    } else if (c == '[' || c == '{') {
      if (++depth > 200) return true;
    } else if (c == ']' || c == '}') {
      --depth;
    }
  }
  return false;
}

OrderedJson parse_json(std::string_view text, const std::string& place) {
  if (too_deep(text)) throw DataError(fmt::format("{}: JSON nested deeper than 200 levels", place));
  try {
    return OrderedJson::parse(text);
  } catch (const OrderedJson::exception& error) {
    throw DataError(fmt::format("{}: not valid JSON ({})", place, error.what()));
  }
}

void require_object(const OrderedJson& record, const std::string& place) {
  if (!record.is_object()) {
    throw DataError(fmt::format("{}: found a JSON {}; expected an object", place, record.type_name()));
  }
}

}  // namespace

std::vector<OrderedJson> parse_records(std::string_view content, const std::string& place) {
  std::vector<OrderedJson> records;
  const size_t first = content.find_first_not_of(" \t\r\n");
  if (first != std::string_view::npos && content[first] == '[') {
    OrderedJson all = parse_json(content, place);
    for (size_t i = 0; i < all.size(); ++i) {
      require_object(all[i], fmt::format("{}[{}]", place, i));
      records.push_back(std::move(all[i]));
    }
    return records;
  }
  size_t line_number = 0;
  for (const std::string_view line : lines_with_ends(content)) {
    ++line_number;
    if (line.find_first_not_of(" \t\r\n") == std::string_view::npos) continue;
    const std::string where = fmt::format("{}:{}", place, line_number);
    records.push_back(parse_json(line, where));
    require_object(records.back(), where);
  }
  return records;
}

std::vector<OrderedJson> read_records(const std::filesystem::path& path) {
  auto records = parse_records(read_data_file(path), path.string());
  if (records.empty())
    throw DataError(fmt::format("{}: holds no JSON object; expected one per line", path.string()));
  return records;
}

OrderedJson read_object(const std::filesystem::path& path) {
  OrderedJson object = parse_json(read_data_file(path), path.string());
  require_object(object, path.string());
  return object;
}

std::vector<std::string> read_field(const std::filesystem::path& path, const std::string& field) {
  std::vector<std::string> values;
  for (const OrderedJson& record : read_records(path)) {
    if (!record.contains(field) || !record.at(field).is_string()) {
      std::vector<std::string> keys;
      for (const auto& [key, value] : record.items()) keys.push_back(key);
      throw DataError(fmt::format("{}: record {} has no text field \"{}\".{} Fields there: {}.",
                                  path.string(), values.size() + 1, field, did_you_mean(field, keys),
                                  fmt::join(keys, ", ")));
    }
    values.push_back(record.at(field).get<std::string>());
  }
  return values;
}

}  // namespace qbench::data
