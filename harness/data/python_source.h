// The code corpus: the standard library of a Python found on the machine.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

namespace qbench::data {

struct PythonSource {
  std::filesystem::path folder;  ///< ".../python3.11"
  std::string sha256;            ///< over the names and contents that read_python_source() joins
  int64_t bytes = 0;
};

/// The newest python3.N below /usr/lib, /usr/local/lib (or the folder QBENCH_PYTHON_SOURCE). @throws
/// DataError if there is none.
PythonSource find_python_source();

/// The modules at the top of the folder, sorted by name, joined with a newline, up to 2 MB.
std::string read_python_source(const std::filesystem::path& folder);

}  // namespace qbench::data
