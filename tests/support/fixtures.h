// Where tests find their inputs: the project's own fixtures, the optional shared/ folder beside the project,
// and the extra golden cases that QBENCH_GOLDEN names.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace qbench::testing_support {

inline std::filesystem::path source_dir() { return QBENCH_TEST_SOURCE_DIR; }

/// shared/ beside the project (or QBENCH_SHARED), absent on a user's machine.
inline std::optional<std::filesystem::path> shared_dir() {
  const char* named = std::getenv("QBENCH_SHARED");
  const std::filesystem::path path =
      named != nullptr ? std::filesystem::path(named) : source_dir().parent_path() / "shared";
  return std::filesystem::is_directory(path) ? std::optional(path) : std::nullopt;
}

/// Folders that hold cases of a golden area ("eval", "methods_weight", ...): the project's copy, then
/// $QBENCH_GOLDEN's.
inline std::vector<std::filesystem::path> golden_roots(const std::string& area) {
  std::vector<std::filesystem::path> roots = {source_dir() / "tests" / "golden" / area};
  if (const char* extra = std::getenv("QBENCH_GOLDEN"); extra != nullptr && *extra != '\0') {
    roots.push_back(std::filesystem::path(extra) / area);
  }
  std::erase_if(roots, [](const auto& root) { return !std::filesystem::is_directory(root); });
  return roots;
}

/// The smollm2-135m GGUF of the model folder, if it has been set up.
inline std::optional<std::filesystem::path> smollm2_gguf() {
  const char* home = std::getenv("QBENCH_HOME");
  const char* user = std::getenv("HOME");
  std::filesystem::path base =
      home != nullptr ? home : std::filesystem::path(user != nullptr ? user : "/") / ".cache" / "qbench";
  const auto path = base / "models" / "smollm2-135m" / "SmolLM2-135M-Instruct.Q4_1.gguf";
  return std::filesystem::exists(path) ? std::optional(path) : std::nullopt;
}

}  // namespace qbench::testing_support

/// First line of a test that reads shared/: skips, saying so, where it is absent.
#define QB_REQUIRE_SHARED()                                                                           \
  const auto shared_maybe = ::qbench::testing_support::shared_dir();                                  \
  if (!shared_maybe)                                                                                  \
    GTEST_SKIP() << "shared/ is not beside the project; this test reads data that cannot be shipped"; \
  [[maybe_unused]] const std::filesystem::path& shared = *shared_maybe
