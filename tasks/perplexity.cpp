// Perplexity under three protocols that must never share a column (eval_protocol, section 2):
//   gptq      windows of S tokens, all but the first scored, mean of window means (ppl/win, loss class B)
//   rolling   every token of every document once; per word, byte, bit (lm-evaluation-harness; ppl/har)
//   llamacpp  second half of each window, BOS written over the first token; per token, with its +- (ppl/lcpp)
#include "tasks/perplexity.h"

#include <fmt/format.h>

#include <cmath>
#include <limits>

#include "harness/core/errors.h"
#include "harness/core/hash.h"
#include "tasks/core/pairs.h"
#include "tasks/core/python_text.h"
#include "tasks/core/statistics.h"
#include "tasks/core/wikitext.h"
#include "tasks/core/windows.h"

namespace qbench::tasks {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

struct PerplexityParams {
  std::string protocol = "gptq";
  std::string text = "en_wiki";
  std::string split, file;
  int64_t window = 2048;
  int64_t windows = 0;
  int64_t stride = 0;
  std::string join = "default";
  std::string bos = "default";
  std::string documents = "default";
  int64_t limit = 0;

  template <class Visitor>
  void visit(Visitor& v) {
    v("protocol", protocol, OneOf{{"gptq", "rolling", "llamacpp"}},
      "gptq: papers' windows; rolling: lm-eval; llamacpp: half windows");
    v("text", text, "a text data set or a file");
    v("split", split, "split of the data set; empty: its test split");
    v("file", file, "where the data set's file lies, instead of looking it up");
    v("window", window, Range{2, 1048576}, "tokens per window (rolling: the model length L)");
    v("windows", windows, Range{0, 100000000}, "only the first n windows; 0: all");
    v("stride", stride, Range{0, 1048576}, "llamacpp only: windows start every n tokens; 0: half windows");
    v("join", join, OneOf{{"default", "none", "rows", "sentences", "spaces"}},
      "how lines become one string; default: what the set declares for gptq, none for the others");
    v("bos", bos, OneOf{{"default", "none"}}, "default: as the tokenizer does by itself; none: never");
    v("documents", documents, OneOf{{"default", "pages", "paragraphs", "whole"}},
      "rolling only: WikiText pages (detokenised), pieces between blank lines or records, or the whole text; "
      "default: pages for WikiText, else paragraphs for data sets, whole for files");
    v("limit", limit, Range{0, 100000000}, "rolling only: the first n documents; 0: all");
  }
};

struct Document {
  std::string counted;  ///< the original: words and bytes are counted here
  std::string scored;
};

/// True for WikiText-2 by name, or for a file that is one of its known files.
bool is_wikitext(const data::TextRef& ref) {
  if (ref.name == "wikitext2") return true;
  const data::DataSet* set = data::find_data_set("wikitext2");
  if (set == nullptr) return false;
  for (const data::Split& split : set->splits) {
    for (const std::string& known : split.sha256) {
      if (known == ref.sha256) return true;
    }
  }
  return false;
}

class PerplexityTask final : public Task {
 public:
  explicit PerplexityTask(const Call& call)
      : call_(check_task_call(field_specs<PerplexityParams>(), call)),
        params_(bind_fields<PerplexityParams>(call, "task")) {
    check_combination();
    const bool joined = params_.protocol == "gptq" || params_.join != "default";
    text_ = data::find_text(params_.text, params_.split, joined ? params_.join : "none", params_.file);
  }

  std::string identity() const override {
    return task_identity(call_, {"file", "text"}, text_.sha256 + " join=" + text_.join);
  }
  std::string canonical() const override { return call_.canonical.print(); }

  std::string protocol() const override {
    const std::string tail = fmt::format(" text={} bos={}", text_.title(), params_.bos);
    const std::string count = params_.windows > 0 ? fmt::format(" windows={}", params_.windows) : "";
    if (params_.protocol == "gptq")
      return fmt::format("ppl/win B S={}{} join={}{}", params_.window, count, text_.join, tail);
    if (params_.protocol == "rolling") {
      return fmt::format("ppl/har L={} documents={}{}{}", params_.window, document_rule(),
                         params_.limit > 0 ? fmt::format(" limit={}", params_.limit) : "", tail);
    }
    return fmt::format("ppl/lcpp n_ctx={}{}{}{}", params_.window,
                       params_.stride > 0 ? fmt::format(" stride={}", params_.stride) : "", count, tail);
  }

