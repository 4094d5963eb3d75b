// The kinds of failure the program distinguishes; each kind has its own exit code (see exit_code).
#pragma once

#include <source_location>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>

namespace qbench {

/// Base of every failure that is reported to a user. `what()` is one complete message: place, found,
/// expected, remedy.
class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
  /// Short stable name of the kind ("config", "data", ...), stored in failure rows.
  virtual std::string_view kind() const noexcept = 0;
  virtual int exit_code() const noexcept = 0;
};

/// The user's YAML, flags, recipe, scheme or task string.
class ConfigError final : public Error {
 public:
  using Error::Error;
  std::string_view kind() const noexcept override { return "config"; }
  int exit_code() const noexcept override { return 2; }
};

/// A model, tokenizer, text or task file.
class DataError final : public Error {
 public:
  using Error::Error;
  std::string_view kind() const noexcept override { return "data"; }
  int exit_code() const noexcept override { return 3; }
};

/// A computation that lost its meaning: not positive definite, not finite. Names layer, tensor and value.
class NumericError final : public Error {
 public:
  using Error::Error;
  std::string_view kind() const noexcept override { return "numeric"; }
  int exit_code() const noexcept override { return 1; }
};

/// The SQLite store: cannot be opened, written, or is of a newer schema.
class StoreError final : public Error {
 public:
  using Error::Error;
  std::string_view kind() const noexcept override { return "store"; }
  int exit_code() const noexcept override { return 4; }
};

/// A bug in qbench; thrown by QB_CHECK.
class InternalError final : public Error {
 public:
  using Error::Error;
  std::string_view kind() const noexcept override { return "internal"; }
  int exit_code() const noexcept override { return 70; }
};

inline constexpr int kExitOk = 0;
inline constexpr int kExitFailedCells = 1;
inline constexpr int kExitConfig = 2;
inline constexpr int kExitData = 3;
inline constexpr int kExitStore = 4;
inline constexpr int kExitBug = 70;

/// Exit code for any exception that reached main(): the kind's own, or kExitBug for foreign ones.
int exit_code(const std::exception& error) noexcept;

/// Rebuilds an error of the given kind from its message (a worker's failure, read back by the conductor).
[[noreturn]] void throw_error(std::string_view kind, const std::string& message);

/// The known name closest to `name` by edit distance, or "" if none is near enough to be a likely typo.
std::string nearest_name(std::string_view name, std::span<const std::string> known);

/// " Did you mean \"x\"?" or "" — the usual tail of an unknown-name message.
std::string did_you_mean(std::string_view name, std::span<const std::string> known);

[[noreturn]] void check_failed(const char* condition, const std::string& detail,
                               std::source_location where = std::source_location::current());

}  // namespace qbench

/// States an invariant of our own code. A violation is an InternalError with place and detail.
#define QB_CHECK(condition, detail)                                 \
  do {                                                              \
    if (!(condition)) ::qbench::check_failed(#condition, (detail)); \
  } while (false)
