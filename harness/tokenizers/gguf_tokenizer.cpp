#include "harness/tokenizers/gguf_tokenizer.h"

#include <fmt/format.h>

#include <array>
#include <utility>
#include <variant>

#include "harness/core/errors.h"
#include "harness/core/hash.h"
#include "harness/tokenizers/bpe.h"
#include "harness/tokenizers/unicode.h"
#include "harness/tokenizers/word_scan.h"

namespace qbench::tokenizers {
namespace {

using models::GgufFile;

/// tokenizer.ggml.token_type
enum TokenType : int64_t {
  kNormal = 1,
  kUnknown = 2,
  kControl = 3,
  kUserDefined = 4,
  kUnused = 5,
  kByte = 6
};

/// What a tokenizer.ggml.pre stands for, in the components of the families' own tokenizer.json.
struct PreType {
  std::vector<std::string> names;
  std::string pre_tokenizer;
  bool nfc = false;
  bool ignore_merges = false;
  bool adds_bos = false;  ///< unless tokenizer.ggml.add_bos_token says otherwise
};

std::string split_and_bytes(const std::string& pattern) {
  const Json split = {{"type", "Split"}, {"pattern", {{"Regex", pattern}}}, {"behavior", "Isolated"}};
  const Json bytes = {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"use_regex", false}};
  return Json{{"type", "Sequence"}, {"pretokenizers", {split, bytes}}}.dump();
}

const std::vector<PreType>& pre_types() {
  static const std::vector<PreType> types = {
      {{"gpt-2", "phi-2"}, R"({"type":"ByteLevel","add_prefix_space":false})"},
      {{"smollm", "starcoder", "refact"},
       R"({"type":"Sequence","pretokenizers":[{"type":"Digits","individual_digits":true},
           {"type":"ByteLevel","add_prefix_space":false}]})"},
      {{"llama-bpe", "llama3", "llama-v3"}, split_and_bytes(kLlama3Pattern), false, true, true},
      {{"qwen2", "deepseek-r1-qwen"}, split_and_bytes(kQwen2Pattern), true},
      {{"falcon"},
       R"({"type":"Sequence","pretokenizers":[{"type":"Punctuation","behavior":"Contiguous"},
           {"type":"ByteLevel","add_prefix_space":false},{"type":"Digits","individual_digits":false},
           {"type":"Split","pattern":{"Regex":"[0-9][0-9][0-9]"},"behavior":"Isolated"}]})"},
  };
  return types;
}

const PreType& pre_type_named(const std::string& name, const std::string& place) {
  std::vector<std::string> known;
  for (const PreType& type : pre_types()) {
    for (const std::string& candidate : type.names) {
      if (candidate == name) return type;
      known.push_back(candidate);
    }
  }
  throw DataError(fmt::format("{}: tokenizer.ggml.pre \"{}\" is not supported.{} Supported: {}", place, name,
                              did_you_mean(name, known), fmt::join(known, ", ")));
}

/// A list of the metadata without copying it.
template <class T>
const std::vector<T>& list_of(const GgufFile& file, std::string_view key) {
  static const std::vector<T> empty;
  const models::GgufValue* value = file.find(key);
  if (value == nullptr)
    throw DataError(fmt::format("{}: metadata {} is missing; this file has no usable tokenizer",
                                file.path().string(), key));
  if (const auto* list = std::get_if<std::vector<T>>(&value->value)) return *list;
  const bool no_elements = std::visit(
      [](const auto& v) {
        if constexpr (requires {
                        v.empty();
                        v.push_back({});
                      })
          return v.empty();
        return false;
      },
      value->value);
  if (no_elements) return empty;
  throw DataError(fmt::format("{}: metadata {} is {}; expected a list of another type", file.path().string(),
                              key, value->type));
}

struct Tokens {
  Vocabulary vocabulary;
  std::vector<int64_t> types;  ///< by id; all normal if the file does not say
};