  TaskCost cost() const override {
    TaskCost cost;
    int64_t tokens = estimate_tokens(text_.bytes);
    const int64_t step = params_.stride > 0 ? params_.stride : params_.window;
    const int64_t windows = params_.windows > 0 ? params_.windows : std::max<int64_t>(tokens / step, 1);
    tokens = params_.protocol == "rolling" ? tokens : windows * params_.window;
    cost.tokens = tokens;
    cost.scored_tokens = params_.protocol != "llamacpp" ? tokens
                         : params_.stride > 0           ? windows * params_.stride
                                                        : tokens / 2;
    cost.longest = params_.window;
    return cost;
  }

  TaskResult run(const tokenizers::Tokenizer& tokenizer, engine::Scorer& scorer) const override {
    task_max_length(params_.window, scorer, canonical());
    TaskResult result;
    result.task = canonical();
    result.protocol = protocol();
    result.provenance["data"] = describe_text(text_);
    if (params_.protocol == "rolling") {
      run_rolling(tokenizer, scorer, result);
    } else {
      run_windows(tokenizer, scorer, result);
    }
    return result;
  }

 private:
  void check_combination() const {
    const auto refuse = [&](const char* key, const char* only) {
      throw ConfigError(fmt::format("task {}: {} belongs to protocol={} only; this is protocol={}. Drop it.",
                                    call_.canonical.print(), key, only, params_.protocol));
    };
    if (params_.stride > 0 && params_.protocol != "llamacpp") refuse("stride", "llamacpp");
    if (params_.stride >= params_.window) {
      throw ConfigError(fmt::format("task {}: stride {} must be smaller than window {}",
                                    call_.canonical.print(), params_.stride, params_.window));
    }
    if (params_.limit > 0 && params_.protocol != "rolling") refuse("limit", "rolling");
    if (params_.documents != "default" && params_.protocol != "rolling") refuse("documents", "rolling");
    if (params_.windows > 0 && params_.protocol == "rolling") {
      throw ConfigError(
          fmt::format("task {}: windows does not apply to protocol=rolling; use limit=DOCUMENTS",
                      call_.canonical.print()));
    }
  }

  std::string document_rule() const {
    if (params_.documents != "default") return params_.documents;
    if (is_wikitext(text_)) return "pages";
    return text_.split.empty() && text_.field.empty() ? "whole" : "paragraphs";
  }

  bool add_special() const { return params_.bos == "default"; }

  WindowPlan plan(const tokenizers::Tokenizer& tokenizer) const {
    const std::string text = data::read_text(text_);
    const std::string place = "task " + canonical();
    if (params_.protocol == "gptq") {
      return plan_windows(tokenizer.encode(text, {.add_special = add_special(), .parse_special = true}),
                          params_.window, params_.windows, place);
    }
    const auto ids = encode_like_llamacpp(text, tokenizer, add_special());
    if (params_.stride > 0)
      return plan_stride_windows(ids, params_.window, params_.stride, params_.windows, place);
    return plan_half_windows(ids, params_.window, params_.windows, tokenizer, place);
  }

  void run_windows(const tokenizers::Tokenizer& tokenizer, engine::Scorer& scorer, TaskResult& result) const {
    const WindowPlan windows = plan(tokenizer);
    result.provenance["tokens"] = describe_windows(windows, tokenizer);
    const std::vector<engine::ScoreResult> scored = scorer.score(windows.requests);
    reduce_windows(params_.protocol == "gptq" ? WindowRule::kMeanOfWindows : WindowRule::kMeanOfTokens,
                   scored, result);
  }

  std::vector<Document> documents() const {
    std::vector<Document> documents;
    const std::string rule = document_rule();
    if (rule == "pages") {
      for (std::string& page : wikitext_pages(data::read_text(text_))) {
        std::string scored = wikitext_detokenize(page);
        documents.push_back({std::move(page), std::move(scored)});
      }
      if (documents.empty())
        throw DataError(
            fmt::format("task {}: the text has no WikiText heading (\"= Title =\")", canonical()));
    } else if (rule == "paragraphs") {
      for (std::string& text : data::read_documents(text_)) documents.push_back({text, text});
    } else {
      const std::string text = data::read_text(text_);
      documents.push_back({text, text});
    }
    if (params_.limit > 0 && params_.limit < std::ssize(documents))
      documents.resize(static_cast<size_t>(params_.limit));
    return documents;
  }

