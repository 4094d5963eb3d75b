// A folder for one test, removed at its end.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <optional>
#include <string>

#include "harness/core/files.h"

namespace qbench::models {

class ScratchFolder : public ::testing::Test {
 protected:
  ScratchFolder()
      : dir_(std::filesystem::temp_directory_path() /
             ("qbench-models-" + std::to_string(::getpid()) + "-" + std::to_string(next_++))) {
    std::filesystem::create_directories(dir_);
  }
  ~ScratchFolder() override { std::filesystem::remove_all(dir_); }

  std::filesystem::path write(const std::filesystem::path& name, std::string_view content) const {
    std::filesystem::create_directories((dir_ / name).parent_path());
    write_file_atomically(dir_ / name, content);
    return dir_ / name;
  }

  std::filesystem::path dir_;

 private:
  static inline int next_ = 0;
};

/// Sets an environment variable (nullptr: unsets it) for the scope.
class ScopedVariable {
 public:
  ScopedVariable(const char* name, const char* value) : name_(name) {
    if (const char* old = std::getenv(name)) old_ = old;
    value != nullptr ? ::setenv(name, value, 1) : ::unsetenv(name);
  }
  ~ScopedVariable() { old_ ? ::setenv(name_, old_->c_str(), 1) : ::unsetenv(name_); }
  ScopedVariable(const ScopedVariable&) = delete;
  ScopedVariable& operator=(const ScopedVariable&) = delete;

 private:
  const char* name_;
  std::optional<std::string> old_;
};

/// The message of the exception that `call` throws, "" if it throws none of type E.
template <class E, class Call>
std::string message_of(Call call) {
  try {
    call();
  } catch (const E& error) {
    return error.what();
  }
  return "";
}

}  // namespace qbench::models
