#include "harness/data/text.h"

#include <fmt/format.h>

#include <algorithm>

#include "harness/core/call.h"
#include "harness/core/errors.h"
#include "harness/data/python_source.h"
#include "harness/data/records.h"

namespace qbench::data {
namespace {

namespace fs = std::filesystem;

bool is_blank(std::string_view line) {
  return std::all_of(line.begin(), line.end(),
                     [](char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; });
}

std::string join_stripped(std::string_view text, std::string_view separator) {
  std::string joined;
  bool first = true;
  for (const std::string_view line : lines_with_ends(text)) {
    if (!first) joined += separator;
    joined += trim(line);
    first = false;
  }
  return joined;
}

bool holds_records(const fs::path& path) {
  fs::path name = path.filename();
  if (name.extension() == ".gz" || name.extension() == ".zst") name = name.stem();
  return name.extension() == ".jsonl" || name.extension() == ".json";
}

void describe_file(TextRef& ref, const Located& found) {
  ref.path = found.path;
  ref.sha256 = found.sha256;
  ref.known = found.known;
  std::error_code error;
  const auto size = static_cast<int64_t>(fs::file_size(found.path, error));
  const bool packed = found.path.extension() == ".zst" || found.path.extension() == ".gz";
  ref.bytes = packed ? size * 4 : size;
}

void check_text_name(const std::string& name) {
  std::error_code error;
  if (name.find('/') != std::string::npos || name.find('.') != std::string::npos || fs::exists(name, error))
    return;
  std::vector<std::string> known = {"python_source"};
  for (const DataSet& set : data_sets()) {
    if (set.kind == "text") known.push_back(set.name);
  }
  throw ConfigError(fmt::format("unknown text \"{}\".{} Name a file, or one of: {}.", name,
                                did_you_mean(name, known), fmt::join(known, ", ")));
}

}  // namespace

std::vector<std::string_view> lines_with_ends(std::string_view text) {
  std::vector<std::string_view> lines;
  size_t begin = 0;
  while (begin < text.size()) {
    const size_t newline = text.find('\n', begin);
    const size_t end = newline == std::string_view::npos ? text.size() : newline + 1;
    lines.push_back(text.substr(begin, end - begin));
    begin = end;
  }
  return lines;
}

std::string join_lines(std::string_view text, const std::string& join) {
  if (join == "none") return std::string(text);
  if (join == "sentences") return join_stripped(text, "\n\n");
  if (join == "spaces") return join_stripped(text, " ");
  QB_CHECK(join == "rows", join);
  std::string joined;
  bool first = true;
  for (const std::string_view line : lines_with_ends(text)) {
    if (!first) joined += "\n\n";
    if (!is_blank(line)) joined += line;
    first = false;
  }
  return joined;
}

TextRef find_text(const std::string& name, const std::string& split, const std::string& join,
                  const std::string& file) {
  TextRef ref;
  ref.name = name;
  ref.join = join == "default" ? "none" : join;
  if (name == "python_source" && file.empty()) {
    const PythonSource source = find_python_source();
    ref.path = source.folder;
    ref.sha256 = source.sha256;
    ref.bytes = source.bytes;
    return ref;
  }
  const DataSet* set = find_data_set(name);
  if (set == nullptr) {
    check_text_name(name);
    describe_file(ref, locate_file(file.empty() ? name : file));
    if (holds_records(ref.path)) ref.field = "text";
    return ref;
  }
  const Split& chosen = find_split(*set, split);
  ref.split = chosen.name;
  if (join == "default") ref.join = chosen.join;
  describe_file(ref, file.empty() ? locate(*set, split) : locate_file(file));
  if (!file.empty()) {
    ref.known = std::find(chosen.sha256.begin(), chosen.sha256.end(), ref.sha256) != chosen.sha256.end();
  }
  if (holds_records(ref.path)) ref.field = set->text_field;
  return ref;
}

std::string TextRef::title() const {
  if (!split.empty()) return name + "/" + split;
  if (name == "python_source" || sha256.empty()) return name;
  return fs::path(name).filename().string() + "@" + sha256.substr(0, 8);
}

std::string read_text(const TextRef& ref) {
  std::string text;
  if (ref.name == "python_source" && fs::is_directory(ref.path)) {
    text = read_python_source(ref.path);
  } else if (!ref.field.empty()) {
    for (const std::string& document : read_documents(ref)) {
      if (!text.empty()) text += "\n\n";
      text += document;
    }
  } else {
    text = join_lines(read_data_file(ref.path), ref.join);
  }
  if (text.empty())
    throw DataError(fmt::format("{}: the text is empty; nothing can be measured on it", ref.path.string()));
  return text;
}

std::vector<std::string> read_documents(const TextRef& ref) {
  std::vector<std::string> documents;
  if (!ref.field.empty()) {
    documents = read_field(ref.path, ref.field);
  } else {
    const bool folder = ref.name == "python_source" && fs::is_directory(ref.path);
    const std::string text = folder ? read_python_source(ref.path) : read_data_file(ref.path);
    std::string current;
    for (const std::string_view line : lines_with_ends(text)) {
      if (!is_blank(line)) {
        current += line;
      } else if (!current.empty()) {
        documents.push_back(std::move(current));
        current.clear();
      }
    }
    if (!current.empty()) documents.push_back(std::move(current));
    for (std::string& document : documents) {
      if (document.back() == '\n') document.pop_back();
    }
  }
  if (documents.empty()) throw DataError(fmt::format("{}: holds no document", ref.path.string()));
  return documents;
}

}  // namespace qbench::data
