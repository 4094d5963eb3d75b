// The layer rule: a file includes only files of its own layer or of layers below it, and the conductor never
// meets torch.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <optional>
#include <regex>
#include <set>
#include <string>
#include <vector>

#include "tests/lint/project_files.h"

namespace qbench::lint {
namespace {

struct Layer {
  std::string folder;
  std::vector<std::string> may_include;  ///< folders besides its own
};

/// One line a folder. A new folder must be entered here, which is the moment to think about where it belongs.
const std::vector<Layer>& layers() {
  static const std::vector<std::string> core = {"harness/core"};
  static const std::vector<std::string> model = {"harness/core", "harness/models", "harness/tokenizers"};
  static const std::vector<std::string> engine = {"harness/core", "harness/models", "harness/tokenizers",
                                                  "harness/engine"};
  static const std::vector<std::string> work = {"harness/core",   "harness/models",      "harness/tokenizers",
                                                "harness/engine", "harness/calibration", "harness/data"};
  static const std::vector<std::string> plan = {"harness/core",
                                                "harness/models",
                                                "harness/tokenizers",
                                                "harness/engine",
                                                "harness/calibration",
                                                "harness/data",
                                                "methods",
                                                "tasks",
                                                "results",
                                                "reports",
                                                "harness/suite",
                                                "harness/plan",
                                                "harness/schedule"};
  static const std::vector<Layer> table = {
      {"harness/core", {}},
      {"harness/models", core},
      {"harness/tokenizers", {"harness/core", "harness/models"}},  // a GGUF file carries its tokenizer
      {"harness/engine", model},
      {"harness/data", core},
      {"harness/calibration",
       {"harness/core", "harness/models", "harness/tokenizers", "harness/engine", "harness/data"}},
      {"results", core},
      {"methods", work},
      {"tasks", work},
      {"reports", {"harness/core", "results"}},
      {"harness/suite", plan},
      {"harness/plan", plan},
      {"harness/schedule", plan},
      {"harness/cli", plan},
      {"harness/worker", plan},
  };
  return table;
}

const std::vector<std::string> kCode = {".h", ".cpp"};
const std::vector<std::string> kProductFolders = {"harness", "methods", "tasks", "results", "reports"};

struct Include {
  size_t line;
  std::string path;  ///< as written between the quotes or brackets
  bool quoted;
};

std::vector<Include> includes_of(const std::string& file) {
  static const std::regex pattern(R"(^\s*#\s*include\s*([<"])([^>"]+)[>"])");
  std::vector<Include> found;
  const auto lines = lines_of(read_project_file(file));
  for (size_t i = 0; i < lines.size(); ++i) {
    std::smatch match;
    if (std::regex_search(lines[i], match, pattern)) found.push_back({i + 1, match[2], match[1] == "\""});
  }
  return found;
}

const Layer* layer_of(const std::string& file) {
  const auto it = std::find_if(layers().begin(), layers().end(),
                               [&](const Layer& layer) { return file.starts_with(layer.folder + "/"); });
  return it == layers().end() ? nullptr : &*it;
}

bool is_torch_header(const std::string& path) {
  return path.starts_with("ATen/") || path.starts_with("torch/") || path.starts_with("c10/");
}

TEST(Layers, EveryFolderWithCodeHasALayer) {
  for (const std::string& file : project_files(kProductFolders, kCode)) {
    EXPECT_NE(layer_of(file), nullptr) << file << ": its folder is not in the table of this test";
  }
}

TEST(Layers, DependenciesPointDown) {
  for (const std::string& file : project_files(kProductFolders, kCode)) {
    const Layer* layer = layer_of(file);
    if (layer == nullptr) continue;
    for (const Include& include : includes_of(file)) {
      const Layer* target = layer_of(include.path);
      if (!include.quoted || target == nullptr || target == layer) continue;
      const auto& allowed = layer->may_include;
      EXPECT_NE(std::find(allowed.begin(), allowed.end(), target->folder), allowed.end())
          << file << ":" << include.line << ": " << layer->folder << " must not include " << include.path;
    }
  }
}

TEST(Layers, ProductCodeIncludesFromTheRootAndNeverATest) {
  for (const std::string& file : project_files(kProductFolders, kCode)) {
    for (const Include& include : includes_of(file)) {
      if (!include.quoted) continue;
      EXPECT_FALSE(include.path.starts_with("tests/")) << file << ":" << include.line;
      EXPECT_TRUE(layer_of(include.path) != nullptr || include.path.starts_with("generated/"))
          << file << ":" << include.line << ": \"" << include.path
          << "\" is not a path from the root of the project";
    }
  }
}

TEST(Layers, OnlyResultsIncludesSqlite) {
  for (const std::string& file : project_files(kProductFolders, kCode)) {
    if (file.starts_with("results/")) continue;
    for (const Include& include : includes_of(file)) {
      EXPECT_FALSE(include.path.starts_with("SQLiteCpp") || include.path.starts_with("sqlite3"))
          << file << ":" << include.line;
    }
  }
}

TEST(Layers, MethodsAndEngineNeverParseYaml) {
  for (const std::string& file :
       project_files({"methods", "harness/engine", "harness/models", "results", "reports"}, kCode)) {
    for (const Include& include : includes_of(file)) {
      EXPECT_FALSE(include.path.starts_with("yaml-cpp")) << file << ":" << include.line;
    }
  }
}

/// The torch headers that `file` reaches through project headers: "a.h > b.h > ATen/ATen.h".
std::optional<std::string> way_to_torch(const std::string& file, std::set<std::string>& seen) {
  if (!seen.insert(file).second || !std::filesystem::exists(source_dir() / file)) return std::nullopt;
  for (const Include& include : includes_of(file)) {
    if (is_torch_header(include.path)) return file + " > " + include.path;
    if (!include.quoted) continue;
    if (const auto below = way_to_torch(include.path, seen)) return file + " > " + *below;
  }
  return std::nullopt;
}

TEST(Layers, ConductorSourcesReachNoTorchHeader) {
  for (const std::string& file : project_files(
           {"harness/cli", "harness/suite", "harness/plan", "harness/schedule", "results", "reports"},
           kCode)) {
    std::set<std::string> seen;
    const auto way = way_to_torch(file, seen);
    EXPECT_FALSE(way.has_value()) << way.value_or("");
  }
}

TEST(Layers, ConductorProgramLinksNoTorch) {
  const auto program = program_dir() / "qbench";
  if (!std::filesystem::exists(program)) GTEST_SKIP() << "bin/qbench is not built";
  const CommandResult linked = run_command("ldd " + quote(program.string()));
  ASSERT_EQ(linked.exit_code, 0) << linked.output;
  for (const char* library : {"torch", "c10"}) {
    EXPECT_EQ(linked.output.find(library), std::string::npos) << linked.output;
  }
}

TEST(Layers, HeadersAreGuardedAndNameNoUsingNamespace) {
  static const std::regex using_namespace(R"(^\s*using\s+namespace\b)");
  for (const std::string& file : project_files(kProductFolders, {".h"})) {
    const std::string content = read_project_file(file);
    // An _impl.h holds bodies that several sources include with other compiler flags each; it is no header to
    // be guarded.
    EXPECT_TRUE(file.ends_with("_impl.h") || content.find("#pragma once") != std::string::npos) << file;
    for (const std::string& line : lines_of(content)) {
      EXPECT_FALSE(std::regex_search(line, using_namespace)) << file << ": " << line;
    }
  }
}

TEST(Layers, LibrariesNeverPrintNorEndTheProgram) {
  static const std::regex forbidden(
      R"(\bstd::(cout|cerr|abort|exit|quick_exit|terminate)\b|\b(printf|puts|abort)\s*\()");
  for (const std::string& file : project_files(kProductFolders, {".cpp", ".h"})) {
    const bool program =
        file.starts_with("harness/cli/") || file.starts_with("harness/worker/") || file.ends_with("main.cpp");
    if (program) continue;
    const auto lines = lines_of(read_project_file(file));
    for (size_t i = 0; i < lines.size(); ++i) {
      const std::string code = lines[i].substr(0, lines[i].find("//"));
      EXPECT_FALSE(std::regex_search(code, forbidden)) << file << ":" << i + 1 << ": " << lines[i];
    }
  }
}

}  // namespace
}  // namespace qbench::lint
