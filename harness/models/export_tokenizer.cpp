#include "harness/models/export_tokenizer.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>

#include "harness/core/errors.h"
#include "harness/core/fields.h"
#include "harness/core/files.h"

namespace qbench::models {
namespace {

enum TokenType : int64_t { kNormal = 1, kUnknown = 2, kControl = 3, kUserDefined = 4 };

/// What GGUF names by one word (tokenizer.ggml.pre) is spelled out in tokenizer.json.
struct PreTokenizer {
  std::array<std::string_view, 3> names;
  std::string_view json;
  bool nfc, ignore_merges, adds_bos;
};
constexpr std::array kPreTokenizers = {
    PreTokenizer{{"gpt-2", "phi-2", ""},
                 R"({"type":"ByteLevel","add_prefix_space":false,"trim_offsets":true,"use_regex":true})",
                 false,
                 false,
                 false},
    PreTokenizer{{"smollm", "starcoder", "refact"},
                 R"({"type":"Sequence","pretokenizers":[{"type":"Digits","individual_digits":true},
                     {"type":"ByteLevel","add_prefix_space":false,"trim_offsets":true,"use_regex":true}]})",
                 false,
                 false,
                 false},
    PreTokenizer{{"llama-bpe", "llama3", "llama-v3"},
                 R"JSON({"type":"Sequence","pretokenizers":[{"type":"Split","pattern":{"Regex":
                     "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"},
                     "behavior":"Isolated","invert":false},
                     {"type":"ByteLevel","add_prefix_space":false,"trim_offsets":true,"use_regex":false}]})JSON",
                 false,
                 true,
                 true},
    PreTokenizer{{"qwen2", "deepseek-r1-qwen", ""},
                 R"JSON({"type":"Sequence","pretokenizers":[{"type":"Split","pattern":{"Regex":
                     "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"},
                     "behavior":"Isolated","invert":false},
                     {"type":"ByteLevel","add_prefix_space":false,"trim_offsets":false,"use_regex":false}]})JSON",
                 true,
                 false,
                 false},
};

const PreTokenizer* find_pre_tokenizer(const std::string& name) {
  for (const PreTokenizer& entry : kPreTokenizers) {
    if (!name.empty() && std::ranges::find(entry.names, name) != entry.names.end()) return &entry;
  }
  return nullptr;
}

struct Vocabulary {
  std::vector<std::string> texts;
  std::vector<int64_t> types;
};

Vocabulary read_vocabulary(const GgufFile& file) {
  Vocabulary out{file.strings("tokenizer.ggml.tokens"), {}};
  out.types = file.maybe_integers("tokenizer.ggml.token_type")
                  .value_or(std::vector<int64_t>(out.texts.size(), kNormal));
  if (out.types.size() != out.texts.size()) {
    throw DataError(fmt::format("{}: tokenizer.ggml.token_type has {} entries for {} tokens",
                                file.path().string(), out.types.size(), out.texts.size()));
  }
  return out;
}

/// The text of the token that `key` names, if it names one.
std::optional<std::pair<int64_t, std::string>> special(const GgufFile& file, const Vocabulary& vocabulary,
                                                       const char* key) {
  const auto id = file.maybe_integer(key);
  if (!id || *id < 0 || *id >= static_cast<int64_t>(vocabulary.texts.size())) return std::nullopt;
  return std::pair(*id, vocabulary.texts[static_cast<size_t>(*id)]);
}

OrderedJson added_tokens(const Vocabulary& vocabulary) {
  OrderedJson out = OrderedJson::array();
  for (size_t id = 0; id < vocabulary.texts.size(); ++id) {
    const int64_t type = vocabulary.types[id];
    if (type != kUnknown && type != kControl && type != kUserDefined) continue;
    out.push_back({{"id", id},
                   {"content", vocabulary.texts[id]},
                   {"single_word", false},
                   {"lstrip", false},
                   {"rstrip", false},
                   {"normalized", false},
                   {"special", type != kUserDefined}});
  }
  return out;
}