Tokens read_tokens(const GgufFile& file) {
  const std::string place = file.path().string();
  const auto& texts = list_of<std::string>(file, "tokenizer.ggml.tokens");
  if (texts.empty() || texts.size() > static_cast<size_t>(kMaxTokenId)) {
    throw DataError(fmt::format("{}: tokenizer.ggml.tokens has {} entries; expected 1 to {}", place,
                                texts.size(), kMaxTokenId));
  }
  Tokens tokens;
  tokens.types.assign(texts.size(), kNormal);
  if (file.has("tokenizer.ggml.token_type"))
    tokens.types = list_of<int64_t>(file, "tokenizer.ggml.token_type");
  if (tokens.types.size() != texts.size()) {
    throw DataError(fmt::format("{}: tokenizer.ggml.token_type has {} entries for {} tokens", place,
                                tokens.types.size(), texts.size()));
  }
  size_t bytes = 0;
  for (const std::string& text : texts) bytes += text.size();
  tokens.vocabulary.reserve(texts.size(), bytes);
  for (size_t id = 0; id < texts.size(); ++id) {
    const std::string& text = texts[id];
    if (find_invalid_utf8(text) != std::string_view::npos) {
      throw DataError(fmt::format("{}: tokenizer.ggml.tokens[{}] is not valid UTF-8", place, id));
    }
    if (!tokens.vocabulary.add(text, static_cast<int32_t>(id))) {
      throw DataError(fmt::format("{}: tokenizer.ggml.tokens[{}] \"{}\" repeats token {}", place, id, text,
                                  tokens.vocabulary.find(text)));
    }
  }
  return tokens;
}

std::vector<AddedToken> added_tokens(const Tokens& tokens) {
  std::vector<AddedToken> added;
  for (size_t id = 0; id < tokens.types.size(); ++id) {
    const int64_t type = tokens.types[id];
    if (type != kControl && type != kUserDefined && type != kUnknown) continue;
    AddedToken token;
    token.id = static_cast<int32_t>(id);
    token.content = tokens.vocabulary.text(token.id);
    token.special = type != kUserDefined;
    added.push_back(std::move(token));
  }
  return added;
}

MergeTable read_merges(const GgufFile& file, const Vocabulary& vocabulary) {
  const auto& lines = list_of<std::string>(file, "tokenizer.ggml.merges");
  MergeTable merges;
  merges.reserve(lines.size());
  std::string whole;
  for (size_t rank = 0; rank < lines.size(); ++rank) {
    const std::string_view line = lines[rank];
    const size_t space = line.find(' ', 1);  // a merge may begin with a space-like token, never with nothing
    const auto fail = [&](std::string_view why) {
      throw DataError(
          fmt::format("{}: tokenizer.ggml.merges[{}] \"{}\" {}", file.path().string(), rank, line, why));
    };
    if (space == std::string_view::npos || space + 1 == line.size())
      fail("is not two tokens with a space between them");
    const std::string_view left = line.substr(0, space);
    const std::string_view right = line.substr(space + 1);
    whole.assign(left).append(right);
    const int32_t left_id = vocabulary.find(left);
    const int32_t right_id = vocabulary.find(right);
    const int32_t id = vocabulary.find(whole);
    if (left_id == Vocabulary::kNone || right_id == Vocabulary::kNone || id == Vocabulary::kNone) {
      fail("names a token that is not in tokenizer.ggml.tokens");
    }
    merges.add(left_id, right_id, {static_cast<uint32_t>(rank), id});
  }
  return merges;
}

bool build_byte_level(const GgufFile& file, Tokens tokens, PipelineParts& parts) {
  const auto name = file.maybe_string("tokenizer.ggml.pre");
  const PreType& pre = pre_type_named(name.value_or("(none)"), file.path().string());
  const Json json = Json::parse(pre.pre_tokenizer);
  parts.pre_tokenizer = parse_pre_tokenizer(JsonNode(json, "tokenizer.ggml.pre"));
  if (pre.nfc) parts.normalizer = nfc_normalizer();
  BpeOptions options;
  options.ignore_merges = pre.ignore_merges;
  options.raw_bytes = parts.raw_bytes = parts.pre_tokenizer->leave_raw_bytes();
  MergeTable merges = read_merges(file, tokens.vocabulary);
  parts.model =
      std::make_unique<BpeModel>(std::move(tokens.vocabulary), std::move(merges), std::move(options));
  parts.decoder = byte_level_decoder();
  return pre.adds_bos;
}

