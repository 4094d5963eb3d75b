#include <algorithm>

#include "harness/core/files.h"
#include "harness/core/hash.h"
#include "harness/data/text.h"
#include "harness/engine/model_scorer.h"
#include "tests/support/eval_cases/subject.h"
#include "tests/support/fixtures.h"

namespace qbench::eval_cases {
namespace {

std::unique_ptr<Subject> load(const models::ModelSource& source, const std::string& name, bool large) {
  auto subject = std::make_unique<Subject>();
  subject->name = name;
  subject->large = large;
  subject->checkpoint = models::Checkpoint::open(source);
  subject->tokenizer = tokenizers::load_tokenizer(source);
  subject->model = engine::Model::load(subject->checkpoint);
  subject->scorer = engine::make_scorer(*subject->model, Lanes(2));
  return subject;
}

models::ModelSource find_model(const fs::path& root, const std::string& name) {
  models::ModelSource source;
  source.name = name;
  const fs::path project = testing_support::source_dir() / "tests" / "golden" / "eval" / name;
  for (const fs::path& folder : {root / name, root.parent_path() / "eval" / name, project}) {
    if (fs::exists(folder / "config.json")) {
      source.path = folder;
      return source;
    }
  }
  if (const auto gguf = testing_support::smollm2_gguf(); gguf && name == "smollm2") {
    source.kind = models::SourceKind::kGguf;
    source.path = *gguf;
  }
  return source;
}

void add_text(std::map<std::string, std::string>& texts, const std::string& content,
              const std::string& arguments) {
  texts.try_emplace(sha256_hex(content), arguments);
}

std::map<std::string, std::string> known_texts() {
  std::map<std::string, std::string> texts;
  for (const data::DataSet& set : data::data_sets()) {
    for (const data::Split& split : set.splits) {
      if (split.shipped.empty()) continue;
      add_text(texts, data::read_text(data::find_text(set.name, split.name, "none")),
               "text=" + set.name + ",split=" + split.name + ",join=none");
    }
  }
  if (const auto shared = testing_support::shared_dir()) {
    for (const char* folder : {"wikitext2", "corpora", "shakespeare", "ptb"}) {
      for (const fs::path& file : files_in(*shared / "data" / folder, ".txt")) {
        const std::string content = read_text_file(file);
        add_text(texts, content, "text=" + file.string() + ",join=none");
        add_text(texts, data::join_lines(content, "rows"), "text=" + file.string() + ",join=rows");
      }
    }
  }
  return texts;
}

}  // namespace

Subject* subject(const fs::path& root, const std::string& name) {
  static std::map<fs::path, std::unique_ptr<Subject>> loaded;
  const models::ModelSource source = find_model(root, name);
  if (source.path.empty()) return nullptr;
  auto& slot = loaded[source.path];
  if (slot == nullptr) slot = load(source, name, source.kind == models::SourceKind::kGguf);
  return slot.get();
}

std::vector<engine::ScoreResult> RecordingScorer::score(std::span<const engine::ScoreRequest> asked) {
  auto answered = inner_.score(asked);
  requests.insert(requests.end(), asked.begin(), asked.end());
  results.insert(results.end(), answered.begin(), answered.end());
  return answered;
}

Json read_json(const fs::path& path) { return Json::parse(read_text_file(path)); }

std::vector<fs::path> files_in(const fs::path& folder, const std::string& ending) {
  std::vector<fs::path> files;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder, error)) {
    if (entry.path().filename().string().ends_with(ending)) files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  return files;
}

std::vector<fs::path> folders_in(const fs::path& root, const std::string& prefix) {
  std::vector<fs::path> folders;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(root, error)) {
    if (entry.is_directory() && entry.path().filename().string().starts_with(prefix))
      folders.push_back(entry.path());
  }
  std::sort(folders.begin(), folders.end());
  return folders;
}

std::string text_arguments(const std::string& text_sha256) {
  static const std::map<std::string, std::string> texts = known_texts();
  const auto found = texts.find(text_sha256);
  return found == texts.end() ? "" : found->second;
}

const tasks::Score& find_score(const tasks::TaskResult& result, const std::string& metric) {
  for (const tasks::Score& score : result.scores) {
    if (score.metric == metric) return score;
  }
  ADD_FAILURE() << result.task << " has no score " << metric;
  static const tasks::Score none;
  return none;
}

double score_of(const tasks::TaskResult& result, const std::string& metric) {
  return find_score(result, metric).value;
}

}  // namespace qbench::eval_cases
