#include "harness/models/model_source.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cstdlib>
#include <optional>
#include <vector>

#include "harness/core/call.h"
#include "harness/core/errors.h"
#include "harness/core/fields.h"
#include "harness/core/files.h"

namespace qbench::models {
namespace {

namespace fs = std::filesystem;

struct SourceParams {
  std::string dequantize = "exact";
  int64_t seed = 0;

  template <class Visitor>
  void visit(Visitor& v) {
    v("dequantize", dequantize, OneOf{{"exact", "dither"}}, "how quantized GGUF blocks become numbers");
    v("seed", seed, Range{int64_t{0}, int64_t{4294967295}}, "seed of the dither noise");
  }
};

bool is_gguf(const fs::path& path) { return path.extension() == ".gguf"; }

std::vector<fs::path> gguf_files(const fs::path& folder) {
  std::vector<fs::path> files;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder, error)) {
    if (is_gguf(entry.path()) && entry.is_regular_file(error)) files.push_back(entry.path());
  }
  std::ranges::sort(files);
  return files;
}

/// What lies at `path`: a GGUF file, a folder with config.json, or a folder with exactly one GGUF file.
std::optional<ModelSource> model_at(const fs::path& path) {
  std::error_code error;
  if (fs::is_directory(path, error)) {
    if (fs::exists(path / "config.json", error))
      return ModelSource{"", SourceKind::kHuggingFace, path, Dequantize::kExact, 0};
    const auto files = gguf_files(path);
    if (files.size() == 1) return ModelSource{"", SourceKind::kGguf, files.front(), Dequantize::kExact, 0};
    return std::nullopt;
  }
  if (is_gguf(path) && fs::exists(path, error))
    return ModelSource{"", SourceKind::kGguf, path, Dequantize::kExact, 0};
  return std::nullopt;
}

/// Why model_at() found nothing in an existing folder or file.
std::string not_a_model(const fs::path& path) {
  std::error_code error;
  if (!fs::is_directory(path, error)) return "is a file; expected a .gguf file or a model folder";
  const size_t count = gguf_files(path).size();
  return count > 1 ? fmt::format("holds {} .gguf files; name one of them", count)
                   : std::string("holds neither config.json nor a .gguf file");
}

// --- the hub's local cache ---

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

/// In the order in which the hub's own library looks.
fs::path hub_cache() {
  if (const auto cache = environment("HF_HUB_CACHE"); !cache.empty()) return cache;
  if (const auto cache = environment("HUGGINGFACE_HUB_CACHE"); !cache.empty()) return cache;
  if (const auto home = environment("HF_HOME"); !home.empty()) return fs::path(home) / "hub";
  if (const auto cache = environment("XDG_CACHE_HOME"); !cache.empty())
    return fs::path(cache) / "huggingface" / "hub";
  return fs::path(environment("HOME")) / ".cache" / "huggingface" / "hub";
}

std::vector<std::string> cached_hub_models(const fs::path& cache) {
  std::vector<std::string> names;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(cache, error)) {
    std::string name = entry.path().filename().string();
    if (!name.starts_with("models--")) continue;
    name.erase(0, 8);
    if (const size_t at = name.find("--"); at != std::string::npos) name.replace(at, 2, "/");
    names.push_back("hf:" + name);
  }
  std::ranges::sort(names);
  return names;
}

/// Letters, digits and . _ - only, no "..": nothing that could leave the cache folder.
bool is_hub_word(std::string_view word) {
  return !word.empty() && word.front() != '.' && word.find("..") == std::string_view::npos &&
         std::ranges::all_of(
             word, [](unsigned char c) { return std::isalnum(c) != 0 || c == '.' || c == '_' || c == '-'; });
}

/// The snapshot folder of a revision ("main", a tag, or a commit), or of the only snapshot if nothing names
/// one.
std::optional<fs::path> snapshot(const fs::path& repository, const std::string& revision) {
  std::error_code error;
  const fs::path reference = repository / "refs" / revision;
  if (fs::is_regular_file(reference, error)) {
    const std::string commit = trim(read_text_file(reference));
    const fs::path folder = repository / "snapshots" / commit;
    if (is_hub_word(commit) && fs::is_directory(folder, error)) return folder;
  }
  if (fs::is_directory(repository / "snapshots" / revision, error))
    return repository / "snapshots" / revision;
  return std::nullopt;
}

