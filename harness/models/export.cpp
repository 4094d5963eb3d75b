#include "harness/models/export.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>

#include "harness/core/errors.h"
#include "harness/core/files.h"
#include "harness/models/arch/family.h"
#include "harness/models/export_tokenizer.h"
#include "harness/models/safetensors.h"

namespace qbench::models {
namespace {

namespace fs = std::filesystem;

constexpr std::array kTokenizerFiles = {"tokenizer.json",
                                        "tokenizer.model",
                                        "tokenizer_config.json",
                                        "special_tokens_map.json",
                                        "added_tokens.json",
                                        "vocab.json",
                                        "merges.txt",
                                        "chat_template.jinja"};

/// A folder beside the target that disappears unless it is committed.
class StagedFolder {
 public:
  explicit StagedFolder(fs::path target)
      : target_(std::move(target)), staged_(target_.string() + fmt::format(".tmp{}", ::getpid())) {
    std::error_code error;
    if (fs::exists(target_, error) && (!fs::is_directory(target_, error) || !fs::is_empty(target_, error))) {
      throw DataError(fmt::format(
          "{}: exists already; expected a new or an empty folder. Choose another or remove it first.",
          target_.string()));
    }
    fs::create_directories(staged_, error);
    if (error) fail("create", error);
  }
  ~StagedFolder() {
    std::error_code ignored;
    if (!committed_) fs::remove_all(staged_, ignored);
  }
  StagedFolder(const StagedFolder&) = delete;
  StagedFolder& operator=(const StagedFolder&) = delete;

  const fs::path& path() const { return staged_; }
  void commit() {
    std::error_code error;
    fs::rename(staged_, target_, error);
    if (error) fail("rename to", error);
    committed_ = true;
  }

