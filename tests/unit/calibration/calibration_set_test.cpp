#include "harness/calibration/calibration_set.h"

#include <unistd.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <set>

#include "harness/core/errors.h"
#include "harness/core/python_random.h"
#include "tests/support/fake_tokenizer.h"

namespace qbench::calibration {
namespace {

using ::testing::HasSubstr;
using testing_support::ByteTokenizer;

std::string write_file(const std::string& name, const std::string& content) {
  const std::string path = ::testing::TempDir() + "/" + std::to_string(::getpid()) + name;
  std::ofstream(path, std::ios::binary) << content;
  return path;
}

std::string digits(int n) {
  std::string text;
  for (int i = 0; i < n; ++i) text += static_cast<char>('0' + i % 10);
  return text;
}

template <class F>
std::string message_of(F&& call) {
  try {
    call();
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

TEST(CalibrationSpec, FillsInShapeAndKeepsOtherDefaultsOut) {
  EXPECT_EQ(check_calibration("en_wiki").print(), "en_wiki(samples=128,length=2048,seed=0)");
  EXPECT_EQ(check_calibration("en_wiki(seed=3,sampler=random,length=512)").print(),
            "en_wiki(samples=128,length=512,seed=3)");
  EXPECT_EQ(check_calibration("de_wiki(split=test,samples=4)").print(),
            "de_wiki(samples=4,length=2048,seed=0,split=test)");
}

TEST(CalibrationSpec, CanonicalTextReadsBackToItself) {
  for (const char* spec :
       {"en_wiki(sampler=windows)", "random_tokens(samples=2)", "text(file=\"a,b.txt\")"}) {
    const std::string once = check_calibration(spec).print();
    EXPECT_EQ(check_calibration(once).print(), once);
  }
}

TEST(CalibrationSpec, OffersTheNearestName) {
  EXPECT_THAT(message_of([] { check_calibration("en_wikki"); }), HasSubstr("Did you mean \"en_wiki\"?"));
  EXPECT_THAT(message_of([] { check_calibration("en_wiki(sample=3)"); }),
              HasSubstr("Did you mean \"samples\"?"));
  EXPECT_THAT(message_of([] { check_calibration("text"); }), HasSubstr("file is missing"));
  EXPECT_THROW(check_calibration("en_wiki(split=dev)"), ConfigError);
  EXPECT_THROW(check_calibration("random_tokens(split=test)"), ConfigError);
}

TEST(Windows, AreConsecutive) {
  const auto file = write_file("windows.txt", digits(25));
  const auto set =
      make_calibration_set("text(file=" + file + ",sampler=windows,samples=2,length=10)", ByteTokenizer());
  ASSERT_EQ(set.samples.size(), 2U);
  EXPECT_EQ(set.samples[1].front(), '0');
  EXPECT_EQ(set.samples[1].back(), '9');
  EXPECT_EQ(set.tokens(), 20);
}

TEST(Windows, TooShortATextNamesFoundAndNeeded) {
  const auto file = write_file("short.txt", digits(19));
  const std::string message = message_of([&] {
    make_calibration_set("text(file=" + file + ",sampler=windows,samples=2,length=10)", ByteTokenizer());
  });
  EXPECT_THAT(message, HasSubstr("19 tokens"));
  EXPECT_THAT(message, HasSubstr("need 20"));
}

TEST(RandomWindows, StartWherePythonsRandintSays) {
  const auto file = write_file("random.txt", digits(1000));
  const auto set =
      make_calibration_set("text(file=" + file + ",samples=5,length=10,seed=7)", ByteTokenizer());
  PythonRandom random(7);
  for (const auto& sample : set.samples) EXPECT_EQ(sample.front(), '0' + random.randint(0, 989) % 10);
}

TEST(RandomWindows, NeedOneTokenMoreThanTheLength) {
  const auto file = write_file("exact.txt", digits(10));
  EXPECT_THROW(make_calibration_set("text(file=" + file + ",samples=1,length=10)", ByteTokenizer()),
               DataError);
  EXPECT_EQ(
      make_calibration_set("text(file=" + file + ",samples=1,length=9)", ByteTokenizer()).samples.size(), 1U);
}

TEST(Documents, AreDistinctAndCutToTheLength) {
  const auto file = write_file("documents.txt", "aaaa\n\nbb\n\ncccccc\n\nd\n");
  const auto set =
      make_calibration_set("text(file=" + file + ",sampler=documents,samples=3,length=5)", ByteTokenizer());
  std::set<int32_t> firsts;
  for (const auto& sample : set.samples) {
    EXPECT_LE(sample.size(), 5U);
    firsts.insert(sample.front());
  }
  EXPECT_EQ(firsts, (std::set<int32_t>{'a', 'b', 'c'}));  // "d" alone is no sequence
}

TEST(Jsonl, ReadsTheNamedFieldAndNamesTheFieldsThatAreThere) {
  const auto file = write_file("rows.jsonl", "{\"body\": \"" + digits(40) + "\"}\n{\"body\": \"xyz\"}\n");
  const auto set = make_calibration_set(
      "jsonl(file=" + file + ",field=body,sampler=random_documents,samples=2,length=20)", ByteTokenizer());
  EXPECT_EQ(set.samples.size(), 2U);
  EXPECT_THAT(message_of([&] {
                make_calibration_set("jsonl(file=" + file + ",samples=1,length=4)", ByteTokenizer());
              }),
              HasSubstr("body"));
}

TEST(RandomDocuments, StopWithAMessageWhenNoDocumentIsLongEnough) {
  const auto file = write_file("tiny.txt", "ab\n\ncd\n");
  EXPECT_THROW(make_calibration_set("text(file=" + file + ",sampler=random_documents,samples=2,length=20)",
                                    ByteTokenizer()),
               DataError);
}

TEST(RandomTokens, NeverDrawSpecialTokens) {
  const auto set = make_calibration_set("random_tokens(samples=4,length=2000)", ByteTokenizer());
  for (const auto& sample : set.samples) {
    EXPECT_EQ(sample.size(), 2000U);
    for (const int32_t id : sample) EXPECT_LT(id, 256);
  }
}

TEST(RandomAscii, IsPrintable) {
  const auto set = make_calibration_set("random_ascii(samples=2,length=500)", ByteTokenizer());
  for (const int32_t id : set.samples[1]) EXPECT_TRUE(id >= 32 && id < 127) << id;
}

TEST(Identity, IsTheTokenIdsWhateverTheName) {
  const auto a = write_file("same_a.txt", digits(100));
  const auto b = write_file("same_b.txt", digits(100));
  const ByteTokenizer tokenizer;
  const auto first = make_calibration_set("text(file=" + a + ",samples=3,length=8)", tokenizer);
  EXPECT_EQ(first.hash, make_calibration_set("text(file=" + b + ",samples=3,length=8)", tokenizer).hash);
  EXPECT_NE(first.hash,
            make_calibration_set("text(file=" + b + ",samples=3,length=8,seed=1)", tokenizer).hash);
  EXPECT_EQ(calibration_input_hash("text(file=" + a + ")"), calibration_input_hash("text(file=" + b + ")"));
  EXPECT_NE(calibration_input_hash("text(file=" + a + ")"),
            calibration_input_hash("text(file=" + a + ",seed=1)"));
}

TEST(ShippedCorpora, GiveSamplesInEveryLanguage) {
  std::set<std::string> hashes;
  for (const char* name : {"en_wiki", "de_wiki", "fr_wiki", "hi_text", "en_plays"}) {
    const auto set = make_calibration_set(std::string(name) + "(samples=4,length=256)", ByteTokenizer());
    EXPECT_EQ(set.tokens(), 4 * 256);
    hashes.insert(set.hash);
  }
  EXPECT_EQ(hashes.size(), 5U);
}

}  // namespace
}  // namespace qbench::calibration