  void run_rolling(const tokenizers::Tokenizer& tokenizer, engine::Scorer& scorer, TaskResult& result) const {
    const PairEncoder encoder(tokenizer, add_special());
    const std::vector<Document> docs = documents();
    std::vector<engine::ScoreRequest> requests;
    std::vector<size_t> request_end;
    Hasher stream;
    for (const Document& document : docs) {
      const std::vector<int32_t> ids = encoder.encode_text(document.scored);
      stream.update(ids.data(), ids.size() * sizeof(int32_t));
      for (auto& request : rolling_requests(ids, encoder.prefix(), params_.window))
        requests.push_back(std::move(request));
      request_end.push_back(requests.size());
    }
    result.provenance["tokens"] = {{"documents", docs.size()},
                                   {"windows", requests.size()},
                                   {"token_stream_sha256", stream.hex()},
                                   {"tokenizer_sha256", tokenizer.hash()}};
    const std::vector<engine::ScoreResult> scored = scorer.score(requests);
    reduce_documents(docs, request_end, scored, result);
  }

  void reduce_documents(const std::vector<Document>& docs, const std::vector<size_t>& request_end,
                        const std::vector<engine::ScoreResult>& scored, TaskResult& result) const {
    double total = 0;
    int64_t words = 0, bytes = 0, diverged = 0;
    for (size_t d = 0, r = 0; d < docs.size(); ++d) {
      ItemRecord item;
      item.item = fmt::format("{}", d);
      double ll = 0;
      bool finite = true;
      for (; r < request_end[d]; ++r) {
        ll += scored[r].total;
        finite = finite && scored[r].finite;
        item.tokens += std::ssize(scored[r].logprobs);
      }
      const int64_t doc_words = count_words(docs[d].counted);
      item.metrics = {{"words", doc_words}, {"bytes", docs[d].counted.size()}};
      if (finite) {
        item.nll = -ll;
        item.loglikelihoods = {ll};
      } else {
        item.metrics["diverged"] = 1;
        ++diverged;
      }
      total += ll;
      words += doc_words;
      bytes += std::ssize(docs[d].counted);
      result.items.push_back(std::move(item));
    }
    result.provenance["diverged"] = diverged;
    const auto n = std::ssize(docs);
    const auto per = [&](double denominator) { return diverged > 0 ? kInfinity : -total / denominator; };
    const double per_byte = per(static_cast<double>(bytes));
    result.scores.push_back(
        {"word_perplexity", std::exp(per(static_cast<double>(words))), std::nullopt, n, false});
    result.scores.push_back({"byte_perplexity", std::exp(per_byte), std::nullopt, n, false});
    result.scores.push_back({"bits_per_byte", per_byte / std::log(2.0), std::nullopt, n, false});
  }

  CheckedCall call_;
  PerplexityParams params_;
  data::TextRef text_;
};

std::unique_ptr<Task> make(const Call& call) { return std::make_unique<PerplexityTask>(call); }

}  // namespace

void reduce_windows(WindowRule rule, std::span<const engine::ScoreResult> windows, TaskResult& result) {
  std::vector<double> window_means;
  double sum = 0, squares = 0;
  int64_t count = 0, diverged = 0;
  for (size_t w = 0; w < windows.size(); ++w) {
    ItemRecord item;
    item.item = fmt::format("{}", w);
    item.tokens = std::ssize(windows[w].logprobs);
    const double nll = -windows[w].total;
    if (windows[w].finite && std::isfinite(nll)) {
      item.nll = nll;
    } else {
      item.metrics["diverged"] = 1;
      ++diverged;
    }
    window_means.push_back(nll / static_cast<double>(item.tokens));
    sum += nll;
    for (const float logprob : windows[w].logprobs)
      squares += static_cast<double>(logprob) * static_cast<double>(logprob);
    count += item.tokens;
    result.items.push_back(std::move(item));
  }
  result.provenance["diverged"] = diverged;
  result.provenance["scored_tokens"] = count;
  if (diverged > 0) {
    result.scores.push_back({"ppl", kInfinity, std::nullopt, std::ssize(windows), false});
    return;
  }
  const auto n = static_cast<double>(count);
  const bool by_window = rule == WindowRule::kMeanOfWindows;
  const double nll = by_window ? mean(window_means) : sum / n;
  std::optional<double> error = by_window ? mean_stderr(window_means) : std::nullopt;
  if (!by_window && count > 1) error = std::sqrt(std::max(0.0, (squares / n - nll * nll) / (n - 1)));
  const double ppl = std::exp(nll);
  const int64_t items = by_window ? std::ssize(windows) : count;
  result.scores.push_back({"ppl", ppl, error ? std::optional(ppl * *error) : std::nullopt, items, false});
  result.scores.push_back({"nll", nll, error, items, false});
}

TaskInfo perplexity_task() {
  return {"perplexity", "perplexity of a text: protocol=gptq, rolling or llamacpp",
          "GPTQ's window loop (loss class B); lm-evaluation-harness 0.4.13; llama.cpp c392e5094",
          field_specs<PerplexityParams>(), make};
}

}  // namespace qbench::tasks
