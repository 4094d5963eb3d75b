// The project's own files as the lint tests see them, and how they run a command.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace qbench::lint {

std::filesystem::path source_dir();
/// Folder of the built programs (build/bin).
std::filesystem::path program_dir();

/// Paths relative to source_dir(), sorted: what git tracks or would track; without git every file outside
/// build folders.
std::vector<std::string> project_files();
/// Those of project_files() under one of `folders` whose name ends in one of `endings` (empty = any).
std::vector<std::string> project_files(const std::vector<std::string>& folders,
                                       const std::vector<std::string>& endings);

bool has_ending(const std::string& path, const std::vector<std::string>& endings);
std::string read_project_file(const std::string& path);
/// False for files with a NUL byte near their start.
bool is_text(const std::string& content);
std::vector<std::string> lines_of(const std::string& content);

struct CommandResult {
  int exit_code = -1;  ///< 128 + signal for a killed program
  std::string output;  ///< stdout and stderr
};
/// Runs a shell command line; quote() its parts.
CommandResult run_command(const std::string& command_line);
std::string quote(const std::string& argument);

}  // namespace qbench::lint
