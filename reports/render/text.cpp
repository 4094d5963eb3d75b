#include "reports/render/text.h"

#include <algorithm>
#include <sstream>
#include <vector>

namespace qbench::reports {
namespace {

void trim_line(std::string& text) {
  while (!text.empty() && text.back() == ' ') text.pop_back();
}

const char* color_of(Tone tone) {
  switch (tone) {
    case Tone::kGood:
      return "\x1b[32m";
    case Tone::kBad:
      return "\x1b[31m";
    case Tone::kWarn:
      return "\x1b[33m";
    case Tone::kDim:
      return "\x1b[2m";
    default:
      return "";
  }
}

struct Widths {
  size_t text = 0, suffix = 0;
  size_t all() const { return text + suffix; }
};

/// Breaks at the separators of names so that no line is longer than `width` unless one word is.
std::vector<std::string> wrapped_name(const std::string& name, size_t width) {
  std::vector<std::string> lines = {""};
  std::string word;
  const auto flush = [&] {
    if (!lines.back().empty() && display_width(lines.back() + word) > width) lines.emplace_back();
    lines.back() += word;
    word.clear();
  };
  for (const char c : name) {
    word += c;
    if (c == '_' || c == ' ' || c == '(' || c == ',' || c == '/') flush();
  }
  flush();
  for (auto& line : lines) trim_line(line);
  return lines;
}

/// Titles of columns break so that a long one does not push the numbers apart.
std::vector<std::string> title_lines(const TableColumn& column) {
  constexpr size_t kTitleWidth = 14;
  return wrapped_name(terminal_escape(column.title), kTitleWidth);
}

std::vector<Widths> column_widths(const Table& table) {
  std::vector<Widths> widths(table.columns.size());
  for (const auto& row : table.rows) {
    for (size_t c = 0; c < row.size(); ++c) {
      widths[c].text = std::max(widths[c].text, display_width(terminal_escape(row[c].text)));
      widths[c].suffix = std::max(widths[c].suffix, row[c].suffix.size());
    }
  }
  for (size_t c = 0; c < widths.size(); ++c) {
    size_t title = 0;
    for (const auto& line : title_lines(table.columns[c])) title = std::max(title, display_width(line));
    if (title > widths[c].all()) widths[c].text = title - widths[c].suffix;
  }
  return widths;
}

std::string padding(size_t width, size_t used) { return std::string(width > used ? width - used : 0, ' '); }

std::string padded(const std::string& text, size_t width, bool right) {
  const std::string fill = padding(width, display_width(text));
  return right ? fill + text : text + fill;
}

std::string terminal_cell(const Value& value, const Widths& width, bool numeric, bool color) {
  // Words in a numeric column ("failed") end where the numbers end.
  const std::string body = padded(terminal_escape(value.text), width.text, numeric) + value.suffix +
                           padding(width.suffix, value.suffix.size());
  const char* tone = color ? color_of(value.tone) : "";
  return *tone == '\0' ? body : tone + body + "\x1b[0m";
}

/// A heading of one column or of a group of them.
struct Heading {
  size_t start, width;
  bool right;
  std::vector<std::string> lines;
};

/// Headings side by side; their last lines stand in one row.
std::string stacked(const std::vector<Heading>& headings) {
  size_t height = 0;
  for (const Heading& heading : headings) height = std::max(height, heading.lines.size());
  std::string text;
  for (size_t i = 0; i < height; ++i) {
    std::string line;
    for (const Heading& heading : headings) {
      const size_t skipped = height - heading.lines.size();
      line += padding(heading.start, display_width(line));
      if (i >= skipped) line += padded(heading.lines[i - skipped], heading.width, heading.right);
    }
    trim_line(line);
    text += line + "\n";
  }
  return text;
}

std::string headings(const Table& table, const std::vector<Widths>& widths) {
  std::vector<Heading> groups, titles;
  size_t position = 0;
  for (size_t c = 0; c < table.columns.size();) {
    size_t last = c, width = 0;
    while (last < table.columns.size() && table.columns[last].group == table.columns[c].group) {
      const TableColumn& column = table.columns[last];
      titles.push_back({position + width + 2, widths[last].all(), column.numeric, title_lines(column)});
      width += 2 + widths[last++].all();
    }
    const std::string group = terminal_escape(table.columns[c].group);
    if (!group.empty()) groups.push_back({position + 2, width - 2, true, wrapped_name(group, width - 2)});
    position += width;
    c = last;
  }
  return stacked(groups) + stacked(titles);
}

}  // namespace

size_t display_width(const std::string& text) {
  return static_cast<size_t>(std::count_if(
      text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }));
}

std::string terminal_escape(const std::string& text) {
  std::string safe = text;
  for (char& c : safe) {
    if (c == '\n' || c == '\t') c = ' ';
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = '?';
  }
  return safe;
}

std::string markdown_escape(const std::string& text) {
  std::string safe;
  for (const char c : text) {
    if (c == '\n' || c == '\r') {
      safe += ' ';
    } else if (c == '<') {
      safe += "&lt;";
    } else {
      if (c == '|' || c == '\\' || c == '*' || c == '_' || c == '`' || c == '[' || c == ']') safe += '\\';
      safe += c;
    }
  }
  return safe;
}

std::string terminal_table(const Table& table, bool color) {
  const auto widths = column_widths(table);
  std::string text =
      color ? "\x1b[1m" + terminal_escape(table.title) + "\x1b[0m\n" : terminal_escape(table.title) + "\n";
  text += headings(table, widths);
  for (const Widths& width : widths) {
    text += "  ";
    for (size_t i = 0; i < width.all(); ++i) text += "─";
  }
  text += "\n";
  for (const auto& row : table.rows) {
    std::string line;
    for (size_t c = 0; c < row.size(); ++c)
      line += "  " + terminal_cell(row[c], widths[c], table.columns[c].numeric, color);
    trim_line(line);
    text += line + "\n";
  }
  return text;
}

std::string terminal_paragraph(const std::string& text) {
  constexpr size_t kWidth = 106;
  std::string result, line;
  std::istringstream words(terminal_escape(text));
  for (std::string word; words >> word;) {
    if (!line.empty() && display_width(line) + 1 + display_width(word) > kWidth) {
      result += "    " + line + "\n";
      line.clear();
    }
    line += (line.empty() ? "" : " ") + word;
  }
  return line.empty() ? result : result + "    " + line + "\n";
}

std::string markdown_table(const Table& table, int heading_level) {
  std::string text =
      std::string(static_cast<size_t>(heading_level), '#') + " " + markdown_escape(table.title) + "\n\n";
  if (!table.caption.empty()) text += markdown_escape(table.caption) + "\n\n";
  std::string rule = "|";
  text += "|";
  for (const auto& column : table.columns) {
    text += " " + markdown_escape(column.title) + " |";
    rule += column.numeric ? " ---: |" : " --- |";
  }
  text += "\n" + rule + "\n";
  for (const auto& row : table.rows) {
    text += "|";
    for (const auto& value : row)
      text += " " + markdown_escape(value.text) + markdown_escape(value.suffix) + " |";
    text += "\n";
  }
  return text + "\n";
}

std::string csv_field(const std::string& text) {
  if (text.find_first_of(",\"\n\r") == std::string::npos) return text;
  std::string quoted = "\"";
  for (const char c : text) {
    if (c == '"') quoted += '"';
    quoted += c;
  }
  return quoted + "\"";
}

}  // namespace qbench::reports
