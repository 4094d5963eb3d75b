// Reference ids and decoded texts, compared exactly. The case files hold lines of outside corpora, so they
// lie in shared/.
#include <gtest/gtest.h>

#include <fstream>

#include "harness/core/fields.h"
#include "harness/core/files.h"
#include "harness/core/hash.h"
#include "harness/tokenizers/pipeline.h"
#include "harness/tokenizers/tokenizer.h"
#include "tests/support/fixtures.h"

namespace qbench::tokenizers {
namespace {

using Ids = std::vector<int32_t>;

Json read_json(const std::filesystem::path& path) { return Json::parse(read_text_file(path)); }

std::vector<std::filesystem::path> case_folders(const std::filesystem::path& shared) {
  std::vector<std::filesystem::path> roots = testing_support::golden_roots("tokenizers");
  roots.push_back(shared / "golden" / "tokenizers");
  std::vector<std::filesystem::path> folders;
  for (const auto& root : roots) {
    for (const auto& entry : std::filesystem::directory_iterator(root)) {
      if (entry.is_directory() && std::filesystem::exists(entry.path() / "golden.json"))
        folders.push_back(entry.path());
    }
  }
  std::sort(folders.begin(), folders.end());
  return folders;
}

std::unique_ptr<Tokenizer> load(const std::filesystem::path& folder) {
  return load_tokenizer({.name = folder.string(), .path = folder});
}

void check_texts(const Json& golden, const Tokenizer& tokenizer, bool sentencepiece) {
  for (const Json& item : golden.at("texts")) {
    const std::string text = item.at("text");
    SCOPED_TRACE("text " + Json(text).dump().substr(0, 200));
    const Ids ids = item.at("ids");
    EXPECT_EQ(tokenizer.encode(text, {.add_special = false, .parse_special = !sentencepiece}), ids);
    EXPECT_EQ(tokenizer.decode(ids), item.at("decoded").get<std::string>());
    if (sentencepiece) continue;
    const Ids framed = item.value("ids_with_special", ids);
    EXPECT_EQ(tokenizer.encode(text), framed);
    if (item.contains("decoded_with_special_skip")) {
      EXPECT_EQ(tokenizer.decode(framed, true), item.at("decoded_with_special_skip").get<std::string>());
    }
  }
}

void check_stages(const Json& golden, const PipelineTokenizer& tokenizer) {
  for (const Json& item : golden.at("texts")) {
    const std::string text = item.at("text");
    SCOPED_TRACE("stages of " + Json(text).dump().substr(0, 200));
    EXPECT_EQ(tokenizer.normalized(text), item.value("normalized", text));
    if (item.contains("pieces")) {
      EXPECT_EQ(tokenizer.pre_tokenized(text), item.at("pieces").get<std::vector<std::string>>());
    }
  }
}

void check_decoding(const Json& golden, const Tokenizer& tokenizer) {
  for (const Json& item : golden.at("random_id_decode")) {
    const Ids ids = item.at("ids");
    SCOPED_TRACE("ids " + item.at("ids").dump());
    EXPECT_EQ(tokenizer.decode(ids), item.at("decoded").get<std::string>());
    if (item.contains("decoded_skip_special")) {
      EXPECT_EQ(tokenizer.decode(ids, true), item.at("decoded_skip_special").get<std::string>());
    }
  }
}

TEST(TokenizerGolden, MatchesEveryReferenceCase) {
  QB_REQUIRE_SHARED();
  for (const auto& folder : case_folders(shared)) {
    SCOPED_TRACE(folder.string());
    const bool sentencepiece = std::filesystem::exists(folder / "tokenizer.model");
    if (!sentencepiece && !std::filesystem::exists(folder / "tokenizer.json"))
      continue;  // its model lies elsewhere
    const Json golden = read_json(folder / "golden.json");
    std::unique_ptr<Tokenizer> tokenizer;
    EXPECT_NO_THROW(tokenizer = load(folder));
    if (!tokenizer) continue;
    check_texts(golden, *tokenizer, sentencepiece);
    check_decoding(golden, *tokenizer);
    if (const auto* pipeline = dynamic_cast<const PipelineTokenizer*>(tokenizer.get()))
      check_stages(golden, *pipeline);
    const char* size_key = sentencepiece ? "piece_size" : "vocab_size_with_added";
    EXPECT_EQ(tokenizer->vocab_size(), golden.at(size_key));
  }
}

TEST(TokenizerGolden, MatchesTheEvaluationModelsTokenizers) {
  QB_REQUIRE_SHARED();
  const auto folder = shared / "golden" / "eval";
  const auto bytes = load(folder / "tiny_llama");
  const auto pieces = load(folder / "tiny_llama_sp");
  EXPECT_FALSE(bytes->adds_bos());
  EXPECT_TRUE(pieces->adds_bos());
  const Json golden = read_json(folder / "tokenizer_cases.json");
  for (const Json& item : golden.at("cases")) {
    const std::string text = item.at("text");
    SCOPED_TRACE("text " + Json(text).dump());
    const EncodeOptions plain{.add_special = false, .parse_special = false};
    EXPECT_EQ(bytes->encode(text), item.at("tiny_llama_ids").get<Ids>());
    EXPECT_EQ(bytes->decode(bytes->encode(text)), item.at("tiny_llama_decoded").get<std::string>());
    EXPECT_EQ(pieces->encode(text, plain), item.at("tiny_llama_sp_sentencepiece_ids").get<Ids>());
    EXPECT_EQ(pieces->decode(pieces->encode(text, plain)),
              item.at("tiny_llama_sp_sentencepiece_decoded").get<std::string>());
    EXPECT_EQ(pieces->encode(text), item.at("tiny_llama_sp_transformers_ids_default").get<Ids>());
    EXPECT_EQ(pieces->encode(text, {.add_special = false}),
              item.at("tiny_llama_sp_transformers_ids_no_special").get<Ids>());
  }
}

TEST(TokenizerGolden, MatchesTheRealSmolLm2OnTextsAndOnAWholeFile) {
  QB_REQUIRE_SHARED();
  const auto path = testing_support::smollm2_gguf();
  if (!path) GTEST_SKIP() << "the smollm2-135m model has not been set up";
  const auto tokenizer =
      load_tokenizer({.name = "smollm2", .kind = models::SourceKind::kGguf, .path = *path});
  const Json golden = read_json(shared / "golden" / "tokenizers" / "smollm2_real" / "golden.json");
  EXPECT_EQ(tokenizer->vocab_size(), golden.at("tokenizer").at("vocab_size"));
  check_texts(golden, *tokenizer, false);
  for (const Json& item : golden.at("whole_file")) {
    const std::string file = item.at("file");
    const Ids ids = tokenizer->encode(read_maybe_compressed(shared / file.substr(file.find('/') + 1)));
    EXPECT_EQ(ids.size(), item.at("tokens"));
    EXPECT_EQ(sha256_ids(ids), item.at("ids_int32le_sha256"));
  }
}

/// The blocks of a vocabulary test of llama.cpp: texts between marker lines, ids one text a line.
std::vector<std::string> read_texts(const std::filesystem::path& path) {
  const std::string content = read_text_file(path);
  const std::string marker = "\n__ggml_vocab_test__\n";
  std::vector<std::string> texts;
  size_t begin = 0;
  for (size_t at = content.find(marker); at != std::string::npos; at = content.find(marker, begin)) {
    texts.push_back(content.substr(begin, at - begin));
    begin = at + marker.size();
  }
  return texts;
}

TEST(TokenizerGolden, MatchesTheVocabulariesOfGgufFiles) {
  QB_REQUIRE_SHARED();
  const auto folder = shared / "data" / "tokenizers";
  for (const char* name : {"gpt-2", "falcon", "llama-spm"}) {
    const auto path = folder / (std::string("ggml-vocab-") + name + ".gguf");
    SCOPED_TRACE(path.string());
    const auto tokenizer = load_tokenizer({.name = name, .kind = models::SourceKind::kGguf, .path = path});
    std::ifstream answers(path.string() + ".out");
    const auto texts = read_texts(path.string() + ".inp");
    EXPECT_GT(texts.size(), 30U);
    for (const std::string& text : texts) {
      SCOPED_TRACE("text " + Json(text).dump());
      std::string line;
      std::getline(answers, line);
      std::istringstream numbers(line);
      const Ids expected{std::istream_iterator<int32_t>(numbers), {}};
      EXPECT_EQ(tokenizer->encode(text, {.add_special = false, .parse_special = false}), expected);
    }
  }
}

}  // namespace
}  // namespace qbench::tokenizers
