// load_tokenizer on folders and GGUF files.
#include <gmock/gmock.h>

#include "harness/core/errors.h"
#include "harness/tokenizers/tokenizer.h"
#include "tests/support/fixtures.h"
#include "tests/unit/models/gguf_builder.h"
#include "tests/unit/models/scratch_folder.h"
#include "tests/unit/tokenizers/small_tokenizers.h"

namespace qbench::tokenizers {
namespace {

using models::GgufBuilder;
using models::message_of;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

class LoadTokenizer : public models::ScratchFolder {
 protected:
  std::unique_ptr<Tokenizer> folder() const { return load_tokenizer({.name = "x", .path = dir_}); }
  std::unique_ptr<Tokenizer> gguf(const GgufBuilder& builder) const {
    return load_tokenizer(
        {.name = "x", .kind = models::SourceKind::kGguf, .path = write("x.gguf", builder.build())});
  }
  std::string refusal(const GgufBuilder& builder) const {
    return message_of<DataError>([&] { gguf(builder); });
  }
};

GgufBuilder byte_level_gguf(const std::string& pre = "smollm") {
  GgufBuilder builder;
  builder.string("tokenizer.ggml.model", "gpt2").string("tokenizer.ggml.pre", pre);
  builder.strings("tokenizer.ggml.tokens", {"<|end|>", "h", "e", "1", "2", "Ġ", "he", "12", "<tool>"});
  builder.array<int32_t>("tokenizer.ggml.token_type", 5, {3, 1, 1, 1, 1, 1, 1, 1, 4});
  builder.strings("tokenizer.ggml.merges", {"h e", "1 2"});
  builder.u32("tokenizer.ggml.bos_token_id", 0).u32("tokenizer.ggml.eos_token_id", 0);
  return builder;
}

GgufBuilder sentencepiece_gguf() {
  std::vector<std::string> tokens = {"<unk>", "<s>", "</s>"};
  std::vector<int32_t> types = {2, 3, 3};
  for (int byte = 0; byte < 256; ++byte) {
    char text[8];
    std::snprintf(text, sizeof text, "<0x%02X>", byte);
    tokens.emplace_back(text);
    types.push_back(6);
  }
  std::vector<float> scores(tokens.size(), 0.0F);
  float score = 0;
  for (const char* text : {"▁a", "▁ab", "▁", "a", "b"}) {
    tokens.emplace_back(text);
    types.push_back(1);
    scores.push_back(score -= 1.0F);
  }
  GgufBuilder builder;
  builder.string("tokenizer.ggml.model", "llama").strings("tokenizer.ggml.tokens", tokens);
  builder.array<float>("tokenizer.ggml.scores", 6, scores)
      .array<int32_t>("tokenizer.ggml.token_type", 5, types);
  builder.u32("tokenizer.ggml.bos_token_id", 1)
      .u32("tokenizer.ggml.eos_token_id", 2)
      .u32("tokenizer.ggml.unknown_token_id", 0);
  return builder;
}

TEST_F(LoadTokenizer, ReadsAFolder) {
  write("tokenizer.json", byte_level_file().dump());
  const std::string plain = folder()->hash();
  write("tokenizer_config.json",
        R"({"bos_token": {"content": "<|end|>"}, "eos_token": "<|end|>", "add_bos_token": true})");
  const auto tokenizer = folder();
  EXPECT_EQ(tokenizer->bos(), 0);
  EXPECT_EQ(tokenizer->eos(), 0);
  EXPECT_FALSE(tokenizer->adds_bos());  // tokenizer.json's own post-processor decides
  EXPECT_EQ(tokenizer->hash().size(), 64U);
  EXPECT_NE(tokenizer->hash(), plain);
  EXPECT_EQ(tokenizer->hash(), folder()->hash());
}

TEST_F(LoadTokenizer, SaysWhatAFolderLacks) {
  EXPECT_THAT(message_of<DataError>([&] { folder(); }),
              HasSubstr("expected tokenizer.json or tokenizer.model"));
  write("tokenizer.model", "no protocol buffer");
  EXPECT_THAT(message_of<DataError>([&] { folder(); }), HasSubstr("not a SentencePiece model"));
  write("tokenizer_config.json", R"({"added_tokens_decoder": {"x": {"content": "a"}}})");
  EXPECT_THAT(message_of<DataError>([&] { folder(); }), HasSubstr("a key that is a token id"));
}

TEST_F(LoadTokenizer, ReadsByteLevelGguf) {
  const auto tokenizer = gguf(byte_level_gguf());
  EXPECT_THAT(tokenizer->encode("he12 <tool><|end|>"),
              ElementsAre(6, 3, 4, 5, 8, 0));  // smollm: digits one by one
  EXPECT_THAT(tokenizer->encode("<tool>h", {.parse_special = false}),
              ElementsAre(8, 1));  // user-defined, not control
  EXPECT_FALSE(tokenizer->adds_bos());
  EXPECT_THAT(gguf(byte_level_gguf("gpt-2"))->encode("he12"), ElementsAre(6, 7));
  EXPECT_THAT(gguf(byte_level_gguf("llama-bpe"))->encode("he12"),
              ElementsAre(0, 6, 7));  // adds BOS by itself
  EXPECT_THAT(gguf(byte_level_gguf("llama-bpe").boolean("tokenizer.ggml.add_bos_token", false))->encode("he"),
              ElementsAre(6));
  EXPECT_THAT(gguf(byte_level_gguf().boolean("tokenizer.ggml.add_eos_token", true))->encode("he"),
              ElementsAre(6, 0));
}

TEST_F(LoadTokenizer, ReadsSentencePieceGguf) {
  const auto tokenizer = gguf(sentencepiece_gguf());
  EXPECT_THAT(tokenizer->encode("ab a"), ElementsAre(1, 260, 259));
  EXPECT_THAT(tokenizer->encode("é", {.add_special = false}), ElementsAre(261, 0xC3 + 3, 0xA9 + 3));
  EXPECT_THAT(tokenizer->encode("</s>a", {.add_special = false}), ElementsAre(2, 259));
  EXPECT_EQ(tokenizer->decode(Ids{1, 260, 259}, true), "ab a");
  EXPECT_EQ(tokenizer->unk(), 0);
  EXPECT_THAT(gguf(sentencepiece_gguf().boolean("tokenizer.ggml.add_space_prefix", false))
                  ->encode("ab", {.add_special = false}),
              ElementsAre(262, 263));
}

TEST_F(LoadTokenizer, SaysWhatIsWrongWithAGguf) {
  EXPECT_THAT(refusal(byte_level_gguf("smolm")),
              AllOf(HasSubstr("\"smolm\" is not supported"), HasSubstr("Did you mean \"smollm\"?")));
  EXPECT_THAT(
      refusal(GgufBuilder().string("tokenizer.ggml.model", "bert").strings("tokenizer.ggml.tokens", {"a"})),
      HasSubstr("Supported: gpt2, llama"));
  EXPECT_THAT(refusal(GgufBuilder().string("tokenizer.ggml.model", "gpt2")),
              HasSubstr("tokenizer.ggml.tokens is missing"));
  EXPECT_THAT(refusal(GgufBuilder()), HasSubstr("tokenizer.ggml.model"));
  const auto file = [](const std::vector<std::string>& tokens, const std::vector<std::string>& merges) {
    GgufBuilder builder;
    builder.string("tokenizer.ggml.model", "gpt2").string("tokenizer.ggml.pre", "gpt-2");
    return builder.strings("tokenizer.ggml.tokens", tokens).strings("tokenizer.ggml.merges", merges);
  };
  EXPECT_THAT(refusal(file({"a", "a"}, {})), HasSubstr("tokens[1] \"a\" repeats token 0"));
  EXPECT_THAT(refusal(file({"a", "\xFF"}, {})), HasSubstr("tokens[1] is not valid UTF-8"));
  EXPECT_THAT(refusal(file({}, {})), HasSubstr("has 0 entries"));
  EXPECT_THAT(refusal(file({"a", "b"}, {"a b"})),
              HasSubstr("merges[0] \"a b\" names a token that is not in"));
  EXPECT_THAT(refusal(file({"a", "b"}, {"ab"})), HasSubstr("is not two tokens"));
  EXPECT_THAT(refusal(file({"a"}, {}).array<int32_t>("tokenizer.ggml.token_type", 5, {1, 1})),
              HasSubstr("2 entries for 1 tokens"));
  EXPECT_THAT(refusal(file({"a"}, {}).u32("tokenizer.ggml.bos_token_id", 7)),
              HasSubstr("bos_token_id is 7; expected an id below 1"));
  EXPECT_THAT(refusal(file({"a"}, {}).boolean("tokenizer.ggml.add_bos_token", true)),
              HasSubstr("names no such token"));
}

TEST_F(LoadTokenizer, HashesWhatDefinesAGgufTokenizer) {
  const std::string hash = gguf(byte_level_gguf())->hash();
  EXPECT_EQ(gguf(byte_level_gguf().string("general.name", "other"))->hash(), hash);
  EXPECT_NE(gguf(byte_level_gguf("gpt-2"))->hash(), hash);
}

class SentencePieceFolder : public ::testing::Test {
 protected:
  SentencePieceFolder()
      : path_(testing_support::source_dir() / "tests" / "golden" / "eval" / "tiny_llama_sp") {}
  std::filesystem::path path_;
};

TEST_F(SentencePieceFolder, FollowsTheWrapperOrSentencePieceAsAsked) {
  const auto tokenizer = load_tokenizer({.name = "sp", .path = path_});
  EXPECT_EQ(tokenizer->vocab_size(), 512);
  EXPECT_EQ(tokenizer->bos(), 1);
  EXPECT_TRUE(tokenizer->adds_bos());
  const EncodeOptions wrapped{.add_special = false};
  const EncodeOptions plain{.add_special = false, .parse_special = false};
  EXPECT_EQ(tokenizer->encode(" Hello", wrapped),
            tokenizer->encode("Hello", plain));  // the space stands for the prefix
  EXPECT_NE(tokenizer->encode(" Hello", plain), tokenizer->encode("Hello", plain));
  EXPECT_THAT(tokenizer->encode("</s>", wrapped), ElementsAre(2));
  EXPECT_GT(tokenizer->encode("</s>", plain).size(), 1U);
  EXPECT_THAT(tokenizer->encode(""), ElementsAre(1));
  EXPECT_EQ(tokenizer->decode(tokenizer->encode("Hello world, naïve 漢字")), "Hello world, naïve 漢字");
  EXPECT_EQ(tokenizer->piece(1), "<s>");
}

}  // namespace
}  // namespace qbench::tokenizers
