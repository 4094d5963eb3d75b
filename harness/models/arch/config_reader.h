// Reads config.json leniently where the hub is (bare NaN and Infinity, two spellings of the rotary keys) and
// strictly otherwise: every problem of the file is collected and reported at once.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "harness/core/fields.h"
#include "harness/models/architecture.h"

namespace qbench::models {

/// Parses JSON that may hold the bare words NaN, Infinity and -Infinity; they become {"__float__":
/// "Infinity"}, the spelling of transformers 5. @throws DataError naming the file and the place.
OrderedJson parse_lenient_json(const std::string& text, const std::string& where);

class ConfigReader {
 public:
  /// @throws DataError if the file is missing, no JSON, or no object.
  explicit ConfigReader(const std::filesystem::path& path);
  /// A part of another config (rope_scaling); problems go to the parent.
  ConfigReader(ConfigReader& parent, const OrderedJson& object, std::string prefix);

  const OrderedJson& json() const { return *object_; }
  const std::string& where() const { return where_; }
  /// Present and not null.
  bool has(std::string_view key) const;

  /// The value, or `fallback` if absent or null; without a fallback the key is required. Bad values become
  /// problems.
  int64_t integer(const char* key, int64_t lo, int64_t hi, std::optional<int64_t> fallback = std::nullopt);
  double number(const char* key, double lo, double hi, std::optional<double> fallback = std::nullopt);
  bool boolean(const char* key, bool fallback);
  std::string string(const char* key, const std::string& fallback);
  /// A token id, or the first of a list of ids; `fallback` if absent, -1 if null.
  int64_t token_id(const char* key, int64_t fallback);
  /// The object under `key`, or nullptr.
  const OrderedJson* object(const char* key);

  void problem(std::string text);
  /// @throws DataError with all problems, if there are any.
  void finish() const;

 private:
  const OrderedJson* find(const char* key) const;
  void expected(const char* key, const OrderedJson& found, const std::string& what);

  OrderedJson owned_;
  const OrderedJson* object_;
  std::string where_, prefix_;
  ConfigReader* parent_ = nullptr;
  std::vector<std::string> problems_;
};

/// Rotary keys of either spelling: rope_theta + rope_scaling, or rope_parameters. Needs head_dim and
/// max_position.
void read_rope(ConfigReader& config, Architecture& architecture);
/// Writes both spellings.
void write_rope(const Architecture& architecture, OrderedJson& json);

/// Sanity of sizes, whatever the container: positive, bounded, heads divide. Appends to `problems`.
void check_architecture(const Architecture& architecture, std::vector<std::string>& problems);

/// One message from many problems: "WHERE: 2 problems:\n  first\n  second"; long lists are cut with a count.
std::string list_problems(const std::string& where, const std::vector<std::string>& problems);

}  // namespace qbench::models
