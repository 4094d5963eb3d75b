// Texts: what perplexity is measured on and calibration samples are drawn from.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "harness/data/data_set.h"

namespace qbench::data {

/// A text found but not read.
struct TextRef {
  std::string name;    ///< data set name, "python_source", or the path as written
  std::string split;   ///< "" for files
  std::string join;    ///< how lines become the string
  std::string field;   ///< of JSON records; "" for plain text
  std::string sha256;  ///< of the stored file: identity before anything is read
  bool known = false;  ///< the hash is listed in the set's definition
  std::filesystem::path path;
  int64_t bytes = 0;  ///< of the stored file (compressed files: four times that), for cost estimates

  /// What protocols name: "en_wiki/test", or for a file "test.txt@1f2e3d4c" (its name and the start of its
  /// hash, not its place: the same text gives the same protocol on every machine).
  std::string title() const;
};

/// @param name   a text data set, "python_source", or a file
/// @param split  "" = the set's default
/// @param join   "default" = what the set declares ("none" for files)
/// @param file   overrides where the set's file lies; "" = look it up
/// @throws ConfigError, DataError
TextRef find_text(const std::string& name, const std::string& split = "", const std::string& join = "default",
                  const std::string& file = "");

/// The one string that is tokenised. @throws DataError if it is empty.
std::string read_text(const TextRef& ref);
/// Its documents: records of a JSON file, else pieces between blank lines. @throws DataError if there are
/// none.
std::vector<std::string> read_documents(const TextRef& ref);

/// Applies one of join_names().
std::string join_lines(std::string_view text, const std::string& join);
/// Lines with their newline kept; the last may lack it.
std::vector<std::string_view> lines_with_ends(std::string_view text);

}  // namespace qbench::data
