// What no file of the project may say: places of one machine, hosts of a private package index, unfinished
// business.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <regex>
#include <string>
#include <vector>

#include "tests/lint/project_files.h"

namespace qbench::lint {
namespace {

/// Text of data sets and recorded cases is not ours to change; it is checked for nothing.
bool is_data(const std::string& file) {
  static const std::vector<std::string> folders = {"harness/data/", "tasks/data/", "tests/golden/",
                                                   "tests/fixtures/"};
  const bool inside =
      std::any_of(folders.begin(), folders.end(), [&](const auto& f) { return file.starts_with(f); });
  return inside && !has_ending(file, {".md", ".cpp", ".h", ".sh", ".py", ".cmake", "CMakeLists.txt"});
}

/// Calls check(file, line number, line) for every line of every text file that is not data.
template <class Check>
void for_each_line(const Check& check) {
  for (const std::string& file : project_files()) {
    if (is_data(file) || file.starts_with("tests/lint/")) continue;
    const std::string content = read_project_file(file);
    if (!is_text(content)) continue;
    const auto lines = lines_of(content);
    for (size_t i = 0; i < lines.size(); ++i) check(file, i + 1, lines[i]);
  }
}

TEST(ProjectText, NamesNoPathOfOneMachine) {
  static const std::regex path(R"((^|[\s"'`=(:])/(work|root|home/\w+|opt|tmp/\w+|Users/\w+|mnt/\w+)/)");
  for_each_line([](const std::string& file, size_t number, const std::string& line) {
    EXPECT_FALSE(std::regex_search(line, path)) << file << ":" << number << ": " << line;
  });
}

TEST(ProjectText, LinksOnlyToPublicHosts) {
  static const std::vector<std::string> known = {"github.com",
                                                 "raw.githubusercontent.com",
                                                 "gist.github.com",
                                                 "arxiv.org",
                                                 "huggingface.co",
                                                 "www.apache.org",
                                                 "apache.org",
                                                 "www.w3.org",
                                                 "creativecommons.org",
                                                 "doi.org",
                                                 "aclanthology.org",
                                                 "sqlite.org",
                                                 "www.sqlite.org",
                                                 "json-schema.org",
                                                 "cmake.org",
                                                 "google.github.io",
                                                 "en.wikipedia.org",
                                                 "spdx.org",
                                                 "openreview.net",
                                                 "unicode.org",
                                                 "www.unicode.org",
                                                 "gutenberg.org",
                                                 "www.gutenberg.org",
                                                 "dumps.wikimedia.org",
                                                 "keepachangelog.com",
                                                 "semver.org",
                                                 "example.com",
                                                 "rowanzellers.com",
                                                 "leaderboard.allenai.org",
                                                 "allenai.org",
                                                 "yonatanbisk.com",
                                                 "zenodo.org",
                                                 "nlp.stanford.edu",
                                                 "catalog.ldc.upenn.edu",
                                                 "storage.googleapis.com"};
  static const std::regex url(R"(https?://([A-Za-z0-9.-]+))");
  for_each_line([](const std::string& file, size_t number, const std::string& line) {
    for (std::sregex_iterator it(line.begin(), line.end(), url), end; it != end; ++it) {
      const std::string host = (*it)[1];
      EXPECT_NE(std::find(known.begin(), known.end(), host), known.end())
          << file << ":" << number << ": unknown host " << host
          << "; if it is public and meant, add it to this test";
    }
  });
}

TEST(ProjectText, HasNoUnfinishedBusiness) {
  static const std::regex marker(R"(\b(TODO|FIXME|XXX|HACK)\b)");
  for_each_line([](const std::string& file, size_t number, const std::string& line) {
    EXPECT_FALSE(std::regex_search(line, marker)) << file << ":" << number << ": " << line;
  });
}

TEST(ProjectText, HasNoConflictMarkersAndEndsItsLines) {
  for (const std::string& file : project_files()) {
    if (is_data(file)) continue;
    const std::string content = read_project_file(file);
    if (!is_text(content) || content.empty()) continue;
    EXPECT_EQ(content.back(), '\n') << file << ": no newline at the end";
    EXPECT_EQ(content.find("\n<<<<<<< "), std::string::npos) << file;
    EXPECT_EQ(content.find("\n>>>>>>> "), std::string::npos) << file;
    EXPECT_EQ(content.find('\r'), std::string::npos) << file << ": carriage return";
  }
}

/// Relative links of the Markdown files lead somewhere.
TEST(ProjectText, MarkdownLinksExist) {
  static const std::regex link(R"(\]\(([^)#:\s]+)(#[^)]*)?\))");
  for (const std::string& file : project_files()) {
    if (!file.ends_with(".md") || is_data(file)) continue;
    const auto folder = (source_dir() / file).parent_path();
    const std::string content = read_project_file(file);
    for (std::sregex_iterator it(content.begin(), content.end(), link), end; it != end; ++it) {
      EXPECT_TRUE(std::filesystem::exists(folder / (*it)[1].str()))
          << file << ": broken link to " << (*it)[1];
    }
  }
}

/// `folder/file.ext` in backticks is a promise too; <name> and * mark a pattern.
TEST(ProjectText, PathsNamedInContributingExist) {
  static const std::regex path(
      R"(`((harness|methods|tasks|results|reports|suites|tests)(/[A-Za-z0-9_.-]+)*/?)`)");
  const std::string content = read_project_file("CONTRIBUTING.md");
  for (std::sregex_iterator it(content.begin(), content.end(), path), end; it != end; ++it) {
    EXPECT_TRUE(std::filesystem::exists(source_dir() / (*it)[1].str()))
        << "CONTRIBUTING.md names " << (*it)[1];
  }
}

TEST(ProjectText, ScriptsAreExecutableAndParse) {
  for (const std::string file : {"quickstart", "check", ".ci/run", "harness/setup/setup.sh"}) {
    const std::string path = (source_dir() / file).string();
    EXPECT_EQ(run_command("test -x " + quote(path)).exit_code, 0) << file << " is not executable";
    const CommandResult parsed = run_command("bash -n " + quote(path));
    EXPECT_EQ(parsed.exit_code, 0) << parsed.output;
  }
}

TEST(ProjectText, ScriptsPassShellcheck) {
  if (run_command("command -v shellcheck").exit_code != 0) GTEST_SKIP() << "shellcheck is not installed";
  std::string line = "cd " + quote(source_dir().string()) + " && shellcheck -x quickstart check .ci/run";
  for (const std::string& file : project_files({"harness", "tests", "methods", "tasks"}, {".sh"}))
    line += " " + quote(file);
  const CommandResult result = run_command(line);
  EXPECT_EQ(result.exit_code, 0) << result.output;
}

TEST(ProjectText, SourcesAreFormatted) {
  const CommandResult version = run_command("clang-format --version");
  if (version.exit_code != 0) GTEST_SKIP() << "clang-format is not installed";
  if (version.output.find("version 14.") == std::string::npos)
    GTEST_SKIP() << "needs clang-format 14, whose choices are the project's";
  std::string line = "cd " + quote(source_dir().string()) + " && clang-format --dry-run --Werror";
  for (const std::string& file :
       project_files({"harness", "methods", "tasks", "results", "reports", "tests"}, {".h", ".cpp"})) {
    line += " " + quote(file);
  }
  const CommandResult result =
      run_command(line + " 2>&1 | sed -nE 's/^([^ :]+):[0-9]+:.*/\\1/p' | sort | uniq -c");
  EXPECT_EQ(result.output, "") << "run clang-format -i on these";
}

}  // namespace
}  // namespace qbench::lint
