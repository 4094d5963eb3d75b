// Rotary frequencies against transformers' for all scaling kinds.
#include <gmock/gmock.h>
#include <unistd.h>

#include <fstream>

#include "harness/core/files.h"
#include "harness/models/arch/config_reader.h"
#include "harness/models/arch/family.h"
#include "tests/support/fixtures.h"

namespace qbench::models {
namespace {

Architecture architecture_of(const Json& config) {
  const auto path =
      std::filesystem::temp_directory_path() / ("qbench-rope-" + std::to_string(::getpid()) + ".json");
  write_file_atomically(path, config.dump());
  ConfigReader reader(path);
  std::filesystem::remove(path);
  Architecture architecture;
  family_of_model_type("llama", "test").read_config(reader, architecture);
  reader.finish();
  return architecture;
}

TEST(GoldenRope, FrequenciesAreThoseOfTheReference) {
  size_t cases = 0;
  for (const auto& root : testing_support::golden_roots("models")) {
    if (!std::filesystem::exists(root / "rope_cases.json")) continue;
    for (const Json& entry : Json::parse(read_text_file(root / "rope_cases.json"))) {
      SCOPED_TRACE(entry["config"].dump() + " length " + entry["length"].dump());
      const auto got = rope_frequencies(architecture_of(entry["config"]), entry["length"].get<int64_t>());
      const auto expected = entry["inverse"].get<std::vector<double>>();
      ASSERT_EQ(got.inverse.size(), expected.size());
      for (size_t i = 0; i < expected.size(); ++i)
        EXPECT_NEAR(got.inverse[i], expected[i], 2.4e-7 * expected[i]) << i;
      EXPECT_NEAR(got.attention_factor, entry["attention_factor"].get<double>(), 1e-6);
      ++cases;
    }
  }
  EXPECT_GE(cases, 10U);
}

}  // namespace
}  // namespace qbench::models
