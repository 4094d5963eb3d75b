// Opening of the store's SQLite file: pragmas, migrations, and messages that say what to do.
#pragma once

#include <SQLiteCpp/SQLiteCpp.h>

#include <filesystem>
#include <memory>
#include <string_view>

namespace qbench::results {

/// For writing: creates the file and its folder, WAL with full synchronisation, migrates. @throws StoreError.
std::unique_ptr<SQLite::Database> open_database(const std::filesystem::path& path);

/// For reading only. A file of an older schema is migrated in a copy in memory. @throws StoreError.
std::unique_ptr<SQLite::Database> open_database_readonly(const std::filesystem::path& path);

/// Rethrows an SQLite error as StoreError: file, what was being done, SQLite's code and words, remedy.
[[noreturn]] void throw_store_error(const std::filesystem::path& path, std::string_view doing,
                                    const SQLite::Exception& error);

}  // namespace qbench::results
