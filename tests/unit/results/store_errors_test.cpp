// What can be wrong with the file of a store: each fault is one message that names the file and says what to
// do.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sqlite3.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <fstream>
#include <functional>

#include "harness/core/errors.h"
#include "harness/core/hash.h"
#include "tests/unit/results/store_samples.h"

namespace qbench::results {
namespace {

using samples::TemporaryFolder;
using ::testing::HasSubstr;

void write_text(const std::filesystem::path& path, const std::string& text) {
  std::ofstream(path, std::ios::binary) << text;
}

void execute_sql(const std::filesystem::path& path, const char* sql) {
  sqlite3* db = nullptr;
  ASSERT_EQ(sqlite3_open(path.c_str(), &db), SQLITE_OK);
  EXPECT_EQ(sqlite3_exec(db, sql, nullptr, nullptr, nullptr), SQLITE_OK) << sqlite3_errmsg(db);
  sqlite3_close(db);
}

template <class Work>
std::string store_error(const Work& work) {
  try {
    work();
  } catch (const StoreError& error) {
    return error.what();
  }
  return "(no StoreError)";
}

/// Runs `work` in a child process; it returns "" for success, else what went wrong. "skip" skips.
std::string in_child(const std::function<std::string()>& work) {
  int ends[2];
  if (::pipe(ends) != 0) return "no pipe";
  const pid_t child = ::fork();
  if (child == 0) {
    std::string result;
    try {
      result = work();
    } catch (const std::exception& error) {
      result = std::string("unexpected: ") + error.what();
    }
    [[maybe_unused]] const ssize_t written = ::write(ends[1], result.data(), result.size());
    ::_exit(0);
  }
  ::close(ends[1]);
  std::string result;
  char buffer[512];
  for (ssize_t n = 0; (n = ::read(ends[0], buffer, sizeof buffer)) > 0;)
    result.append(buffer, static_cast<size_t>(n));
  ::close(ends[0]);
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) ? result : "the child died";
}

TEST(StoreErrors, AFileOfAnotherKindIsRefusedAndLeftAlone) {
  TemporaryFolder folder;
  const std::string text(5000, 'x');
  write_text(folder / "notes.txt", text);
  for (const auto& open : {Store::open, Store::open_readonly}) {
    const std::string message = store_error([&] { open(folder / "notes.txt"); });
    EXPECT_THAT(message, HasSubstr("notes.txt: opening the store failed: file is not a database"));
    EXPECT_THAT(message, HasSubstr("give another file"));
  }
  EXPECT_EQ(std::filesystem::file_size(folder / "notes.txt"), text.size());
}

TEST(StoreErrors, ADatabaseOfAnotherProgramIsRefusedAndLeftAlone) {
  TemporaryFolder folder;
  execute_sql(folder / "other.db", "CREATE TABLE people (name TEXT)");
  const auto size = std::filesystem::file_size(folder / "other.db");
  for (const auto& open : {Store::open, Store::open_readonly}) {
    EXPECT_THAT(store_error([&] { open(folder / "other.db"); }),
                HasSubstr("SQLite database of another program; expected a qbench store"));
  }
  EXPECT_EQ(std::filesystem::file_size(folder / "other.db"), size);
}

TEST(StoreErrors, ANewerSchemaNamesBothVersions) {
  TemporaryFolder folder;
  Store::open(folder / "s.sqlite");
  execute_sql(folder / "s.sqlite", "PRAGMA user_version = 7");
  for (const auto& open : {Store::open, Store::open_readonly}) {
    EXPECT_THAT(store_error([&] { open(folder / "s.sqlite"); }),
                HasSubstr("found store schema version 7; this qbench reads versions up to " +
                          std::to_string(kSchemaVersion)));
  }
}

TEST(StoreErrors, ADamagedStoreIsReported) {
  TemporaryFolder folder;
  Store::open(folder / "s.sqlite")->begin_run(samples::run());
  std::fstream file(folder / "s.sqlite", std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(100);
  file << std::string(3900, '\xff');
  file.close();
  EXPECT_THAT(store_error([&] { Store::open(folder / "s.sqlite")->runs(); }), HasSubstr("restore a copy"));
}

TEST(StoreErrors, AnAbsentStoreIsNotCreatedForReading) {
  TemporaryFolder folder;
  EXPECT_THAT(store_error([&] { Store::open_readonly(folder / "none.sqlite"); }),
              HasSubstr("there is no such store"));
  EXPECT_FALSE(std::filesystem::exists(folder / "none.sqlite"));
}

TEST(StoreErrors, AnEmptyFileIsNoStoreForReadingButMayBecomeOne) {
  TemporaryFolder folder;
  write_text(folder / "s.sqlite", "");
  EXPECT_THAT(store_error([&] { Store::open_readonly(folder / "s.sqlite"); }),
              HasSubstr("the file is empty"));
  EXPECT_EQ(Store::open(folder / "s.sqlite")->runs().size(), 0u);
}

TEST(StoreErrors, AFolderIsNoStore) {
  TemporaryFolder folder;
  EXPECT_THAT(store_error([&] { Store::open(folder.path()); }), HasSubstr("opening the store failed"));
  EXPECT_THAT(store_error([&] { Store::open_readonly(folder.path()); }), HasSubstr("is a folder"));
}

TEST(StoreErrors, AMissingFolderIsCreatedAndAFileInItsPlaceIsReported) {
  TemporaryFolder folder;
  EXPECT_NO_THROW(Store::open(folder / "a/b/s.sqlite"));
  write_text(folder / "file", "x");
  EXPECT_THAT(store_error([&] { Store::open(folder / "file/s.sqlite"); }),
              HasSubstr("cannot create the folder"));
}

TEST(StoreErrors, ReportsWorkFromAFolderThatCannotBeWrittenAndRunsSayWhatToDo) {
  TemporaryFolder folder;
  std::filesystem::create_directory(folder / "ro");
  {
    const auto store = Store::open(folder / "ro/s.sqlite");
    store->commit_step(store->begin_run(samples::run()), samples::step("s1"));
  }
  std::filesystem::permissions(folder.path(), std::filesystem::perms(0755));
  std::filesystem::permissions(folder / "ro/s.sqlite", std::filesystem::perms(0444));
  std::filesystem::permissions(folder / "ro", std::filesystem::perms(0555));
  const std::string result = in_child([&]() -> std::string {
    if (::geteuid() == 0 && ::setuid(65534) != 0) return "skip";  // root may write anywhere
    if (!Store::open_readonly(folder / "ro/s.sqlite")->has_step("s1")) return "the step is not readable";
    return "message: " + store_error([&] { Store::open(folder / "ro/s.sqlite"); }) +
           store_error([&] { Store::open(folder / "ro/new.sqlite"); });
  });
  std::filesystem::permissions(folder / "ro", std::filesystem::perms(0755));
  if (result == "skip") GTEST_SKIP() << "cannot give up root";
  EXPECT_THAT(result, HasSubstr("message: "));
  EXPECT_THAT(result, HasSubstr("Make the file and its folder writable"));
  EXPECT_THAT(result, HasSubstr("Check that the folder exists, is writable"));
}

/// Commits until the disk refuses, then counts what a fresh reader sees.
std::string fill_the_disk(const std::filesystem::path& file) {
  int committed = 0;
  std::string message;
  {
    const auto store = Store::open(file);
    const int64_t run = store->begin_run(samples::run());
    message = store_error([&] {
      for (;; ++committed) {
        StepOutcome step = samples::step(std::to_string(committed), 500);
        for (ItemRow& item : step.items)
          item.detail = sha256_hex(item.item + std::to_string(committed));  // does not compress
        store->commit_step(run, step);
        if (committed > 2000) return;
      }
    });
    if (store->has_step(std::to_string(committed))) return "the refused step is there";
  }
  const auto reader = Store::open_readonly(file);
  for (int i = 0; i < committed; ++i) {
    const auto step = reader->step(std::to_string(i));
    if (!step || step->items.size() != 500 || step->scores.size() != 2)
      return "step " + std::to_string(i) + " is not whole";
  }
  return "message: " + message + (committed > 2 ? "" : " (nothing was committed before)");
}

/// Gives this process mounts of its own, as root or through a user namespace that makes it root inside.
bool own_mounts() {
  if (::unshare(CLONE_NEWNS) != 0) {
    const std::string users = "0 " + std::to_string(::geteuid()) + " 1",
                      groups = "0 " + std::to_string(::getegid()) + " 1";
    if (::unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0) return false;
    write_text("/proc/self/uid_map", users);
    write_text("/proc/self/setgroups", "deny");
    write_text("/proc/self/gid_map", groups);
  }
  return ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0;
}

TEST(StoreErrors, AFullDiskLosesOnlyTheStepThatDidNotFit) {
  TemporaryFolder folder;
  const std::string result = in_child([&]() -> std::string {
    if (!own_mounts()) return "skip";
    if (::mount("tmpfs", folder.path().c_str(), "tmpfs", 0, "size=2m") != 0) return "skip";
    return fill_the_disk(folder / "s.sqlite");
  });
  if (result == "skip") GTEST_SKIP() << "this user may not mount a small disk";
  EXPECT_THAT(result, HasSubstr("message: "));
  EXPECT_THAT(result, HasSubstr("committing a step failed"));
  EXPECT_THAT(result, HasSubstr("disk"));
  EXPECT_THAT(result, HasSubstr("finished steps are kept"));
}

TEST(StoreErrors, ARefusedWriteLosesOnlyTheStepThatDidNotFit) {
  TemporaryFolder folder;
  const std::string result = in_child([&]() -> std::string {
    ::signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{1 << 20, 1 << 20};
    if (::setrlimit(RLIMIT_FSIZE, &limit) != 0) return "skip";
    return fill_the_disk(folder / "s.sqlite");
  });
  if (result == "skip") GTEST_SKIP() << "file sizes cannot be limited here";
  EXPECT_THAT(result, HasSubstr("message: "));
  EXPECT_THAT(result, HasSubstr("finished steps are kept"));
}

}  // namespace
}  // namespace qbench::results
