#include <fmt/format.h>

#include <array>

#include "harness/core/errors.h"
#include "harness/core/files.h"
#include "harness/core/hash.h"
#include "harness/tokenizers/gguf_tokenizer.h"
#include "harness/tokenizers/sentencepiece_tokenizer.h"
#include "harness/tokenizers/tokenizer_json.h"

namespace qbench::tokenizers {
namespace {

std::string hash_files(const std::filesystem::path& folder, const char* main_file) {
  Hasher hasher;
  for (const char* name : {main_file, "tokenizer_config.json", "special_tokens_map.json"}) {
    if (!std::filesystem::exists(folder / name)) continue;
    hasher.field(name);
    hasher.field(read_text_file(folder / name));
  }
  return hasher.hex();
}

std::unique_ptr<Tokenizer> load_folder(const std::filesystem::path& folder) {
  const TokenizerSettings settings = read_settings(folder);
  if (const auto path = folder / "tokenizer.json"; std::filesystem::exists(path)) {
    PipelineParts parts = parse_tokenizer_json(read_text_file(path), path.string(), settings);
    parts.hash = hash_files(folder, "tokenizer.json");
    return std::make_unique<PipelineTokenizer>(std::move(parts));
  }
  if (const auto path = folder / "tokenizer.model"; std::filesystem::exists(path)) {
    return load_sentencepiece(path, settings, hash_files(folder, "tokenizer.model"));
  }
  throw DataError(fmt::format(
      "{}: no tokenizer; expected tokenizer.json or tokenizer.model in the model's folder", folder.string()));
}

}  // namespace

std::unique_ptr<Tokenizer> load_tokenizer(const models::ModelSource& source) {
  if (source.kind == models::SourceKind::kGguf) {
    return std::make_unique<PipelineTokenizer>(parse_gguf_tokenizer(models::GgufFile(source.path)));
  }
  return load_folder(source.path);
}

}  // namespace qbench::tokenizers
