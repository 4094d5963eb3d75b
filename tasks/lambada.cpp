// LAMBADA as lm-evaluation-harness scores it: the context is the text without its last space-separated piece,
// the continuation a space and that piece; acc = every token of it is the greedy choice, perplexity =
// exp(-mean ll per word).
#include "tasks/lambada.h"

#include <fmt/format.h>

#include <cmath>
#include <limits>

#include "harness/core/errors.h"
#include "harness/core/hash.h"
#include "harness/data/records.h"
#include "tasks/core/pairs.h"
#include "tasks/core/statistics.h"
#include "tasks/core/task_support.h"

namespace qbench::tasks {
namespace {

struct LambadaParams {
  std::string file;
  std::string field = "text";
  Selection selection;
  std::string bos = "default";
  int64_t max_length = 0;
  int64_t bootstrap = 100000;

  template <class Visitor>
  void visit(Visitor& v) {
    v("file", file, "a JSON-lines file, instead of looking the set up");
    v("field", field, "the text field of a record");
    selection.visit(v);
    v("bos", bos, OneOf{{"default", "none"}},
      "default: as the tokenizer does by itself (era E4); none: never (E2, E3)");
    v("max_length", max_length, Range{0, 1048576}, "tokens the model is given at most; 0: all it takes");
    v("bootstrap", bootstrap, Range{0, 10000000},
      "replicates for the standard error of the perplexity; 0: none");
  }
};

class LambadaTask final : public Task {
 public:
  explicit LambadaTask(const Call& call)
      : call_(check_task_call(field_specs<LambadaParams>(), call)),
        params_(bind_fields<LambadaParams>(call, "task")) {
    params_.selection.pick(0);
    located_ = params_.file.empty() ? data::locate(*data::find_data_set("lambada"), "")
                                    : data::locate_file(params_.file);
  }

  std::string identity() const override { return task_identity(call_, {"file"}, located_.sha256); }
  std::string canonical() const override { return call_.canonical.print(); }
  std::string protocol() const override {
    const Selection& s = params_.selection;
    return fmt::format("{} lambada{}", params_.bos == "default" ? "zs/e4" : "zs/e3",
                       s.limit > 0    ? fmt::format(" limit={}", s.limit)
                       : s.subset > 0 ? fmt::format(" subset={}/{}", s.subset, s.subset_seed)
                                      : "");
  }
  TaskCost cost() const override {
    std::error_code error;
    const auto bytes = static_cast<int64_t>(std::filesystem::file_size(located_.path, error));
    const int64_t documents = params_.selection.count(std::max<int64_t>(bytes / 350, 1));
    return {documents * 90, documents * 2, 220};
  }

  TaskResult run(const tokenizers::Tokenizer& tokenizer, engine::Scorer& scorer) const override {
    TaskResult result;
    result.task = canonical();
    result.protocol = protocol();
    const int64_t max_length = task_max_length(params_.max_length, scorer, canonical());
    const std::vector<std::string> texts = data::read_field(located_.path, params_.field);
    const std::vector<int64_t> picked = params_.selection.pick(std::ssize(texts));
    const PairEncoder encoder(tokenizer, params_.bos == "default");
    std::vector<engine::ScoreRequest> requests;
    int64_t merges = 0, truncated = 0;
    Hasher hasher;
    for (const int64_t index : picked) {
      const std::string place = fmt::format("task {}, record {}", canonical(), index);
      const auto [context, word] = split_last(texts[static_cast<size_t>(index)]);
      const Pair pair = encoder.encode(context, word, place);
      merges += pair.boundary_merge;
      requests.push_back(pair_request(pair, max_length, truncated, place));
      hasher.update(requests.back().tokens.data(), requests.back().tokens.size() * sizeof(int32_t));
    }
    result.provenance["data"] = {
        {"set", "lambada"}, {"sha256", located_.sha256}, {"known_file", located_.known}};
    result.provenance["requests"] = {{"count", requests.size()},  {"token_stream_sha256", hasher.hex()},
                                     {"boundary_merges", merges}, {"truncated", truncated},
                                     {"max_length", max_length},  {"tokenizer_sha256", tokenizer.hash()}};
    reduce(texts, picked, scorer.score(requests), result);
    return result;
  }

 private:
  /// {text before the last space, " " + what follows it}; a text without a space has no context.
  static std::pair<std::string, std::string> split_last(const std::string& text) {
    const size_t space = text.rfind(' ');
    if (space == std::string::npos) return {"", " " + text};
    return {text.substr(0, space), text.substr(space)};
  }

  void reduce(const std::vector<std::string>& texts, const std::vector<int64_t>& picked,
              const std::vector<engine::ScoreResult>& scored, TaskResult& result) const {
    std::vector<double> hits, lls;
    int64_t diverged = 0;
    for (size_t i = 0; i < scored.size(); ++i) {
      ItemRecord item;
      item.item = std::to_string(picked[i]);
      item.tokens = std::ssize(scored[i].logprobs);
      const bool finite = scored[i].finite && std::isfinite(scored[i].total);
      hits.push_back(finite && scored[i].greedy ? 1.0 : 0.0);
      lls.push_back(scored[i].total);
      item.metrics["acc"] = hits.back();
      if (finite) {
        item.loglikelihoods = {scored[i].total};
      } else {
        item.metrics["diverged"] = 1;
        ++diverged;
      }
      item.detail = {{"word", split_last(texts[static_cast<size_t>(picked[i])]).second}};
      result.items.push_back(std::move(item));
    }
    result.provenance["documents"] = scored.size();
    result.provenance["diverged"] = diverged;
    const auto n = std::ssize(hits);
    result.scores.push_back({"acc", mean(hits), mean_stderr(hits), n, true});
    if (diverged > 0) {
      result.scores.push_back(
          {"perplexity", std::numeric_limits<double>::infinity(), std::nullopt, n, false});
    } else {
      result.scores.push_back({"perplexity", std::exp(-mean(lls)),
                               bootstrap_perplexity_stderr(lls, params_.bootstrap), n, false});
    }
  }

  CheckedCall call_;
  LambadaParams params_;
  data::Located located_;
};

std::unique_ptr<Task> make(const Call& call) { return std::make_unique<LambadaTask>(call); }

}  // namespace

TaskInfo lambada_task() {
  return {"lambada", "the last word of a passage: greedy accuracy and perplexity per word",
          "lm-evaluation-harness 0.4.13, lambada_openai", field_specs<LambadaParams>(), make};
}

}  // namespace qbench::tasks
