#include "harness/core/files.h"

#include <gmock/gmock.h>
#include <unistd.h>

#include "harness/core/errors.h"
#include "harness/core/hash.h"

namespace qbench {
namespace {

class Files : public ::testing::Test {
 protected:
  Files() : dir_(std::filesystem::temp_directory_path() / ("qbench-files-" + std::to_string(::getpid()))) {
    std::filesystem::create_directories(dir_);
  }
  ~Files() override { std::filesystem::remove_all(dir_); }
  std::filesystem::path dir_;
};

TEST_F(Files, AtomicWriteThenReadGivesTheSameBytes) {
  const std::string content("a\0b\n", 4);
  write_file_atomically(dir_ / "x", content);
  EXPECT_EQ(read_text_file(dir_ / "x"), content);
  const MappedFile map(dir_ / "x");
  EXPECT_EQ(std::string(reinterpret_cast<const char*>(map.bytes().data()), map.bytes().size()), content);
}

TEST_F(Files, AFailedWriteLeavesNothingBehind) {
  EXPECT_THROW(write_file_atomically(dir_ / "missing" / "x", "a"), DataError);
  EXPECT_TRUE(std::filesystem::is_empty(dir_));
}

TEST_F(Files, MissingFilesAndFoldersAreNamed) {
  EXPECT_THROW(read_text_file(dir_ / "none"), DataError);
  EXPECT_THROW(read_text_file(dir_), DataError);
  EXPECT_THROW(MappedFile(dir_ / "none"), DataError);
}

TEST(Hash, MatchesThePublishedTestVectors) {
  // FIPS 180-2, appendix B.
  EXPECT_EQ(sha256_hex("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(sha256_hex(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

TEST_F(Files, CachedFileHashFollowsTheContent) {
  write_file_atomically(dir_ / "x", "abc");
  EXPECT_EQ(sha256_file_cached(dir_ / "x", dir_), sha256_hex("abc"));
  EXPECT_EQ(sha256_file_cached(dir_ / "x", dir_), sha256_hex("abc"));
  write_file_atomically(dir_ / "x", "abcd");
  EXPECT_EQ(sha256_file_cached(dir_ / "x", dir_), sha256_hex("abcd"));
}

}  // namespace
}  // namespace qbench