 private:
  [[noreturn]] void fail(std::string_view doing, const std::error_code& error) const {
    throw DataError(fmt::format("{}: cannot {} the folder: {}", target_.string(), doing, error.message()));
  }
  fs::path target_, staged_;
  bool committed_ = false;
};

struct Shard {
  std::string file;
  std::vector<const TensorInfo*> tensors;
};

uint64_t float_bytes(const TensorInfo& tensor) {
  return static_cast<uint64_t>(tensor.numel()) * sizeof(float);
}

std::vector<Shard> plan_shards(const std::vector<TensorInfo>& tensors, uint64_t max_bytes) {
  std::vector<Shard> shards(1);
  uint64_t filled = 0;
  for (const TensorInfo& tensor : tensors) {
    if (filled > 0 && filled + float_bytes(tensor) > max_bytes) {
      shards.emplace_back();
      filled = 0;
    }
    shards.back().tensors.push_back(&tensor);
    filled += float_bytes(tensor);
  }
  for (size_t i = 0; i < shards.size(); ++i) {
    shards[i].file = shards.size() == 1
                         ? "model.safetensors"
                         : fmt::format("model-{:05}-of-{:05}.safetensors", i + 1, shards.size());
  }
  return shards;
}

void write_shard(const fs::path& folder, const Shard& shard,
                 const std::function<std::vector<float>(const TensorInfo&)>& weights,
                 const ExportOptions& options) {
  std::vector<SafetensorsLayout> layout;
  for (const TensorInfo* tensor : shard.tensors) layout.push_back({tensor->name, "F32", tensor->shape});
  auto metadata = options.metadata;
  metadata.emplace_back("format", "pt");  // transformers refuses files without it
  SafetensorsWriter writer(folder / shard.file, std::move(layout), metadata);
  for (const TensorInfo* tensor : shard.tensors) {
    const std::vector<float> values = weights(*tensor);
    QB_CHECK(values.size() == static_cast<size_t>(tensor->numel()), tensor->name);
    writer.append(std::as_bytes(std::span(values)));
  }
  writer.finish();
}

void write_index(const fs::path& folder, const std::vector<Shard>& shards, uint64_t bytes) {
  OrderedJson index;
  index["metadata"]["total_size"] = bytes;
  OrderedJson map = OrderedJson::object();
  std::vector<std::pair<std::string, std::string>> entries;
  for (const Shard& shard : shards) {
    for (const TensorInfo* tensor : shard.tensors) entries.emplace_back(tensor->name, shard.file);
  }
  std::ranges::sort(entries);
  for (const auto& [name, file] : entries) map[name] = file;
  index["weight_map"] = std::move(map);
  write_file_atomically(folder / "model.safetensors.index.json", index.dump(2) + "\n");
}

std::string write_tokenizer(const Checkpoint& checkpoint, const fs::path& folder) {
  const ModelSource& source = checkpoint.source();
  if (source.kind == SourceKind::kGguf) return export_gguf_tokenizer(GgufFile(source.path), folder);
  size_t copied = 0;
  for (const char* name : kTokenizerFiles) {
    std::error_code error;
    if (!fs::is_regular_file(source.path / name, error)) continue;
    write_file_atomically(folder / name, read_text_file(source.path / name));
    ++copied;
  }
  if (copied == 0) return fmt::format("no tokenizer written: {} has none", source.path.string());
  return fmt::format("tokenizer copied from {} ({} files)", source.path.string(), copied);
}

std::string_view hf_class_of(const std::string& model_type) {
  return family_of_model_type(model_type, "export").hf_class;
}

}  // namespace

OrderedJson export_config(const Checkpoint& checkpoint) {
  const Architecture& a = checkpoint.architecture();
  const Family& family = family_of_model_type(a.family, checkpoint.source().path.string());
  OrderedJson json = OrderedJson::object();
  if (checkpoint.source().kind == SourceKind::kHuggingFace)
    json = ConfigReader(checkpoint.source().path / "config.json").json();
  json["architectures"] = {hf_class_of(a.family)};
  json["model_type"] = a.family;
  json["vocab_size"] = a.vocab_size;
  json["hidden_size"] = a.hidden_size;
  json["intermediate_size"] = a.intermediate_size;
  json["num_hidden_layers"] = a.layers;
  json["num_attention_heads"] = a.heads;
  json["num_key_value_heads"] = a.kv_heads;
  json["head_dim"] = a.head_dim;
  json["hidden_act"] = activation_name(a.activation);
  json["max_position_embeddings"] = a.max_position;
  json["rms_norm_eps"] = a.norm_eps;
  json["tie_word_embeddings"] = a.tied_embeddings;
  if (checkpoint.source().kind == SourceKind::kGguf) {
    json["bos_token_id"] = a.bos_id < 0 ? OrderedJson() : OrderedJson(a.bos_id);
    json["eos_token_id"] = a.eos_id < 0 ? OrderedJson() : OrderedJson(a.eos_id);
  }
  family.write_config(a, json);
  write_rope(a, json);
  json["dtype"] = json["torch_dtype"] = "float32";
  return json;
}

ExportReport export_hugging_face(const Checkpoint& checkpoint, const fs::path& folder,
                                 const std::function<std::vector<float>(const TensorInfo&)>& weights,
                                 const ExportOptions& options) {
  fs::path target = fs::absolute(folder).lexically_normal();
  if (!target.has_filename()) target = target.parent_path();  // "out/" is "out"
  const OrderedJson config = export_config(checkpoint);       // before any work: it may be impossible
  StagedFolder staged(target);
  ExportReport report;
  write_file_atomically(staged.path() / "config.json", config.dump(2) + "\n");
  for (const auto& [name, content] : options.files) write_file_atomically(staged.path() / name, content);
  report.tokenizer = write_tokenizer(checkpoint, staged.path());
  for (const TensorInfo& tensor : checkpoint.tensors()) report.weight_bytes += float_bytes(tensor);
  const auto shards = plan_shards(checkpoint.tensors(), options.max_shard_bytes);
  for (const Shard& shard : shards) write_shard(staged.path(), shard, weights, options);
  if (shards.size() > 1) write_index(staged.path(), shards, report.weight_bytes);
  for (const auto& entry : fs::directory_iterator(staged.path()))
    report.files.push_back(entry.path().filename().string());
  std::ranges::sort(report.files);
  staged.commit();
  return report;
}

}  // namespace qbench::models
