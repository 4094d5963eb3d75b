// Data sets by name: where their files are looked for, what is known about them, and how to get what is
// absent. Each set is one YAML file in harness/data/sets. Shipped corpora and the user's own copies are found
// the same way.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace qbench::data {

/// How the lines of a text file become the one string that is tokenised.
///   none       the file as it is
///   rows       each line is a row that keeps its newline, blank rows are empty; rows joined with two
///   newlines sentences  lines stripped, joined with two newlines spaces     lines stripped, joined with one
///   space
const std::vector<std::string>& join_names();

struct Split {
  std::string name;
  std::vector<std::string> files;  ///< looked for in each place; may hold "{part}"
  std::string shipped;             ///< path below the share folder; "" when the program does not ship it
  std::string join = "none";
  std::vector<std::string> sha256;  ///< of known files (as stored, uncompressed)
};

struct DataSet {
  std::string name;
  std::string kind;  ///< "text" (one string), "records" (JSON lines)
  std::string summary;
  std::string licence;
  std::string get;                  ///< how a user gets the files
  std::string hub;                  ///< "org/name" in the hub's data-set cache, or ""
  std::string text_field = "text";  ///< of records used as text
  std::string default_split;
  std::vector<Split> splits;
  std::vector<std::string> parts;  ///< legal values of {part}
};

/// All sets, sorted by name. @throws DataError if a shipped definition is broken.
const std::vector<DataSet>& data_sets();
std::vector<std::string> data_set_names();
/// nullptr if there is none of that name.
const DataSet* find_data_set(const std::string& name);

struct Located {
  std::filesystem::path path;
  std::string sha256;  ///< of the stored file
  bool known = false;  ///< the hash is one of those the definition lists
};

/// Finds a file of a set: shipped, below $QBENCH_DATA, below QBENCH_HOME/data, in the hub cache.
/// @param split  "" = the set's default
/// @throws ConfigError for an unknown split or part, DataError when the file is absent (says where it was
/// looked for and how to get it).
/// @param argument  the parameter by which a user may name the file instead, for the message
Located locate(const DataSet& set, const std::string& split, const std::string& part = "",
               const std::string& argument = "file");
std::optional<Located> try_locate(const DataSet& set, const std::string& split, const std::string& part = "");
/// A file given by its path. Relative paths are tried as they are, then below $QBENCH_DATA. @throws
/// DataError.
Located locate_file(const std::string& path);
/// The split of that name ("" = default). @throws ConfigError.
const Split& find_split(const DataSet& set, const std::string& split);

/// File content; `.zst` and `.gz` are decompressed. @throws DataError.
std::string read_data_file(const std::filesystem::path& path);

}  // namespace qbench::data
