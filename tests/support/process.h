// Runs the built programs as a user would and collects what they print.
#pragma once

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace qbench::testing_support {

struct ProcessResult {
  int exit_code = -1;  ///< 128 + signal if killed by one
  std::string out, err;
};

/// A fresh folder that vanishes with the test.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "qbench-test-XXXXXX").string();
    path_ = ::mkdtemp(name.data());
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path operator/(const std::string& name) const { return path_ / name; }

 private:
  std::filesystem::path path_;
};

inline std::string slurp(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return std::move(text).str();
}

inline void spill(const std::filesystem::path& path, const std::string& text) {
  std::ofstream(path, std::ios::binary) << text;
}

/// A program started in `folder`; output goes to files so that it never blocks.
class Process {
 public:
  Process(std::vector<std::string> command, const std::filesystem::path& folder,
          std::vector<std::pair<std::string, std::string>> environment = {}) {
    pid_ = ::fork();
    if (pid_ == 0) {
      if (::chdir(folder.c_str()) != 0) ::_exit(126);
      for (const auto& [key, value] : environment) ::setenv(key.c_str(), value.c_str(), 1);
      redirect(STDOUT_FILENO, logs_ / "out");
      redirect(STDERR_FILENO, logs_ / "err");
      redirect_input();
      std::vector<char*> arguments;
      for (std::string& word : command) arguments.push_back(word.data());
      arguments.push_back(nullptr);
      ::execv(arguments.front(), arguments.data());
      ::_exit(127);
    }
  }
  pid_t pid() const { return pid_; }
  void signal(int number) const { ::kill(pid_, number); }
  bool running() {
    if (finished_) return false;
    if (::waitpid(pid_, &status_, WNOHANG) == pid_) finished_ = true;
    return !finished_;
  }
  std::string out() const { return slurp(logs_ / "out"); }
  ProcessResult wait() {
    if (!finished_) ::waitpid(pid_, &status_, 0);
    finished_ = true;
    return {WIFSIGNALED(status_) ? 128 + WTERMSIG(status_) : WEXITSTATUS(status_), slurp(logs_ / "out"),
            slurp(logs_ / "err")};
  }

 private:
  static void redirect(int fd, const std::filesystem::path& file) {
    const int target = ::open(file.c_str(), O_CREAT | O_WRONLY | O_TRUNC, 0600);
    ::dup2(target, fd);
  }
  static void redirect_input() { ::dup2(::open("/dev/null", O_RDONLY), STDIN_FILENO); }

  TemporaryFolder logs_;
  pid_t pid_ = -1;
  int status_ = 0;
  bool finished_ = false;
};

inline ProcessResult run_process(std::vector<std::string> command, const std::filesystem::path& folder,
                                 std::vector<std::pair<std::string, std::string>> environment = {}) {
  return Process(std::move(command), folder, std::move(environment)).wait();
}

/// Children of a process, by /proc.
inline std::vector<pid_t> children(pid_t parent) {
  std::vector<pid_t> found;
  std::ifstream file("/proc/" + std::to_string(parent) + "/task/" + std::to_string(parent) + "/children");
  for (pid_t child = 0; file >> child;) found.push_back(child);
  return found;
}

/// Polls `condition` for at most `seconds`; true once it holds.
template <class Condition>
bool eventually(double seconds, Condition condition) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::duration<double>(seconds);
  while (std::chrono::steady_clock::now() < end) {
    if (condition()) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return condition();
}

}  // namespace qbench::testing_support
