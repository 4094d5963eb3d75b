#include "tests/lint/project_files.h"

#include <sys/wait.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <fstream>
#include <sstream>
#include <stdexcept>

namespace qbench::lint {
namespace {

namespace fs = std::filesystem;

std::vector<std::string> files_by_git() {
  const CommandResult listed = run_command("git -C " + quote(source_dir().string()) +
                                           " ls-files --cached --others --exclude-standard 2>/dev/null");
  if (listed.exit_code != 0) return {};
  std::vector<std::string> files = lines_of(listed.output);
  std::erase_if(files, [](const std::string& file) { return !fs::is_regular_file(source_dir() / file); });
  return files;
}

bool is_generated_folder(const std::string& name) {
  return name.starts_with("build") || name == ".git" || name == ".venv" || name == ".cache" ||
         name == "node_modules" || name.starts_with("qbench-");
}

std::vector<std::string> files_by_walking() {
  std::vector<std::string> files;
  for (auto it = fs::recursive_directory_iterator(source_dir()); it != fs::recursive_directory_iterator();
       ++it) {
    if (it->is_directory() && is_generated_folder(it->path().filename())) {
      it.disable_recursion_pending();
    } else if (it->is_regular_file()) {
      files.push_back(fs::relative(it->path(), source_dir()).generic_string());
    }
  }
  return files;
}

}  // namespace

fs::path source_dir() { return QBENCH_TEST_SOURCE_DIR; }
fs::path program_dir() { return QBENCH_TEST_PROGRAM_DIR; }

std::vector<std::string> project_files() {
  std::vector<std::string> files = files_by_git();
  if (files.empty()) files = files_by_walking();
  std::sort(files.begin(), files.end());
  files.erase(std::unique(files.begin(), files.end()), files.end());
  return files;
}

std::vector<std::string> project_files(const std::vector<std::string>& folders,
                                       const std::vector<std::string>& endings) {
  std::vector<std::string> files = project_files();
  std::erase_if(files, [&](const std::string& file) {
    const bool inside =
        std::any_of(folders.begin(), folders.end(), [&](const auto& f) { return file.starts_with(f + "/"); });
    return !inside || !has_ending(file, endings);
  });
  return files;
}

bool has_ending(const std::string& path, const std::vector<std::string>& endings) {
  return endings.empty() || std::any_of(endings.begin(), endings.end(),
                                        [&](const std::string& ending) { return path.ends_with(ending); });
}

std::string read_project_file(const std::string& path) {
  std::ifstream file(source_dir() / path, std::ios::binary);
  if (!file) throw std::runtime_error(path + ": cannot be read");
  std::ostringstream content;
  content << file.rdbuf();
  return std::move(content).str();
}

bool is_text(const std::string& content) { return content.substr(0, 8192).find('\0') == std::string::npos; }

std::vector<std::string> lines_of(const std::string& content) {
  std::vector<std::string> lines;
  std::istringstream stream(content);
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

CommandResult run_command(const std::string& command_line) {
  FILE* pipe = ::popen(("{ " + command_line + "\n} 2>&1 </dev/null").c_str(), "r");
  if (pipe == nullptr) throw std::runtime_error("cannot start: " + command_line);
  CommandResult result;
  std::array<char, 4096> chunk{};
  for (size_t n = 0; (n = std::fread(chunk.data(), 1, chunk.size(), pipe)) > 0;)
    result.output.append(chunk.data(), n);
  const int status = ::pclose(pipe);
  result.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return result;
}

std::string quote(const std::string& argument) {
  std::string quoted = "'";
  for (const char c : argument) quoted += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return quoted + "'";
}

}  // namespace qbench::lint