bool build_sentencepiece(const GgufFile& file, Tokens tokens, PipelineParts& parts) {
  const std::vector<float> scores = file.floats("tokenizer.ggml.scores");
  if (scores.size() != tokens.types.size()) {
    throw DataError(fmt::format("{}: tokenizer.ggml.scores has {} entries for {} tokens",
                                file.path().string(), scores.size(), tokens.types.size()));
  }
  for (size_t id = 0; id < scores.size(); ++id) {
    if (scores[id] != scores[id])
      throw DataError(fmt::format("{}: tokenizer.ggml.scores[{}] is not a number", file.path().string(), id));
  }
  for (int byte = 0; byte < 256; ++byte) {
    const std::string text = fmt::format("<0x{:02X}>", byte);
    if (tokens.vocabulary.find(text) == Vocabulary::kNone) {
      throw DataError(fmt::format("{}: tokenizer.ggml.tokens has no byte token {}; expected all 256",
                                  file.path().string(), text));
    }
  }
  std::vector<bool> mergeable(tokens.types.size());
  for (size_t id = 0; id < mergeable.size(); ++id) {
    const int64_t type = tokens.types[id];
    mergeable[id] = type != kUnknown && type != kControl && type != kByte;
  }
  const bool prefix = file.maybe_boolean("tokenizer.ggml.add_space_prefix").value_or(true);
  BpeOptions options;
  options.byte_fallback = true;
  parts.normalizer = marker_normalizer(prefix);
  parts.decoder = marker_decoder(prefix);
  parts.model = BpeModel::from_scores(std::move(tokens.vocabulary), scores, mergeable, std::move(options));
  return true;
}

std::optional<int32_t> special_id(const GgufFile& file, const char* key) {
  const auto id = file.maybe_integer(key);
  if (!id || *id < 0 || *id == 0xFFFFFFFF) return std::nullopt;  // -1 in 32 bits: none
  const auto count = list_of<std::string>(file, "tokenizer.ggml.tokens").size();
  if (*id >= static_cast<int64_t>(count)) {
    throw DataError(
        fmt::format("{}: {} is {}; expected an id below {}", file.path().string(), key, *id, count));
  }
  return static_cast<int32_t>(*id);
}

void set_frame(const GgufFile& file, bool adds_bos, PipelineParts& parts) {
  parts.bos = special_id(file, "tokenizer.ggml.bos_token_id");
  parts.eos = special_id(file, "tokenizer.ggml.eos_token_id");
  parts.unk = special_id(file, "tokenizer.ggml.unknown_token_id");
  const auto frame = [&](const char* key, bool fallback, const std::optional<int32_t>& id,
                         std::vector<int32_t>& side) {
    if (!file.maybe_boolean(key).value_or(fallback && id)) return;
    if (!id)
      throw DataError(
          fmt::format("{}: {} is set, but the file names no such token", file.path().string(), key));
    side.push_back(*id);
  };
  frame("tokenizer.ggml.add_bos_token", adds_bos, parts.bos, parts.frame.before);
  frame("tokenizer.ggml.add_eos_token", false, parts.eos, parts.frame.after);
}

/// Hash of every tokenizer.ggml.* key: type and value, length-prefixed.
std::string hash_metadata(const GgufFile& file) {
  constexpr std::string_view kPrefix = "tokenizer.ggml.";
  std::string bytes;
  const auto put = [&](std::string_view text) {
    const uint64_t length = text.size();
    bytes.append(reinterpret_cast<const char*>(&length), sizeof length);
    bytes.append(text);
  };
  const auto put_number = [&](auto number) {
    bytes.append(reinterpret_cast<const char*>(&number), sizeof number);
  };
  for (const auto& [key, value] : file.values()) {
    if (!key.starts_with(kPrefix)) continue;
    put(key);
    put(value.type);
    std::visit(
        [&](const auto& v) {
          using Value = std::decay_t<decltype(v)>;
          if constexpr (std::is_same_v<Value, std::string>) {
            put(v);
          } else if constexpr (std::is_arithmetic_v<Value>) {
            put_number(v);
          } else {
            put_number(static_cast<uint64_t>(v.size()));
            for (const auto& element : v) {
              if constexpr (std::is_same_v<Value, std::vector<std::string>>) {
                put(element);
              } else {
                put_number(static_cast<typename Value::value_type>(element));
              }
            }
          }
        },
        value.value);
  }
  return sha256_hex(bytes);
}

}  // namespace

PipelineParts parse_gguf_tokenizer(const GgufFile& file) {
  const std::string kind = file.string("tokenizer.ggml.model");
  PipelineParts parts;
  Tokens tokens = read_tokens(file);
  parts.added = added_tokens(tokens);
  bool adds_bos = false;
  if (kind == "gpt2") {
    adds_bos = build_byte_level(file, std::move(tokens), parts);
  } else if (kind == "llama") {
    adds_bos = build_sentencepiece(file, std::move(tokens), parts);
  } else {
    throw DataError(fmt::format("{}: tokenizer.ggml.model \"{}\" is not supported. Supported: gpt2, llama",
                                file.path().string(), kind));
  }
  set_frame(file, adds_bos, parts);
  parts.hash = hash_metadata(file);
  return parts;
}

}  // namespace qbench::tokenizers
