#include "harness/tokenizers/tokenizer_json.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <utility>

#include "harness/core/errors.h"
#include "harness/core/files.h"
#include "harness/tokenizers/bpe.h"
#include "harness/tokenizers/unigram.h"
#include "harness/tokenizers/wordpiece.h"

namespace qbench::tokenizers {
namespace {

int32_t checked_id(const JsonNode& node) {
  const int64_t id = node.integer();
  if (id < 0 || id > kMaxTokenId) node.fail(fmt::format("an id in [0, {}]", kMaxTokenId));
  return static_cast<int32_t>(id);
}

Vocabulary parse_vocabulary(const JsonNode& node) {
  if (!node.json().is_object()) node.fail("an object of token: id");
  Vocabulary vocabulary;
  vocabulary.reserve(node.json().size(), node.json().size() * 8);
  for (const auto& [text, value] : node.json().items()) {
    const int32_t id =
        value.is_number_integer() && value.get<int64_t>() >= 0 && value.get<int64_t>() <= kMaxTokenId
            ? value.get<int32_t>()
            : checked_id(JsonNode(value, fmt::format("{}[\"{}\"]", node.where(), text)));
    if (!vocabulary.add(text, id)) {
      throw DataError(fmt::format("{}: tokens \"{}\" and \"{}\" both have id {}; expected one token per id",
                                  node.where(), vocabulary.text(id), text, id));
    }
  }
  return vocabulary;
}

/// "a b" or ["a", "b"].
std::pair<std::string, std::string> parse_merge(const JsonNode& node) {
  if (node.json().is_array() && node.json().size() == 2) {
    const auto parts = node.items();
    return {parts[0].text(), parts[1].text()};
  }
  if (!node.json().is_string()) node.fail("\"left right\" or [\"left\", \"right\"]");
  const std::string& line = node.json().get_ref<const std::string&>();
  const size_t space = line.find(' ');
  if (space == std::string::npos || line.find(' ', space + 1) != std::string::npos) {
    node.fail("two tokens with one space between them");
  }
  return {line.substr(0, space), line.substr(space + 1)};
}

MergeTable parse_merges(const JsonNode& node, const Vocabulary& vocabulary, const std::string& prefix) {
  MergeTable merges;
  if (!node.json().is_array()) node.fail("an array of merges");
  merges.reserve(node.json().size());
  uint32_t rank = 0;
  std::string whole;
  for (const Json& item : node.json()) {
    const auto place = [&] { return JsonNode(item, fmt::format("{}[{}]", node.where(), rank)); };
    const auto [left, right] = parse_merge(JsonNode(item, node.where()));
    const int32_t left_id = vocabulary.find(left);
    const int32_t right_id = vocabulary.find(right);
    whole = left;
    whole +=
        right.starts_with(prefix) ? std::string_view(right).substr(prefix.size()) : std::string_view(right);
    const int32_t id = vocabulary.find(whole);
    for (const auto& [part, found] :
         {std::pair<std::string_view, int32_t>{left, left_id}, {right, right_id}, {whole, id}}) {
      if (found == Vocabulary::kNone) {
        throw DataError(
            fmt::format("{}: merge of \"{}\" and \"{}\" names \"{}\", which is not in the vocabulary",
                        place().where(), left, right, part));
      }
    }
    merges.add(left_id, right_id, {rank++, id});
  }
  return merges;
}

/// Is every step of the model about single bytes, so that it may work on them directly?
bool can_work_on_bytes(const BpeOptions& options) {
  return options.unk == Vocabulary::kNone && !options.byte_fallback && options.continuing_prefix.empty() &&
         options.end_suffix.empty();
}

std::unique_ptr<SubwordModel> parse_bpe(const JsonNode& node, PreTokenizer* pre_tokenizer, bool& raw_bytes) {
  if (node.has("dropout") && node.at("dropout").json() != 0)
    node.at("dropout").fail("no dropout: encoding must not be random");
  Vocabulary vocabulary = parse_vocabulary(node.at("vocab"));
  BpeOptions options;
  options.continuing_prefix = node.text_or("continuing_subword_prefix", "");
  options.end_suffix = node.text_or("end_of_word_suffix", "");
  options.fuse_unk = node.boolean_or("fuse_unk", false);
  options.byte_fallback = node.boolean_or("byte_fallback", false);
  options.ignore_merges = node.boolean_or("ignore_merges", false);
  if (node.has("unk_token")) {
    options.unk = vocabulary.find(node.at("unk_token").text());
    if (options.unk == Vocabulary::kNone) node.at("unk_token").fail("a token of the vocabulary");
  }
  MergeTable merges = parse_merges(node.at("merges"), vocabulary, options.continuing_prefix);
  raw_bytes = can_work_on_bytes(options) && pre_tokenizer != nullptr && pre_tokenizer->leave_raw_bytes();
  options.raw_bytes = raw_bytes;
  return std::make_unique<BpeModel>(std::move(vocabulary), std::move(merges), std::move(options));
}

std::unique_ptr<SubwordModel> parse_unigram(const JsonNode& node) {
  Vocabulary vocabulary;
  std::vector<double> scores;
  for (const JsonNode& item : node.at("vocab").items()) {
    if (!item.json().is_array() || item.json().size() != 2 || !item.json()[0].is_string() ||
        !item.json()[1].is_number()) {
      item.fail("[token, log probability]");
    }
    const auto& text = item.json()[0].get_ref<const std::string&>();
    const auto id = static_cast<int64_t>(scores.size());
    if (id > kMaxTokenId || !vocabulary.add(text, static_cast<int32_t>(id)))
      item.fail("a token that has not been listed before");
    scores.push_back(item.json()[1].get<double>());
  }
  if (scores.empty()) node.at("vocab").fail("at least one token");
  int32_t unk = Vocabulary::kNone;
  if (node.has("unk_id")) {
    unk = checked_id(node.at("unk_id"));
    if (!vocabulary.has(unk)) node.at("unk_id").fail("an id of the vocabulary");
  }
  return std::make_unique<UnigramModel>(std::move(vocabulary), std::move(scores), unk,
                                        node.boolean_or("byte_fallback", false));
}

std::unique_ptr<SubwordModel> parse_wordpiece(const JsonNode& node) {
  Vocabulary vocabulary = parse_vocabulary(node.at("vocab"));
  const int32_t unk = vocabulary.find(node.text_or("unk_token", "[UNK]"));
  if (unk == Vocabulary::kNone) node.fail("an unk_token of the vocabulary");
  const int64_t most =
      node.has("max_input_chars_per_word") ? node.at("max_input_chars_per_word").integer() : 100;
  return std::make_unique<WordPieceModel>(std::move(vocabulary), unk,
                                          node.text_or("continuing_subword_prefix", "##"), most);
}

std::unique_ptr<SubwordModel> parse_model(const JsonNode& node, PreTokenizer* pre_tokenizer,
                                          bool& raw_bytes) {
  const std::string type =
      node.text_or("type", node.has("merges") ? "BPE" : "(none)");  // old BPE files do not say it
  if (type == "BPE") return parse_bpe(node, pre_tokenizer, raw_bytes);
  if (type == "Unigram") return parse_unigram(node);
  if (type == "WordPiece") return parse_wordpiece(node);
  refuse_component(node, "model", type, {"BPE", "Unigram", "WordPiece"});
}

/// One id, one text: among the added tokens, and between them and the vocabulary.
void check_added(const std::vector<AddedToken>& added, const Vocabulary& vocabulary,
                 const std::string& where) {
  Vocabulary seen;
  for (const AddedToken& token : added) {
    const int32_t known = vocabulary.find(token.content);
    if (known != Vocabulary::kNone && known != token.id) {
      throw DataError(fmt::format("{}: added token \"{}\" has id {}; the vocabulary gives it id {}", where,
                                  token.content, token.id, known));
    }
    if (known == Vocabulary::kNone && vocabulary.has(token.id)) {
      throw DataError(fmt::format("{}: added token \"{}\" has id {}, which belongs to \"{}\"", where,
                                  token.content, token.id, vocabulary.text(token.id)));
    }
    if (!seen.add(token.content, token.id)) {
      throw DataError(fmt::format("{}: added token \"{}\" (id {}) repeats a text or an id", where,
                                  token.content, token.id));
    }
  }
}

void merge_settings(PipelineParts& parts, const TokenizerSettings& settings, const std::string& path) {
  for (const AddedToken& token : settings.added) {
    const auto same = [&](const AddedToken& known) { return known.content == token.content; };
    if (std::none_of(parts.added.begin(), parts.added.end(), same)) parts.added.push_back(token);
  }
  check_added(parts.added, parts.model->vocabulary(), path + ": added_tokens");
  const auto id_of = [&](const std::string& text) -> std::optional<int32_t> {
    for (const AddedToken& token : parts.added) {
      if (token.content == text) return token.id;
    }
    const int32_t id = parts.model->vocabulary().find(text);
    return id == Vocabulary::kNone ? std::nullopt : std::optional(id);
  };
  const auto named = [&](const char* key, const std::optional<std::string>& text) -> std::optional<int32_t> {
    if (!text) return std::nullopt;
    const auto id = id_of(*text);
    if (!id)
      throw DataError(
          fmt::format("{}: {} \"{}\" of tokenizer_config.json is not in the vocabulary", path, key, *text));
    return id;
  };
  parts.bos = named("bos_token", settings.bos);
  parts.eos = named("eos_token", settings.eos);
  if (settings.unk) parts.unk = id_of(*settings.unk);
  if (!parts.unk && parts.model->unk() != Vocabulary::kNone) parts.unk = parts.model->unk();
  // A folder without tokenizer_config.json: the frame is all there is to tell which tokens begin and end a
  // text.
  if (!parts.bos && !parts.frame.before.empty()) parts.bos = parts.frame.before.front();
  if (!parts.eos && !parts.frame.after.empty()) parts.eos = parts.frame.after.back();
}

std::optional<std::string> token_text(const JsonNode& node, const char* key) {
  if (!node.has(key)) return std::nullopt;
  const JsonNode value = node.at(key);
  return value.json().is_object() ? value.at("content").text() : value.text();
}

void read_token_names(const JsonNode& node, TokenizerSettings& settings) {
  if (!settings.bos) settings.bos = token_text(node, "bos_token");
  if (!settings.eos) settings.eos = token_text(node, "eos_token");
  if (!settings.unk) settings.unk = token_text(node, "unk_token");
}

}  // namespace

AddedToken parse_added_token(const JsonNode& node, int64_t id) {
  if (id < 0 || id > kMaxTokenId) node.fail(fmt::format("an id in [0, {}]", kMaxTokenId));
  AddedToken token;
  token.content = node.at("content").text();
  token.id = static_cast<int32_t>(id);
  token.special = node.boolean_or("special", false);
  token.single_word = node.boolean_or("single_word", false);
  token.lstrip = node.boolean_or("lstrip", false);
  token.rstrip = node.boolean_or("rstrip", false);
  token.normalized = node.boolean_or("normalized", !token.special);
  return token;
}

TokenizerSettings read_settings(const std::filesystem::path& folder) {
  TokenizerSettings settings;
  if (const auto path = folder / "tokenizer_config.json"; std::filesystem::exists(path)) {
    const Json json = parse_json(read_text_file(path), path.string());
    const JsonNode root(json, path.string());
    settings.tokenizer_class = root.text_or("tokenizer_class", "");
    if (root.has("add_bos_token")) settings.add_bos = root.at("add_bos_token").boolean();
    if (root.has("add_eos_token")) settings.add_eos = root.at("add_eos_token").boolean();
    read_token_names(root, settings);
    if (root.has("added_tokens_decoder")) {
      const JsonNode decoder = root.at("added_tokens_decoder");
      for (const auto& [key, value] : decoder.json().items()) {
        const JsonNode node(value, fmt::format("{}[\"{}\"]", decoder.where(), key));
        int64_t id = -1;
        const auto [end, error] = std::from_chars(key.data(), key.data() + key.size(), id);
        if (error != std::errc() || end != key.data() + key.size()) node.fail("a key that is a token id");
        settings.added.push_back(parse_added_token(node, id));
      }
      std::sort(settings.added.begin(), settings.added.end(),
                [](const auto& a, const auto& b) { return a.id < b.id; });
    }
  }
  if (const auto path = folder / "special_tokens_map.json"; std::filesystem::exists(path)) {
    const Json json = parse_json(read_text_file(path), path.string());
    read_token_names(JsonNode(json, path.string()), settings);
  }
  return settings;
}

PipelineParts parse_tokenizer_json(const std::string& content, const std::string& path,
                                   const TokenizerSettings& settings) {
  const Json json = parse_json(content, path);
  const JsonNode root(json, path);
  PipelineParts parts;
  if (root.has("normalizer")) parts.normalizer = parse_normalizer(root.at("normalizer"));
  if (root.has("pre_tokenizer")) parts.pre_tokenizer = parse_pre_tokenizer(root.at("pre_tokenizer"));
  if (root.has("post_processor")) parts.frame = parse_post_processor(root.at("post_processor"));
  if (root.has("decoder")) parts.decoder = parse_decoder(root.at("decoder"));
  parts.model = parse_model(root.at("model"), parts.pre_tokenizer.get(), parts.raw_bytes);
  if (root.has("added_tokens")) {
    for (const JsonNode& node : root.at("added_tokens").items()) {
      parts.added.push_back(parse_added_token(node, node.at("id").integer()));
    }
  }
  merge_settings(parts, settings, path);
  return parts;
}

}  // namespace qbench::tokenizers
