// A Hugging Face folder: config.json and safetensors.
#include <fmt/format.h>

#include "harness/core/errors.h"
#include "harness/core/hash.h"
#include "harness/models/arch/config_reader.h"
#include "harness/models/checkpoint_impl.h"
#include "harness/models/safetensors_set.h"

namespace qbench::models {
namespace {

constexpr std::string_view kHead = "lm_head.weight";

bool is_float_dtype(std::string_view dtype) {
  return dtype == "F32" || dtype == "BF16" || dtype == "F16" || dtype == "F64";
}

class HfCheckpoint final : public Checkpoint {
 public:
  explicit HfCheckpoint(const ModelSource& source) : weights_(check_folder(source.path)) {
    source_ = source;
    const std::filesystem::path config = source.path / "config.json";
    const Family& family = read_config(config);
    std::map<std::string, StoredTensor, std::less<>> stored;
    std::vector<std::string> problems;
    for (const auto& [name, at] : weights_.tensors()) {
      // A tied model may carry a copy of its head; the embedding is what counts, as in the reference.
      if (name == kHead && architecture_.tied_embeddings) continue;
      stored.emplace(name, StoredTensor{at.entry->shape, at.file->path().filename().string() + ": "});
    }
    const auto expected = expected_tensors(family, architecture_);
    problems = compare_tensors(expected, false, stored, family);
    for (const ExpectedTensor& tensor : expected) add_tensor(tensor, problems);
    if (!problems.empty()) throw DataError(list_problems(source.path.string(), problems));
  }

  void read(std::string_view name, std::span<float> out) const override {
    const TensorInfo* info = Checkpoint::find(name);
    if (info == nullptr) {
      throw DataError(fmt::format("{}: there is no tensor \"{}\" in this {} model", source_.path.string(),
                                  name, architecture_.family));
    }
    QB_CHECK(out.size() == static_cast<size_t>(info->numel()), std::string(name));
    const auto* at = weights_.find(name);
    at->file->read_float(*at->entry, out);
    at->file->release(*at->entry);
  }

  std::string content_hash() const override {
    Hasher hasher;
    hasher.field("safetensors").field(architecture_json(architecture_).dump());
    for (const auto& file : weights_.files()) hasher.field(sha256_file_cached(file->path(), qbench_home()));
    return hasher.hex();
  }

  Json facts() const override {
    Json facts = tensor_facts(tensors_, architecture_);
    const size_t files = weights_.files().size();
    facts["container"] =
        files == 1 ? std::string("safetensors") : fmt::format("safetensors, {} shards", files);
    facts["dequantize"] = "exact";
    if (head_undeclared_)
      facts["head"] = "tied to the embedding (no lm_head.weight stored, config.json does not say)";
    return facts;
  }

 private:
  static const std::filesystem::path& check_folder(const std::filesystem::path& folder) {
    std::error_code ignored;
    if (!std::filesystem::exists(folder / "config.json", ignored)) {
      throw DataError(
          fmt::format("{}: there is no config.json; expected a Hugging Face model folder", folder.string()));
    }
    return folder;
  }

  const Family& read_config(const std::filesystem::path& path) {
    ConfigReader config(path);
    const std::string type = config.string("model_type", "");
    config.finish();
    if (type.empty())
      throw DataError(
          fmt::format("{}: model_type: is missing; expected the name of a model family", path.string()));
    const Family& family = family_of_model_type(type, path.string());
    if (config.has("quantization_config")) {
      config.problem(
          "quantization_config: the weights are stored quantized, which cannot be read; use the unquantized "
          "checkpoint");
    }
    architecture_.family = family.model_type;
    family.read_config(config, architecture_);
    if (!config.has("tie_word_embeddings") && weights_.find(kHead) == nullptr) {
      architecture_.tied_embeddings = head_undeclared_ = true;
    }
    std::vector<std::string> problems;
    check_architecture(architecture_, problems);
    for (std::string& problem : problems) config.problem(std::move(problem));
    config.finish();
    return family;
  }

  void add_tensor(const ExpectedTensor& expected, std::vector<std::string>& problems) {
    const auto* at = weights_.find(expected.name);
    if (at == nullptr) return;  // already reported
    if (!is_float_dtype(at->entry->dtype)) {
      problems.push_back(fmt::format("{}: tensor \"{}\" is stored as {}; expected F32, BF16, F16 or F64",
                                     at->file->path().filename().string(), expected.name, at->entry->dtype));
    }
    tensors_.push_back(
        {expected.name, at->entry->dtype, at->entry->shape, at->entry->end - at->entry->begin});
  }

  SafetensorsSet weights_;
  bool head_undeclared_ = false;
};

}  // namespace

std::unique_ptr<Checkpoint> open_hugging_face(const ModelSource& source) {
  if (source.dequantize == Dequantize::kDither) {
    throw ConfigError(
        fmt::format("{}: dequantize=dither applies to quantized GGUF files; a Hugging Face folder has no "
                    "quantization cells",
                    source.name));
  }
  return std::make_unique<HfCheckpoint>(source);
}

}  // namespace qbench::models
