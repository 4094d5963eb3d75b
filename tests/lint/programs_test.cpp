// The built program against the project's own texts: every suite plans, every command that the documents show
// exists, and an installed copy finds its data.
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <regex>
#include <set>
#include <string>
#include <vector>

#include "tests/lint/project_files.h"

namespace qbench::lint {
namespace {

namespace fs = std::filesystem;

constexpr int kExitData = 3;  // harness/core/errors.h; restated because scripts rely on the number

std::string qbench() { return quote((program_dir() / "qbench").string()); }

class Programs : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!fs::exists(program_dir() / "qbench")) GTEST_SKIP() << "bin/qbench is not built";
  }
};

/// A suite may name a model or a text that this machine does not have (exit code 3); it must not be wrong in
/// itself.
TEST_F(Programs, EverySuitePlans) {
  size_t planned = 0;
  for (const std::string& suite : project_files({"suites"}, {".yaml"})) {
    const CommandResult result = run_command(qbench() + " plan " + quote((source_dir() / suite).string()));
    EXPECT_TRUE(result.exit_code == 0 || result.exit_code == kExitData)
        << suite << ": exit " << result.exit_code << "\n"
        << result.output;
    planned += result.exit_code == 0 ? 1 : 0;
  }
  if (planned == 0 && !HasFailure()) GTEST_SKIP() << "no suite's models and data are on this machine";
}

/// Lines of fenced blocks that begin with a program of ours, prompts removed.
std::vector<std::string> shown_commands(const std::string& markdown) {
  static const std::regex command(R"(^\s*(\$ )?((build/bin/)?qbench|\./[A-Za-z._/-]+)(\s.*)?$)");
  std::vector<std::string> found;
  bool fenced = false;
  for (const std::string& line : lines_of(markdown)) {
    if (line.starts_with("```")) fenced = !fenced;
    std::smatch match;
    if (fenced && std::regex_match(line, match, command)) found.push_back(match[2].str() + match[4].str());
  }
  return found;
}

TEST_F(Programs, DocumentedCommandsExist) {
  static const std::regex words(R"(^(\S+)\s*([a-z]*))");
  std::set<std::string> known;
  for (const std::string& file : project_files()) {
    if (!file.ends_with(".md")) continue;
    for (const std::string& line : shown_commands(read_project_file(file))) {
      std::smatch match;
      ASSERT_TRUE(std::regex_search(line, match, words)) << line;
      const std::string program = match[1], verb = match[2];
      if (program.starts_with("./")) {
        EXPECT_TRUE(fs::exists(source_dir() / program)) << file << ": " << line;
      } else if (!verb.empty() && known.insert(verb).second) {
        EXPECT_EQ(run_command(qbench() + " " + verb + " --help").exit_code, 0) << file << ": " << line;
      }
    }
  }
}

TEST_F(Programs, InstalledCopyFindsItsData) {
  std::string folder = (fs::temp_directory_path() / "qbench install XXXXXX").string();
  ASSERT_NE(::mkdtemp(folder.data()), nullptr);
  const CommandResult installed = run_command(
      "cmake --install " + quote(program_dir().parent_path().string()) + " --prefix " + quote(folder));
  EXPECT_EQ(installed.exit_code, 0) << installed.output;
  for (const char* part : {"bin/qbench", "bin/qbench-worker", "share/qbench/suites", "share/qbench/tasks"}) {
    EXPECT_TRUE(fs::exists(fs::path(folder) / part)) << part;
  }
  const std::string run = "cd / && env -u QBENCH_SHARE " + quote(folder + "/bin/qbench");
  for (const char* arguments : {" --version", " describe tasks --json", " describe methods --json"}) {
    const CommandResult result = run_command(run + arguments);
    EXPECT_EQ(result.exit_code, 0) << arguments << "\n" << result.output;
  }
  // Same answer from the installed data as from the source tree: nothing was left behind.
  EXPECT_EQ(run_command(run + " describe tasks --json").output,
            run_command(qbench() + " describe tasks --json").output);
  fs::remove_all(folder);
}

}  // namespace
}  // namespace qbench::lint
