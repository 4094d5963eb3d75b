// Damaged and unusual safetensors files, judged as bad.json says.
#include <gmock/gmock.h>

#include <cmath>

#include "harness/core/errors.h"
#include "harness/core/fields.h"
#include "harness/core/files.h"
#include "harness/models/safetensors_set.h"
#include "tests/support/fixtures.h"

namespace qbench::models {
namespace {

namespace fs = std::filesystem;

std::vector<fs::path> bad_roots() {
  std::vector<fs::path> roots;
  for (const fs::path& root : testing_support::golden_roots("models")) {
    if (fs::exists(root / "bad" / "bad.json")) roots.push_back(root / "bad");
  }
  return roots;
}

void expect_values(const SafetensorsFile& file, const std::string& name, const Json& expected) {
  const SafetensorsEntry* entry = file.find(name);
  ASSERT_NE(entry, nullptr) << name;
  EXPECT_EQ(entry->shape, expected["shape"].get<std::vector<int64_t>>()) << name;
  const std::vector<float> values = file.floats(name);
  ASSERT_EQ(values.size(), expected["values"].size()) << name;
  for (size_t i = 0; i < values.size(); ++i) {
    const float wanted = std::stof(expected["values"][i].get<std::string>());
    if (std::isnan(wanted)) {
      EXPECT_TRUE(std::isnan(values[i])) << name;
    } else {
      EXPECT_EQ(values[i], wanted) << name;
      EXPECT_EQ(std::signbit(values[i]), std::signbit(wanted)) << name;
    }
  }
}

TEST(BadFiles, AreRefusedOrReadAsTheFormatAsks) {
  ASSERT_FALSE(bad_roots().empty());
  for (const fs::path& root : bad_roots()) {
    const Json table = Json::parse(read_text_file(root / "bad.json"));
    for (const auto& [name, entry] : table["files"].items()) {
      SCOPED_TRACE(name + ": " + entry["what"].get<std::string>());
      const std::string group = entry["group"].get<std::string>();
      if (group == "bad") {
        EXPECT_THROW(SafetensorsFile(root / name), DataError);
      } else if (group == "unusual_but_valid") {
        const SafetensorsFile file(root / name);
        const Json& tensors = entry["safetensors_python"]["tensors"];
        EXPECT_EQ(file.entries().size(), tensors.size());
        for (const auto& [tensor, expected] : tensors.items()) expect_values(file, tensor, expected);
      } else {
        try {
          const SafetensorsFile file(root / name);
          for (const SafetensorsEntry& tensor : file.entries()) (void)file.bytes(tensor);
        } catch (const DataError&) {  // refusing is allowed too
        }
      }
    }
  }
}

TEST(BadFiles, AMessageNamesTheFileAndTheTensor) {
  const fs::path file =
      testing_support::source_dir() / "tests/golden/models/bad/overlapping_offsets.safetensors";
  try {
    const SafetensorsFile opened(file);
    FAIL();
  } catch (const DataError& error) {
    EXPECT_THAT(error.what(),
                ::testing::AllOf(::testing::HasSubstr("overlapping_offsets.safetensors"),
                                 ::testing::HasSubstr("tensor \"b\""), ::testing::HasSubstr("overlap"),
                                 ::testing::HasSubstr("fetch")));
  }
}

TEST(BadFiles, ContradictingIndexesAreRefused) {
  const std::map<std::string, std::string> words = {
      {"index_missing_shard", "is missing"},     {"index_missing_tensor", "z.weight"},
      {"index_omits_tensor", "does not name"},   {"index_path_escape", "expected a file of this folder"},
      {"index_truncated_json", "no valid JSON"}, {"index_without_weight_map", "weight_map"},
      {"index_wrong_shard", "y.weight"}};
  for (const fs::path& root : bad_roots()) {
    const Json table = Json::parse(read_text_file(root / "bad.json"));
    for (const auto& [name, entry] : table["folders"].items()) {
      SCOPED_TRACE(name);
      if (name == "index_wrong_total_size") {  // loaders ignore it
        EXPECT_EQ(SafetensorsSet(root / name).tensors().size(), 2U);
        continue;
      }
      try {
        const SafetensorsSet set(root / name);
        ADD_FAILURE() << "was accepted";
      } catch (const DataError& error) {
        const auto word = words.find(name);
        EXPECT_THAT(error.what(), ::testing::HasSubstr(word == words.end() ? "" : word->second));
      }
    }
  }
}

}  // namespace
}  // namespace qbench::models
