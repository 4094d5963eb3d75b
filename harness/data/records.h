// JSON records: one object per line, or one array of objects.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "harness/core/fields.h"

namespace qbench::data {

/// Objects in file order; their keys keep their order. @throws DataError with file and line.
std::vector<OrderedJson> read_records(const std::filesystem::path& path);
std::vector<OrderedJson> parse_records(std::string_view content, const std::string& place);
/// A file that is one JSON object, however it is broken into lines. @throws DataError
OrderedJson read_object(const std::filesystem::path& path);
/// One string field of every record. @throws DataError naming the line and the fields that are there.
std::vector<std::string> read_field(const std::filesystem::path& path, const std::string& field);

}  // namespace qbench::data
