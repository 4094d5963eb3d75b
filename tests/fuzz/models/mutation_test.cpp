// Thousands of damaged copies of good files: each is read or refused, never a crash or a read outside the
// file.
#include <gmock/gmock.h>

#include <fstream>
#include <functional>
#include <random>

#include "tests/fuzz/models/read_everything.h"
#include "tests/support/fixtures.h"
#include "tests/unit/models/gguf_builder.h"
#include "tests/unit/models/scratch_folder.h"

namespace qbench::models {
namespace {

namespace fs = std::filesystem;

fs::path golden(const std::string& name) {
  return testing_support::source_dir() / "tests/golden/models" / name;
}

/// Flips, overwrites with telling values, inserts, deletes, or cuts; most damage lands in the first `header`
/// bytes.
std::string damaged(const std::string& good, size_t header, std::mt19937_64& random) {
  static constexpr uint64_t kTelling[] = {
      0, 1, 0x7F, 0xFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF, 0x7FFFFFFFFFFFFFFF, 0xFFFFFFFFFFFFFFFF, 1ULL << 60};
  std::string bytes = good;
  for (uint64_t edits = 1 + random() % 3; edits > 0 && !bytes.empty(); --edits) {
    const size_t span = random() % 8 == 0 ? bytes.size() : std::min(header, bytes.size());
    const size_t at = random() % span;
    switch (random() % 6) {
      case 0:
        bytes[at] = static_cast<char>(bytes[at] ^ (1 << random() % 8));
        break;
      case 1:
        bytes[at] = static_cast<char>(random());
        break;
      case 2: {
        const uint64_t value = kTelling[random() % std::size(kTelling)];
        const size_t size = std::min<size_t>(random() % 2 == 0 ? 4 : 8, bytes.size() - at);
        bytes.replace(at, size, reinterpret_cast<const char*>(&value), size);
        break;
      }
      case 3:
        bytes.insert(at, std::string(1 + random() % 8, static_cast<char>(random())));
        break;
      case 4:
        bytes.erase(at, 1 + random() % 8);
        break;
      default:
        bytes.resize(random() % 4 == 0 ? at : bytes.size() - random() % 40 % bytes.size());
    }
  }
  return bytes;
}

class Mutations : public ScratchFolder {
 protected:
  Mutations() : home_("QBENCH_HOME", (dir_ / "home").c_str()) {}

  /// Reads `rounds` damaged copies of `good`, written as `name`; returns how many were accepted.
  int run(const std::string& good, size_t header, int rounds, const fs::path& name,
          const std::function<void()>& read) {
    int count = 0;
    for (int seed = 0; seed < rounds; ++seed) {
      SCOPED_TRACE(seed);
      std::mt19937_64 random(static_cast<uint64_t>(seed));
      const std::string bytes = damaged(good, header, random);
      fs::remove(dir_ /
                 name);  // truncating the same file again and again makes some file systems flush each time
      std::ofstream(dir_ / name, std::ios::binary | std::ios::trunc)
          .write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
      try {
        count += accepted(read) ? 1 : 0;
      } catch (const std::exception& error) {
        ADD_FAILURE() << "neither read nor refused: " << error.what();
      }
    }
    return count;
  }
  ScopedVariable home_;
};

TEST_F(Mutations, OfSafetensorsFiles) {
  const std::string good = read_text_file(golden("llama_mha/model.safetensors"));
  EXPECT_GT(run(good, 2200, 4000, "x", [&] { read_safetensors(dir_ / "x"); }), 100);
}

TEST_F(Mutations, OfASmallSafetensorsHeader) {
  const std::string good = read_text_file(golden("bad/all_dtypes.safetensors"));
  (void)run(good, good.size(), 4000, "x", [&] { read_safetensors(dir_ / "x"); });
}

TEST_F(Mutations, OfGgufFiles) {
  const std::string good = read_text_file(golden("gguf_llama/model.gguf"));
  EXPECT_GT(run(good, 4500, 4000, "x.gguf", [&] { read_gguf(dir_ / "x.gguf"); }), 100);
}

TEST_F(Mutations, OfWholeGgufModels) {
  const std::string good = tiny_llama_gguf().string("tokenizer.ggml.model", "gpt2").build();
  const auto read = [&] {
    read_all(*Checkpoint::open(resolve_model((dir_ / "x.gguf").string() + "(dequantize=dither)")));
  };
  EXPECT_GT(run(good, good.size(), 6000, "x.gguf", read), 50);
}

TEST_F(Mutations, OfConfigs) {
  fs::copy(golden("llama_rope_yarn"), dir_ / "m");
  const std::string good = read_text_file(dir_ / "m/config.json");
  (void)run(good, good.size(), 4000, "m/config.json",
            [&] { read_all(*Checkpoint::open(resolve_model((dir_ / "m").string()))); });
}

TEST_F(Mutations, OfShardIndexes) {
  fs::copy(golden("packaging_sharded3"), dir_ / "m");
  const std::string good = read_text_file(dir_ / "m/model.safetensors.index.json");
  (void)run(good, good.size(), 2000, "m/model.safetensors.index.json",
            [&] { read_all(*Checkpoint::open(resolve_model((dir_ / "m").string()))); });
}

}  // namespace
}  // namespace qbench::models
