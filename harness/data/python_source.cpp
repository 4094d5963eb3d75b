#include "harness/data/python_source.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <map>
#include <vector>

#include "harness/core/errors.h"
#include "harness/core/files.h"
#include "harness/core/hash.h"

namespace qbench::data {
namespace {

namespace fs = std::filesystem;

constexpr size_t kMaxBytes = 2'000'000;

/// N of "python3.N", or -1.
int minor_version(const std::string& name) {
  constexpr std::string_view prefix = "python3.";
  if (!name.starts_with(prefix)) return -1;
  int minor = -1;
  const auto [end, error] = std::from_chars(name.data() + prefix.size(), name.data() + name.size(), minor);
  return error == std::errc() && end == name.data() + name.size() ? minor : -1;
}

fs::path newest_library() {
  if (const char* named = std::getenv("QBENCH_PYTHON_SOURCE"); named != nullptr && *named != '\0') {
    if (!fs::is_directory(named))
      throw DataError(fmt::format("QBENCH_PYTHON_SOURCE={}: no such folder", named));
    return named;
  }
  std::map<int, fs::path> found;
  for (const char* root : {"/usr/lib", "/usr/local/lib"}) {
    std::error_code error;
    for (const auto& entry : fs::directory_iterator(root, error)) {
      const int minor = minor_version(entry.path().filename().string());
      if (minor >= 0 && fs::exists(entry.path() / "argparse.py", error))
        found.try_emplace(minor, entry.path());
    }
  }
  if (found.empty()) {
    throw DataError(
        "python_source: no Python standard library in /usr/lib/python3.* or /usr/local/lib/python3.*. "
        "Install python3, set "
        "QBENCH_PYTHON_SOURCE to a folder with .py files, or use text(file=PATH).");
  }
  return found.rbegin()->second;
}

}  // namespace

std::string read_python_source(const fs::path& folder) {
  std::vector<fs::path> modules;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder, error)) {
    if (entry.is_regular_file(error) && entry.path().extension() == ".py") modules.push_back(entry.path());
  }
  std::sort(modules.begin(), modules.end());
  std::string text;
  for (const fs::path& module : modules) {
    std::string content = read_text_file(module);
    if (text.size() + content.size() + 1 > kMaxBytes) break;
    text += content;
    text += '\n';
  }
  if (text.empty()) throw DataError(fmt::format("{}: holds no .py file", folder.string()));
  return text;
}

PythonSource find_python_source() {
  PythonSource source;
  source.folder = newest_library();
  const std::string text = read_python_source(source.folder);
  source.sha256 = sha256_hex(text);
  source.bytes = static_cast<int64_t>(text.size());
  return source;
}

}  // namespace qbench::data
