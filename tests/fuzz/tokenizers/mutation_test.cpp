// Thousands of damaged copies of good tokenizer files: each is used or refused, never a crash.
#include <gtest/gtest.h>

#include <fstream>
#include <functional>
#include <random>

#include "harness/core/fields.h"
#include "tests/fuzz/tokenizers/use_everything.h"
#include "tests/support/fixtures.h"
#include "tests/unit/models/gguf_builder.h"
#include "tests/unit/models/scratch_folder.h"
#include "tests/unit/tokenizers/small_tokenizers.h"

namespace qbench::tokenizers {
namespace {

using models::SourceKind;

std::string damaged(const std::string& good, std::mt19937_64& random) {
  std::string bytes = good;
  for (uint64_t edits = 1 + random() % 3; edits > 0 && !bytes.empty(); --edits) {
    const size_t at = random() % bytes.size();
    switch (random() % 6) {
      case 0:
        bytes[at] = static_cast<char>(bytes[at] ^ (1 << random() % 8));
        break;
      case 1:
        bytes[at] = static_cast<char>(random());
        break;
      case 2:
        bytes.replace(at, 1, random() % 2 == 0 ? "\"" : "0");
        break;
      case 3:
        bytes.insert(at, std::string(1 + random() % 8, static_cast<char>(random())));
        break;
      case 4:
        bytes.erase(at, 1 + random() % 8);
        break;
      default:
        bytes.resize(random() % 4 == 0 ? at : bytes.size() - random() % 20 % bytes.size());
    }
  }
  return bytes;
}

/// All places of a JSON document.
void collect(Json& node, std::vector<Json*>& places) {
  places.push_back(&node);
  if (node.is_structured()) {
    for (auto& child : node) collect(child, places);
  }
}

/// Valid JSON with wrong content: a place gets another type or value, another place's content, or goes away.
Json distorted(const Json& good, std::mt19937_64& random) {
  static const std::vector<Json> kValues = {
      nullptr, true, false, -1,       0,   3,    255, 16777216,      1e300,
      "",      " ",  "a b", "<0x41>", "▁", "x*", "(", Json::array(), Json::object()};
  Json file = good;
  for (uint64_t edits = 1 + random() % 3; edits > 0; --edits) {
    std::vector<Json*> places;
    collect(file, places);
    Json& place = *places[random() % places.size()];
    const Json other = *places[random() % places.size()];
    if (random() % 3 == 0) {
      place = other;
    } else if (random() % 4 == 0 && place.is_structured() && !place.empty()) {
      place.erase(place.begin());
    } else {
      place = kValues[random() % kValues.size()];
    }
  }
  return file;
}

class TokenizerMutations : public models::ScratchFolder {
 protected:
  int run(int rounds, const models::ModelSource& source, const std::string& file,
          const std::function<std::string(std::mt19937_64&)>& make) {
    int used = 0;
    for (int round = 0; round < rounds; ++round) {
      std::mt19937_64 random(static_cast<uint64_t>(round));
      const std::string content = make(random);
      std::filesystem::remove(dir_ /
                              file);  // a new file, not a truncated one: file systems flush those at once
      std::ofstream(dir_ / file, std::ios::binary | std::ios::trunc)
          .write(content.data(), static_cast<std::streamsize>(content.size()));
      try {
        used += load_and_use(source);
      } catch (const std::exception& error) {
        ADD_FAILURE() << "round " << round << ": neither used nor refused: " << error.what();
      }
    }
    return used;
  }
  models::ModelSource folder() const { return {.name = "x", .path = dir_}; }
};

TEST_F(TokenizerMutations, OfTokenizerJsonBytes) {
  for (const Json& file : {byte_level_file(), marker_file()}) {
    EXPECT_GT(
        run(3000, folder(), "tokenizer.json", [&](auto& random) { return damaged(file.dump(), random); }),
        100);
  }
}

TEST_F(TokenizerMutations, OfTokenizerJsonContent) {
  Json rich = marker_file();
  rich["pre_tokenizer"] = Json::parse(
      R"({"type": "Sequence", "pretokenizers": [{"type": "Split", "pattern": {"Regex": "\\s+|\\p{L}+"},
    "behavior": "Isolated", "invert": false}, {"type": "Digits", "individual_digits": true}, {"type": "Metaspace", "prepend_scheme": "first"}]})");
  Json unigram = Json::parse(
      R"({"model": {"type": "Unigram", "unk_id": 0, "vocab": [["<unk>", 0.0], ["a", -1.0], ["ab", -2.5]]},
    "pre_tokenizer": {"type": "Whitespace"}, "decoder": {"type": "WordPiece", "prefix": "##"}})");
  for (const Json& file : {byte_level_file(), rich, unigram}) {
    EXPECT_GT(run(3000, folder(), "tokenizer.json",
                  [&](auto& random) {
                    return distorted(file, random).dump(-1, ' ', false, Json::error_handler_t::replace);
                  }),
              100);
  }
}

TEST_F(TokenizerMutations, OfTokenizerConfig) {
  write("tokenizer.json", byte_level_file().dump());
  const Json good =
      Json::parse(R"({"bos_token": {"content": "<|end|>"}, "eos_token": "<|end|>", "add_bos_token": true,
    "added_tokens_decoder": {"0": {"content": "<|end|>", "special": true}, "20": {"content": "x", "special": false}}})");
  EXPECT_GT(run(2000, folder(), "tokenizer_config.json",
                [&](auto& random) { return distorted(good, random).dump(); }),
            100);
}

TEST_F(TokenizerMutations, OfSentencePieceModels) {
  const std::string good =
      read_text_file(testing_support::source_dir() / "tests/golden/eval/tiny_llama_sp/tokenizer.model");
  EXPECT_GT(run(3000, folder(), "tokenizer.model", [&](auto& random) { return damaged(good, random); }), 10);
}

TEST_F(TokenizerMutations, OfGgufTokenizers) {
  models::GgufBuilder builder;
  builder.string("tokenizer.ggml.model", "gpt2").string("tokenizer.ggml.pre", "smollm");
  builder.strings("tokenizer.ggml.tokens", {"<|end|>", "h", "e", "1", "2", "Ġ", "he", "12", "<tool>"});
  builder.array<int32_t>("tokenizer.ggml.token_type", 5, {3, 1, 1, 1, 1, 1, 1, 1, 4});
  builder.strings("tokenizer.ggml.merges", {"h e", "1 2"})
      .u32("tokenizer.ggml.bos_token_id", 0)
      .boolean("tokenizer.ggml.add_bos_token", true);
  const models::ModelSource source{.name = "x", .kind = SourceKind::kGguf, .path = dir_ / "x.gguf"};
  EXPECT_GT(run(4000, source, "x.gguf", [&](auto& random) { return damaged(builder.build(), random); }), 50);
}

}  // namespace
}  // namespace qbench::tokenizers