/// Puts BOS and EOS where the file asks for them; without either the tokens stay as they are.
OrderedJson post_processor(const GgufFile& file, const Vocabulary& vocabulary, bool adds_bos) {
  const auto bos = special(file, vocabulary, "tokenizer.ggml.bos_token_id"),
             eos = special(file, vocabulary, "tokenizer.ggml.eos_token_id");
  const bool front = bos && file.maybe_boolean("tokenizer.ggml.add_bos_token").value_or(adds_bos);
  const bool back = eos && file.maybe_boolean("tokenizer.ggml.add_eos_token").value_or(false);
  OrderedJson single = OrderedJson::array(), pair = OrderedJson::array(), specials = OrderedJson::object();
  const auto put = [&](OrderedJson& list, const std::pair<int64_t, std::string>& token, int type) {
    list.push_back({{"SpecialToken", {{"id", token.second}, {"type_id", type}}}});
    specials[token.second] = {{"id", token.second}, {"ids", {token.first}}, {"tokens", {token.second}}};
  };
  for (const auto& [name, type] : {std::pair("A", 0), std::pair("B", 1)}) {
    const OrderedJson sequence = {{"Sequence", {{"id", name}, {"type_id", type}}}};
    for (OrderedJson* list : {&single, &pair}) {
      if (list == &single && type == 1) continue;
      if (front) put(*list, *bos, type);
      list->push_back(sequence);
      if (back) put(*list, *eos, type);
    }
  }
  return {{"type", "TemplateProcessing"}, {"single", single}, {"pair", pair}, {"special_tokens", specials}};
}

OrderedJson bpe_model(const GgufFile& file, const Vocabulary& vocabulary, bool ignore_merges) {
  // Objects are built key by key in id order; the ordered JSON type would search all keys at each insertion.
  OrderedJson vocab = OrderedJson::object();
  auto& entries = vocab.get_ref<OrderedJson::object_t&>();
  entries.reserve(vocabulary.texts.size());
  for (size_t id = 0; id < vocabulary.texts.size(); ++id) {
    static_cast<std::vector<OrderedJson::object_t::value_type>&>(entries).emplace_back(vocabulary.texts[id],
                                                                                       id);
  }
  OrderedJson merges = OrderedJson::array();
  for (const std::string& line : file.strings("tokenizer.ggml.merges")) {
    const size_t space = line.find(' ', 1);
    if (space == std::string::npos) {
      throw DataError(fmt::format("{}: tokenizer.ggml.merges holds \"{}\"; expected two tokens",
                                  file.path().string(), line));
    }
    merges.push_back({line.substr(0, space), line.substr(space + 1)});
  }
  return {{"type", "BPE"},
          {"dropout", nullptr},
          {"unk_token", nullptr},
          {"continuing_subword_prefix", ""},
          {"end_of_word_suffix", ""},
          {"fuse_unk", false},
          {"byte_fallback", false},
          {"ignore_merges", ignore_merges},
          {"vocab", vocab},
          {"merges", merges}};
}

void write_json(const std::filesystem::path& path, const OrderedJson& json, int indent) {
  try {
    write_file_atomically(path, json.dump(indent) + "\n");
  } catch (const OrderedJson::exception&) {
    throw DataError(fmt::format("{}: the GGUF file's tokenizer holds text that is not UTF-8", path.string()));
  }
}

OrderedJson config_json(const GgufFile& file, const Vocabulary& vocabulary, const char* tokenizer_class) {
  OrderedJson out;
  out["tokenizer_class"] = tokenizer_class;
  for (const auto& [key, name] : {std::pair("tokenizer.ggml.bos_token_id", "bos_token"),
                                  std::pair("tokenizer.ggml.eos_token_id", "eos_token"),
                                  std::pair("tokenizer.ggml.unknown_token_id", "unk_token"),
                                  std::pair("tokenizer.ggml.padding_token_id", "pad_token")}) {
    if (const auto token = special(file, vocabulary, key)) out[name] = token->second;
  }
  if (const auto add = file.maybe_boolean("tokenizer.ggml.add_bos_token")) out["add_bos_token"] = *add;
  if (const auto add = file.maybe_boolean("tokenizer.ggml.add_eos_token")) out["add_eos_token"] = *add;
  if (const auto text = file.maybe_string("tokenizer.chat_template")) out["chat_template"] = *text;
  out["clean_up_tokenization_spaces"] = false;
  return out;
}

