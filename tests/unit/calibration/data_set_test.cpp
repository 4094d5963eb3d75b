#include "harness/data/data_set.h"

#include <unistd.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>

#include "harness/core/errors.h"
#include "harness/core/hash.h"
#include "harness/data/bigbench_import.h"
#include "harness/data/records.h"
#include "harness/data/text.h"

namespace qbench::data {
namespace {

namespace fs = std::filesystem;
using ::testing::Contains;
using ::testing::HasSubstr;

template <class F>
std::string message_of(F&& call) {
  try {
    call();
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

fs::path fresh_folder(const std::string& name) {
  const fs::path folder = fs::path(::testing::TempDir()) / (std::to_string(::getpid()) + name);
  fs::remove_all(folder);
  fs::create_directories(folder);
  return folder;
}

void write(const fs::path& path, const std::string& content) {
  fs::create_directories(path.parent_path());
  std::ofstream(path, std::ios::binary) << content;
}

TEST(DataSets, ShippedCorporaAreFoundWithKnownHashes) {
  for (const char* name : {"en_wiki", "de_wiki", "fr_wiki", "hi_text", "en_plays"}) {
    const DataSet* set = find_data_set(name);
    ASSERT_NE(set, nullptr) << name;
    for (const Split& split : set->splits) {
      EXPECT_TRUE(locate(*set, split.name).known) << name << " " << split.name;
      const std::string text = read_text(find_text(name, split.name));
      EXPECT_THAT(split.sha256, Contains(sha256_hex(text))) << name << " " << split.name;
    }
  }
}

TEST(DataSets, AbsentOnesSayWhereAndHowToGetThem) {
  ::setenv("QBENCH_DATA", fresh_folder("empty_data").c_str(), 1);
  const std::string message = message_of([] { locate(*find_data_set("piqa"), ""); });
  ::unsetenv("QBENCH_DATA");
  EXPECT_THAT(message, HasSubstr("piqa/validation.jsonl"));
  EXPECT_THAT(message, HasSubstr("load_dataset"));
  EXPECT_THAT(message, HasSubstr("file=PATH"));
}

TEST(DataSets, AreFoundBelowTheUsersFolder) {
  const fs::path folder = fresh_folder("user_data");
  write(folder / "blimp" / "passive_1.jsonl", "{}\n");
  ::setenv("QBENCH_DATA", folder.c_str(), 1);
  EXPECT_EQ(locate(*find_data_set("blimp"), "", "passive_1").path, folder / "blimp" / "passive_1.jsonl");
  ::unsetenv("QBENCH_DATA");
  EXPECT_THAT(message_of([] { try_locate(*find_data_set("blimp"), "", "pasive_1"); }),
              HasSubstr("Did you mean \"passive_1\"?"));
}

TEST(DataSets, UnknownTextOffersTheNearestName) {
  EXPECT_THAT(message_of([] { find_text("wikitext"); }), HasSubstr("Did you mean \"wikitext2\"?"));
  EXPECT_THAT(message_of([] { find_text("/nowhere/file.txt"); }), HasSubstr("no such file"));
}

TEST(Joins, BlankRowsBecomeEmptyAndOthersKeepTheirNewline) {
  EXPECT_EQ(join_lines(" \n = A = \n \nx\n", "rows"), "\n\n = A = \n\n\n\n\nx\n");
  EXPECT_EQ(join_lines(" a b \n c\n", "sentences"), "a b\n\nc");
  EXPECT_EQ(join_lines(" a b \n c\n", "spaces"), "a b c");
  EXPECT_EQ(join_lines(" a\n", "none"), " a\n");
}

TEST(Documents, AreSeparatedByBlankLines) {
  const fs::path file = fresh_folder("documents") / "a.txt";
  write(file, "one\ntwo\n\n\nthree\n");
  EXPECT_EQ(read_documents(find_text(file.string())), (std::vector<std::string>{"one\ntwo", "three"}));
}

TEST(Texts, EmptyOnesAreRefused) {
  const fs::path file = fresh_folder("empty_text") / "a.txt";
  write(file, "");
  EXPECT_THAT(message_of([&] { read_text(find_text(file.string())); }), HasSubstr("empty"));
}

TEST(PythonSource, IsTheSameTextTwiceIfThereIsAPython) {
  const fs::path folder = fresh_folder("pylib");
  write(folder / "b.py", "b = 2");
  write(folder / "a.py", "a = 1");
  write(folder / "note.txt", "no");
  ::setenv("QBENCH_PYTHON_SOURCE", folder.c_str(), 1);
  EXPECT_EQ(read_text(find_text("python_source")), "a = 1\nb = 2\n");
  ::unsetenv("QBENCH_PYTHON_SOURCE");
}

TEST(Records, NameFileAndLineOfAFault) {
  EXPECT_THAT(message_of([] { parse_records("{\"a\": 1}\n{oops\n", "f.jsonl"); }), HasSubstr("f.jsonl:2"));
  EXPECT_THAT(message_of([] { parse_records("[1, 2]", "f.json"); }), HasSubstr("expected an object"));
  EXPECT_THAT(message_of([] { parse_records(std::string(5000, '['), "f.json"); }), HasSubstr("nested"));
  EXPECT_EQ(parse_records("[{\"b\": 1, \"a\": 2}]", "f.json").at(0).begin().key(), "b");
}

TEST(BigBenchImport, WritesTasksAndExplainsArchives) {
  const fs::path package = fresh_folder("package");
  write(
      package / "bigbench" / "benchmark_tasks" / "arith" / "two" / "task.json",
      R"({"name": "two", "metrics": ["multiple_choice_grade"], "examples": [{"input": "q", "target_scores": {"b": 1, "a": 0}, "id": 3}]})");
  write(package / "bigbench" / "benchmark_tasks" / "empty" / "task.json", R"({"name": "empty"})");
  const fs::path out = fresh_folder("imported");
  const BigBenchImport result = add_bigbench(package, out);
  EXPECT_EQ(result.tasks, std::vector<std::string>{"arith/two"});
  ASSERT_EQ(result.skipped.size(), 1U);
  const auto records = read_records(out / "arith__two.jsonl");
  EXPECT_EQ(records.at(0).at("choices"), (std::vector<std::string>{"b", "a"}));
  EXPECT_TRUE(records.at(0).at("targets").is_null());
  write(package / "sdist.tar.gz", "x");
  EXPECT_THAT(message_of([&] { add_bigbench(package / "sdist.tar.gz", out); }), HasSubstr("tar -xzf"));
}

}  // namespace
}  // namespace qbench::data