ModelSource resolve_hub(const std::string& name) {
  std::string id = name.substr(3), revision = "main";
  if (const size_t at = id.find('@'); at != std::string::npos) {
    revision = id.substr(at + 1);
    id.resize(at);
  }
  const size_t slash = id.find('/');
  if (slash == std::string::npos || !is_hub_word(id.substr(0, slash)) || !is_hub_word(id.substr(slash + 1)) ||
      !is_hub_word(revision)) {
    throw DataError(fmt::format("model \"{}\": expected hf:org/name or hf:org/name@revision", name));
  }
  const fs::path cache = hub_cache();
  const fs::path repository =
      cache / fmt::format("models--{}--{}", id.substr(0, slash), id.substr(slash + 1));
  const auto folder = snapshot(repository, revision);
  if (folder) {
    if (auto found = model_at(*folder)) return *found;
  }
  const auto known = cached_hub_models(cache);
  throw DataError(fmt::format(
      "model \"{}\": {} in the local hub cache {}.{} qbench never downloads; get the model with\n"
      "  pip install huggingface_hub && hf download {}{}",
      name, folder ? "the snapshot " + not_a_model(*folder) : std::string("is not"), cache.string(),
      did_you_mean(name, known), id, revision == "main" ? "" : " --revision " + revision));
}

// --- the model folder ---

std::vector<std::string> model_folder_names(const fs::path& folder) {
  std::vector<std::string> names;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder, error)) {
    if (model_at(entry.path()))
      names.push_back(is_gguf(entry.path()) ? entry.path().stem().string()
                                            : entry.path().filename().string());
  }
  std::ranges::sort(names);
  return names;
}

std::optional<ModelSource> in_model_folder(const fs::path& folder, const std::string& name) {
  if (name.empty() || name.find('/') != std::string::npos || name == "." || name == "..") return std::nullopt;
  if (auto found = model_at(folder / name)) return found;
  return model_at(folder / (name + ".gguf"));
}

[[noreturn]] void unknown_model(const std::string& name, const fs::path& folder) {
  const auto known = model_folder_names(folder);
  std::error_code error;
  const std::string at_path =
      fs::exists(name, error) ? fmt::format("the path {}", not_a_model(name)) : "there is no such path";
  throw DataError(fmt::format(
      "model \"{}\": {}, and the model folder {} holds {}.{} Give a folder with config.json, a .gguf file, "
      "hf:org/name, or a name of the model folder (QBENCH_HOME sets it; ./quickstart fetches smollm2-135m).",
      name, at_path, folder.string(),
      known.empty() ? std::string("no models") : fmt::format("{}", fmt::join(known, ", ")),
      did_you_mean(name, known)));
}

ModelSource resolve_name(const std::string& name) {
  if (name.starts_with("hf:")) return resolve_hub(name);
  if (auto found = model_at(name)) return *found;
  const fs::path folder = qbench_home() / "models";
  if (auto found = in_model_folder(folder, name)) return *found;
  unknown_model(name, folder);
}

/// Splits "NAME(key=value, ...)" at the last '('; a name without arguments comes back whole.
std::pair<std::string, std::string> split_arguments(const std::string& text) {
  const size_t open = text.rfind('(');
  if (open == std::string::npos || open == 0 || !text.ends_with(')')) return {text, ""};
  const std::string arguments = text.substr(open);
  // "my model (copy)" is a path: arguments have a '='.
  if (arguments.find('=') == std::string::npos && trim(arguments.substr(1, arguments.size() - 2)) != "")
    return {text, ""};
  return {trim(text.substr(0, open)), arguments};
}

}  // namespace

ModelSource resolve_model(const std::string& text) {
  const std::string whole = trim(text);
  // A path may itself end in parentheses, so that what exists wins over what parses.
  std::optional<ModelSource> found = whole.starts_with("hf:") ? std::nullopt : model_at(whole);
  if (!found) {
    const auto [name, arguments] = split_arguments(whole);
    SourceParams params;
    if (!arguments.empty())
      params = bind_fields<SourceParams>(parse_call("model" + arguments, "model"), "model");
    found = resolve_name(name);
    found->dequantize = params.dequantize == "dither" ? Dequantize::kDither : Dequantize::kExact;
    found->dither_seed = static_cast<uint64_t>(params.seed);
  }
  found->name = text;
  return *found;
}

}  // namespace qbench::models