std::string write_byte_level(const GgufFile& file, const std::filesystem::path& folder) {
  const std::string name = file.maybe_string("tokenizer.ggml.pre").value_or("");
  const PreTokenizer* pre = find_pre_tokenizer(name);
  if (pre == nullptr)
    return fmt::format(
        "no tokenizer written: the GGUF file's pre-tokenizer \"{}\" has no known tokenizer.json", name);
  const Vocabulary vocabulary = read_vocabulary(file);
  OrderedJson json;
  json["version"] = "1.0";
  json["truncation"] = json["padding"] = nullptr;
  json["added_tokens"] = added_tokens(vocabulary);
  json["normalizer"] = pre->nfc ? OrderedJson{{"type", "NFC"}} : OrderedJson();
  json["pre_tokenizer"] = OrderedJson::parse(pre->json);
  json["post_processor"] = post_processor(file, vocabulary, pre->adds_bos);
  json["decoder"] = {
      {"type", "ByteLevel"}, {"add_prefix_space", true}, {"trim_offsets", true}, {"use_regex", true}};
  json["model"] = bpe_model(file, vocabulary, pre->ignore_merges);
  write_json(folder / "tokenizer.json", json, -1);
  write_json(folder / "tokenizer_config.json", config_json(file, vocabulary, "PreTrainedTokenizerFast"), 2);
  return "tokenizer.json written from the GGUF file's metadata";
}

// --- sentencepiece: the few fields of its protocol buffer that a BPE vocabulary needs
// (sentencepiece_model.proto) ---

void put_varint(std::string& out, uint64_t value) {
  for (; value >= 0x80; value >>= 7) out += static_cast<char>(value | 0x80);
  out += static_cast<char>(value);
}
void put_number(std::string& out, int field, uint64_t value) {
  put_varint(out, static_cast<uint64_t>(field) << 3);
  put_varint(out, value);
}
void put_bytes(std::string& out, int field, std::string_view bytes) {
  put_varint(out, static_cast<uint64_t>(field) << 3 | 2);
  put_varint(out, bytes.size());
  out += bytes;
}
void put_float(std::string& out, int field, float value) {
  put_varint(out, static_cast<uint64_t>(field) << 3 | 5);
  const auto bits = std::bit_cast<uint32_t>(value);
  for (int shift = 0; shift < 32; shift += 8) out += static_cast<char>(bits >> shift);
}

std::string sentencepiece_model(const GgufFile& file, const Vocabulary& vocabulary) {
  const std::vector<float> scores = file.floats("tokenizer.ggml.scores");
  if (scores.size() != vocabulary.texts.size()) {
    throw DataError(fmt::format("{}: tokenizer.ggml.scores has {} entries for {} tokens",
                                file.path().string(), scores.size(), vocabulary.texts.size()));
  }
  std::string model;
  for (size_t id = 0; id < scores.size(); ++id) {
    std::string piece;
    put_bytes(piece, 1, vocabulary.texts[id]);
    put_float(piece, 2, scores[id]);
    put_number(piece, 3,
               static_cast<uint64_t>(vocabulary.types[id]));  // the two formats number the types alike
    put_bytes(model, 1, piece);
  }
  std::string trainer;
  put_number(trainer, 3, 2);  // model_type = BPE
  put_number(trainer, 4, scores.size());
  put_number(trainer, 35, 1);  // byte_fallback
  const auto id = [&](const char* key, int field) {
    if (const auto token = special(file, vocabulary, key))
      put_number(trainer, field, static_cast<uint64_t>(token->first));
  };
  id("tokenizer.ggml.unknown_token_id", 40);
  id("tokenizer.ggml.bos_token_id", 41);
  id("tokenizer.ggml.eos_token_id", 42);
  put_bytes(model, 2, trainer);
  std::string normalizer;
  put_bytes(normalizer, 1, "identity");
  put_number(normalizer, 3, file.maybe_boolean("tokenizer.ggml.add_space_prefix").value_or(true) ? 1 : 0);
  put_number(normalizer, 4, 0);  // remove_extra_whitespaces
  put_number(normalizer, 5, 1);  // escape_whitespaces
  put_bytes(model, 3, normalizer);
  return model;
}

std::string write_sentencepiece(const GgufFile& file, const std::filesystem::path& folder) {
  const Vocabulary vocabulary = read_vocabulary(file);
  write_file_atomically(folder / "tokenizer.model", sentencepiece_model(file, vocabulary));
  OrderedJson config = config_json(file, vocabulary, "LlamaTokenizer");
  config["legacy"] = false;
  write_json(folder / "tokenizer_config.json", config, 2);
  return "tokenizer.model written from the GGUF file's metadata";
}

}  // namespace

std::string export_gguf_tokenizer(const GgufFile& file, const std::filesystem::path& folder) {
  const std::string kind = file.maybe_string("tokenizer.ggml.model").value_or("");
  if (kind == "gpt2") return write_byte_level(file, folder);
  if (kind == "llama") return write_sentencepiece(file, folder);
  return fmt::format("no tokenizer written: the GGUF file's tokenizer kind \"{}\" is unknown", kind);
}

}  // namespace qbench::models
