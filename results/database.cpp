#include "results/database.h"

#include <SQLiteCpp/Backup.h>
#include <fmt/format.h>
#include <sqlite3.h>

#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "harness/core/errors.h"
#include "results/store.h"

namespace qbench::results {

const std::vector<std::pair<std::string_view, std::string_view>>&
migrations();  // generated from results/migrations

namespace {

constexpr int kApplicationId = 0x71626e63;  // "qbnc": tells our files from other programs' databases
constexpr int kBusyTimeoutMs = 60'000;      // another process may be in a commit or a checkpoint

std::string_view remedy(int code) {
  switch (code) {
    case SQLITE_NOTADB:
      return "This is no SQLite file: give another file, or move this one away.";
    case SQLITE_READONLY:
      return "Make the file and its folder writable (SQLite writes -wal and -shm files beside it), or give "
             "another file.";
    case SQLITE_CANTOPEN:
      return "Check that the folder exists, is writable, and that the name is not a folder.";
    case SQLITE_FULL:
      return "The disk is full: free some space and run again; finished steps are kept, nothing was "
             "half-written.";
    case SQLITE_IOERR:
      return "The disk refused (full, over quota, or failing): check it and run again; finished steps are "
             "kept.";
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return "Another process holds the store: wait for it or stop it, then run again.";
    case SQLITE_CORRUPT:
      return "The file is damaged: restore a copy, or give another file to measure into.";
    case SQLITE_PERM:
    case SQLITE_AUTH:
      return "Check the permissions of the file and its folder.";
    default:
      return "Check the file with `sqlite3 FILE 'PRAGMA integrity_check'`.";
  }
}

int pragma_int(SQLite::Database& db, const char* sql) { return db.execAndGet(sql).getInt(); }

[[noreturn]] void foreign_database(const std::filesystem::path& path) {
  throw StoreError(fmt::format(
      "{}: found an SQLite database of another program; expected a qbench store. Give another file.",
      path.string()));
}

/// @return the schema version; 0 for an empty file.
int check_identity(SQLite::Database& db, const std::filesystem::path& path) {
  const int version = pragma_int(db, "PRAGMA user_version");
  const int application = pragma_int(db, "PRAGMA application_id");
  const int tables = pragma_int(db, "SELECT count(*) FROM sqlite_master");
  if (application != kApplicationId && (tables > 0 || version != 0 || application != 0))
    foreign_database(path);
  if (version > kSchemaVersion) {
    throw StoreError(fmt::format(
        "{}: found store schema version {}; this qbench reads versions up to {}. Use the newer qbench "
        "that wrote it, or another store.",
        path.string(), version, kSchemaVersion));
  }
  return version;
}

/// All missing migrations in one transaction; a second process that comes at the same time finds nothing left
/// to do.
void migrate(SQLite::Database& db, const std::filesystem::path& path) {
  if (check_identity(db, path) == kSchemaVersion) return;
  QB_CHECK(static_cast<int>(migrations().size()) == kSchemaVersion, "one migration per schema version");
  SQLite::Transaction transaction(db, SQLite::TransactionBehavior::IMMEDIATE);
  for (int version = check_identity(db, path); version < kSchemaVersion; ++version) {
    db.exec(std::string(migrations()[static_cast<size_t>(version)].second));
  }
  db.exec(fmt::format("PRAGMA application_id = {}", kApplicationId));
  db.exec(fmt::format("PRAGMA user_version = {}", kSchemaVersion));
  transaction.commit();
}

void create_parent(const std::filesystem::path& path) {
  if (!path.has_parent_path()) return;
  std::error_code error;
  std::filesystem::create_directories(path.parent_path(), error);
  if (error) {
    throw StoreError(
        fmt::format("{}: cannot create the folder {}: {}. Give a --store in a folder you can write.",
                    path.string(), path.parent_path().string(), error.message()));
  }
}

/// `?` and `#` end the path of a URI, `%` begins an escape.
std::string file_uri(const std::filesystem::path& path, std::string_view query) {
  std::string uri = "file:";
  for (const char c : std::filesystem::absolute(path).string()) {
    if (c == '%' || c == '?' || c == '#') {
      uri += fmt::format("%{:02X}", static_cast<unsigned char>(c));
    } else {
      uri += c;
    }
  }
  return uri.append(query);
}

/// SQLite opens lazily: only reading finds out what the file is.
std::unique_ptr<SQLite::Database> try_reading(const std::string& name, int flags) {
  auto db = std::make_unique<SQLite::Database>(name, flags, kBusyTimeoutMs);
  db->exec("PRAGMA query_only = ON");
  pragma_int(*db, "SELECT count(*) FROM sqlite_master");
  return db;
}

bool lacks_permission(const SQLite::Exception& error) {
  const int code = error.getErrorCode();
  return code == SQLITE_CANTOPEN || code == SQLITE_READONLY || code == SQLITE_PERM;
}

/// With permission to write, the connection tidies up the -wal and -shm files when it closes; it writes no
/// data. In a folder that cannot be written SQLite cannot make the -shm file of a WAL database; without a
/// -wal file the main file is complete, so it may be read as immutable.
std::unique_ptr<SQLite::Database> connect_readonly(const std::filesystem::path& path) {
  for (const int flags : {SQLite::OPEN_READWRITE, SQLite::OPEN_READONLY}) {
    try {
      return try_reading(path.string(), flags);
    } catch (const SQLite::Exception& error) {
      if (!lacks_permission(error)) throw;
      std::error_code none;
      const auto wal = std::filesystem::file_size(path.string() + "-wal", none);
      if (flags == SQLite::OPEN_READONLY && !none && wal > 0) throw;
    }
  }
  return try_reading(file_uri(path, "?immutable=1"), SQLite::OPEN_READONLY | SQLITE_OPEN_URI);
}

std::unique_ptr<SQLite::Database> migrated_copy(SQLite::Database& from, const std::filesystem::path& path) {
  auto copy = std::make_unique<SQLite::Database>(":memory:", SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE);
  SQLite::Backup backup(*copy, from);
  backup.executeStep();
  migrate(*copy, path);
  return copy;
}

}  // namespace

void throw_store_error(const std::filesystem::path& path, std::string_view doing,
                       const SQLite::Exception& error) {
  throw StoreError(fmt::format("{}: {} failed: {} (SQLite code {}). {}", path.string(), doing,
                               error.getErrorStr(), error.getExtendedErrorCode(),
                               remedy(error.getErrorCode())));
}

std::unique_ptr<SQLite::Database> open_database(const std::filesystem::path& path) {
  create_parent(path);
  try {
    auto db = std::make_unique<SQLite::Database>(path.string(), SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE,
                                                 kBusyTimeoutMs);
    check_identity(*db, path);  // before the first write to a file that may belong to another program
    db->exec("PRAGMA journal_mode = WAL");
    db->exec("PRAGMA synchronous = FULL");
    db->exec("PRAGMA foreign_keys = ON");
    migrate(*db, path);
    // A file that can be read but not written opens quietly: find out now and not after the first hour of a
    // run.
    db->exec("BEGIN IMMEDIATE; ROLLBACK");
    return db;
  } catch (const SQLite::Exception& error) {
    throw_store_error(path, "opening the store", error);
  }
}

std::unique_ptr<SQLite::Database> open_database_readonly(const std::filesystem::path& path) {
  std::error_code error_code;
  if (!std::filesystem::exists(path, error_code)) {
    throw StoreError(fmt::format(
        "{}: there is no such store. `qbench run SUITE.yaml --store FILE` makes one.", path.string()));
  }
  if (std::filesystem::is_directory(path, error_code)) {
    throw StoreError(fmt::format("{}: is a folder; expected the file of a store.", path.string()));
  }
  try {
    auto db = connect_readonly(path);
    const int version = check_identity(*db, path);
    if (version == 0) {
      throw StoreError(fmt::format(
          "{}: the file is empty; expected a qbench store. `qbench run SUITE.yaml --store FILE` makes one.",
          path.string()));
    }
    return version < kSchemaVersion ? migrated_copy(*db, path) : std::move(db);
  } catch (const SQLite::Exception& error) {
    throw_store_error(path, "opening the store", error);
  }
}

}  // namespace qbench::results
