// lmeval_<model>[_nobos]/<task>.json, pairs/<model>.json, lmeval_aggregation.json.
#include <unistd.h>

#include <fmt/format.h>

#include <cmath>

#include "harness/core/errors.h"
#include "harness/core/files.h"
#include "harness/core/hash.h"
#include "tasks/core/pairs.h"
#include "tasks/core/python_text.h"
#include "tasks/core/statistics.h"
#include "tasks/core/wikitext.h"
#include "tasks/multiple_choice.h"
#include "tests/support/eval_cases/subject.h"

namespace qbench::eval_cases {
namespace {

using Ids = std::vector<int32_t>;

double tolerance(double ll) { return 1e-6 * std::abs(ll) + (std::abs(ll) > 1000 ? 1e-4 : 1e-5); }

/// The real model's float32 sums differ a little more between programs (README of the cases).
double tolerance(double ll, const Subject& subject) {
  return subject.large ? 5e-6 * std::abs(ll) + 5e-5 : tolerance(ll);
}

tasks::ChoiceDocument make_document(const Json& doc) {
  tasks::ChoiceDocument document;
  document.item = std::to_string(doc.at("doc_id").get<int64_t>());
  document.contexts = {doc.at("context").get<std::string>()};
  document.gold = {doc.value("gold", int64_t{0})};
  for (const Json& request : doc.at("requests")) {
    document.continuations.push_back(request.at("continuation"));
    document.choices.push_back(document.continuations.back().substr(1));
  }
  return document;
}

void check_document_ids(const Json& doc, const tasks::PairEncoder& encoder) {
  for (const Json& request : doc.at("requests")) {
    const tasks::Pair pair = encoder.encode(doc.at("context").get<std::string>(),
                                            request.at("continuation").get<std::string>(), "case");
    EXPECT_EQ(pair.context, doc.at("context_ids").get<Ids>());
    EXPECT_EQ(pair.continuation, request.at("continuation_ids").get<Ids>());
    EXPECT_FALSE(pair.boundary_merge);
  }
}

void compare_aggregate(const Json& aggregate, const tasks::TaskResult& result) {
  for (const char* metric : {"acc", "acc_norm"}) {
    if (!aggregate.contains(metric)) continue;
    EXPECT_NEAR(score_of(result, metric), aggregate.at(metric).get<double>(), 1e-12) << metric;
    EXPECT_NEAR(*find_score(result, metric).stderr_,
                aggregate.at(std::string(metric) + "_stderr").get<double>(), 1e-12)
        << metric;
  }
}

void check_choices(const Json& task, bool bos, Subject& subject) {
  const tasks::PairEncoder encoder(*subject.tokenizer, bos);
  std::vector<tasks::ChoiceDocument> documents;
  tasks::ChoiceOptions options;
  options.tokenizer_bos = bos;
  options.max_length = task.at("max_length");
  if (task.at("aggregate").contains("acc_norm")) options.metrics = {"acc", "acc_norm"};
  for (const Json& doc : task.at("docs")) {
    check_document_ids(doc, encoder);
    documents.push_back(make_document(doc));
  }
  tasks::TaskResult result;
  tasks::score_choices(documents, options, *subject.tokenizer, *subject.scorer, result);
  for (size_t d = 0; d < documents.size(); ++d) {
    const Json& doc = task.at("docs")[d];
    for (size_t i = 0; i < doc.at("requests").size(); ++i) {
      const double ll = doc.at("requests")[i].at("ll");
      EXPECT_NEAR(result.items[d].loglikelihoods.at(i), ll, tolerance(ll, subject))
          << "doc " << d << " choice " << i;
      EXPECT_EQ(tasks::code_points(documents[d].choices[i]), doc.at("choice_chars")[i].get<int64_t>());
    }
    for (const std::string& metric : options.metrics)
      EXPECT_EQ(result.items[d].metrics.at(metric), doc.at(metric)) << "doc " << d;
  }
  compare_aggregate(task.at("aggregate"), result);
}

void check_cloze(const Json& task, bool bos, Subject& subject) {
  // The whole task over a file of the documents' texts: splitting, tokenising, scoring, aggregation.
  const std::string file =
      ::testing::TempDir() + "/qbench_lambada_case" + std::to_string(::getpid()) + ".jsonl";
  std::string lines;
  for (const Json& doc : task.at("docs")) {
    lines += Json{{"text", doc.at("context").get<std::string>() +
                               doc.at("requests")[0].at("continuation").get<std::string>()}}
                 .dump() +
             "\n";
  }
  write_file_atomically(file, lines);
  const auto made =
      tasks::make_task(fmt::format("lambada(file={},bos={},max_length={})", file, bos ? "default" : "none",
                                   task.at("max_length").get<int64_t>()));
  const tasks::TaskResult result = made->run(*subject.tokenizer, *subject.scorer);
  for (size_t d = 0; d < result.items.size(); ++d) {
    const Json& request = task.at("docs")[d].at("requests")[0];
    const double ll = request.at("ll");
    EXPECT_NEAR(result.items[d].loglikelihoods.at(0), ll, tolerance(ll, subject)) << "doc " << d;
    EXPECT_EQ(result.items[d].metrics.at("acc").get<double>() == 1.0, request.at("is_greedy").get<bool>())
        << "doc " << d;
  }
  compare_aggregate(task.at("aggregate"), result);
  const double ppl = task.at("aggregate").at("perplexity");
  EXPECT_NEAR(score_of(result, "perplexity"), ppl, 2e-5 * ppl);
  const double error = task.at("aggregate").at("perplexity_stderr");
  EXPECT_NEAR(*find_score(result, "perplexity").stderr_, error, 2e-4 * error);
}

void check_pages(const Json& task, bool bos, Subject& subject) {
  const std::string text = text_arguments("d790b833ef8cf03a90db7bf1271b7520b83c45ce07ba3c1a9699df81e239eca0");
  const Json& docs = task.at("docs");
  for (const Json& doc : docs) {
    if (!doc.contains("page") || !doc.contains("target")) continue;
    EXPECT_EQ(tasks::wikitext_detokenize(doc.at("page").get<std::string>()),
              doc.at("target").get<std::string>());
    EXPECT_EQ(tasks::count_words(doc.at("page").get<std::string>()), doc.at("words").get<int64_t>());
  }
  if (text.empty()) return;
  const auto made = tasks::make_task(fmt::format("perplexity(protocol=rolling,{},window={},limit={},bos={})",
                                                 text, task.at("max_length").get<int64_t>(), docs.size(),
                                                 bos ? "default" : "none"));
  const tasks::TaskResult result = made->run(*subject.tokenizer, *subject.scorer);
  ASSERT_EQ(result.items.size(), docs.size());
  for (size_t d = 0; d < docs.size(); ++d) {
    const double ll = docs[d].at("ll");
    EXPECT_NEAR(result.items[d].loglikelihoods.at(0), ll, tolerance(ll, subject)) << "page " << d;
    EXPECT_EQ(result.items[d].tokens, docs[d].at("n_tokens")) << "page " << d;
    EXPECT_EQ(result.items[d].metrics.at("words"), docs[d].at("words")) << "page " << d;
    EXPECT_EQ(result.items[d].metrics.at("bytes"), docs[d].at("bytes")) << "page " << d;
  }
  for (const char* metric : {"word_perplexity", "byte_perplexity", "bits_per_byte"}) {
    const double expected = task.at("aggregate").at(metric);
    EXPECT_NEAR(score_of(result, metric), expected, 2e-5 * expected) << metric;
  }
}

void check_pair(const Json& expected, const tasks::PairEncoder& encoder, int64_t max_length,
                Subject& subject) {
  const std::string context = expected.at("context"), continuation = expected.at("continuation");
  SCOPED_TRACE(Json({context, continuation}).dump());
  if (expected.contains("exception")) {
    EXPECT_THROW(encoder.encode(context, continuation, "case"), DataError);
    return;
  }
  const tasks::Pair pair = encoder.encode(context, continuation, "case");
  EXPECT_EQ(pair.context, expected.at("context_ids").get<Ids>());
  EXPECT_EQ(pair.continuation, expected.at("continuation_ids").get<Ids>());
  EXPECT_EQ(pair.boundary_merge, expected.value("boundary_token_split", false));
  int64_t truncated = 0;
  const std::vector<engine::ScoreRequest> requests = {
      tasks::pair_request(pair, max_length, truncated, "case")};
  EXPECT_EQ(truncated == 1, expected.at("truncated").get<bool>());
  EXPECT_EQ(std::ssize(requests[0].tokens) - 1, expected.at("model_input_len").get<int64_t>());
  const engine::ScoreResult scored = subject.scorer->score(requests).at(0);
  const double ll = expected.at("ll");
  EXPECT_NEAR(scored.total, ll, tolerance(ll));
  EXPECT_EQ(scored.greedy, expected.at("is_greedy").get<bool>());
}

void check_rolling(const Json& expected, const tasks::PairEncoder& encoder, int64_t max_length,
                   Subject& subject) {
  SCOPED_TRACE(expected.at("text").dump());
  const Ids ids = encoder.encode_text(expected.at("text").get<std::string>());
  EXPECT_EQ(ids, expected.at("ids").get<Ids>());
  const auto requests = tasks::rolling_requests(ids, encoder.prefix(), max_length);
  const auto scored = subject.scorer->score(requests);
  ASSERT_EQ(requests.size(), expected.at("windows").size());
  double total = 0;
  for (size_t w = 0; w < requests.size(); ++w) {
    const Json& window = expected.at("windows")[w];
    const auto split = requests[w].tokens.begin() + requests[w].scored_from;
    EXPECT_EQ(Ids(split, requests[w].tokens.end()), window.at("scored_ids").get<Ids>());
    if (window.contains("context_ids")) {
      EXPECT_EQ(Ids(requests[w].tokens.begin(), split), window.at("context_ids").get<Ids>());
    }
    EXPECT_NEAR(scored[w].total, window.at("ll").get<double>(), tolerance(window.at("ll")));
    total += scored[w].total;
  }
  EXPECT_NEAR(total, expected.at("ll").get<double>(), tolerance(expected.at("ll")));
}

}  // namespace

int check_lmeval_tasks(const fs::path& root, bool large) {
  int checked = 0;
  for (const fs::path& folder : folders_in(root, "lmeval_")) {
    std::string name = folder.filename().string().substr(7);
    const bool bos = !name.ends_with("_nobos");
    if (!bos) name.resize(name.size() - 6);
    Subject* model = subject(root, name);
    if (model == nullptr || model->large != large) continue;
    for (const fs::path& path : files_in(folder, ".json")) {
      SCOPED_TRACE(path.string());
      const Json task = read_json(path);
      const std::string type = task.at("output_type");
      if (type == "multiple_choice") check_choices(task, bos, *model);
      if (type == "loglikelihood") check_cloze(task, bos, *model);
      if (type == "loglikelihood_rolling") check_pages(task, bos, *model);
      ++checked;
    }
  }
  return checked;
}

int check_pairs(const fs::path& root) {
  int checked = 0;
  for (const fs::path& path : files_in(root / "pairs", ".json")) {
    const Json cases = read_json(path);
    Subject* model = subject(root, cases.at("model"));
    if (model == nullptr) continue;
    for (const Json& run : cases.at("runs")) {
      SCOPED_TRACE(fmt::format("{} add_bos_token={} max_length={}", path.string(),
                               run.at("add_bos_token").dump(), run.at("max_length").dump()));
      const bool bos = run.at("add_bos_token").is_null() || run.at("add_bos_token").get<bool>();
      const tasks::PairEncoder encoder(*model->tokenizer, bos);
      EXPECT_EQ(encoder.prefix(), run.at("prefix_token_id").get<int32_t>());
      for (const Json& pair : run.at("pairs")) check_pair(pair, encoder, run.at("max_length"), *model);
      for (const Json& text : run.at("rolling")) check_rolling(text, encoder, run.at("max_length"), *model);
      ++checked;
    }
  }
  return checked;
}

int check_aggregation(const fs::path& root) {
  if (!fs::exists(root / "lmeval_aggregation.json")) return 0;
  const Json cases = read_json(root / "lmeval_aggregation.json");
  for (const Json& c : cases.at("means")) {
    const auto values = c.at("x").get<std::vector<double>>();
    EXPECT_NEAR(tasks::mean(values), c.at("mean").get<double>(), 1e-12);
    EXPECT_NEAR(*tasks::mean_stderr(values), c.at("stderr").get<double>(), 1e-12);
  }
  for (const Json& c : cases.at("bootstrap")) {
    const auto lls = c.at("ll").get<std::vector<double>>();
    for (const int chunk : {0, 1}) {
      const auto first = c.at(fmt::format("first_replicates_chunk{}", chunk)).get<std::vector<double>>();
      const auto drawn =
          tasks::bootstrap_perplexity_chunk(lls, static_cast<uint64_t>(chunk), std::ssize(first));
      for (size_t i = 0; i < first.size(); ++i) EXPECT_NEAR(drawn[i], first[i], 1e-9 * first[i]);
    }
    const double expected = c.at("bootstrap_stderr");
    EXPECT_NEAR(*tasks::bootstrap_perplexity_stderr(lls, c.at("iters")), expected, 1e-9 * expected);
  }
  for (const Json& c : cases.at("groups")) {
    std::vector<tasks::GroupMember> members;
    for (size_t i = 0; i < c.at("metric").size(); ++i)
      members.push_back({c.at("metric")[i], c.at("stderr")[i], c.at("size")[i]});
    EXPECT_NEAR(tasks::group_mean(members, true), c.at("weighted").get<double>(), 1e-12);
    EXPECT_NEAR(tasks::group_mean(members, false), c.at("plain").get<double>(), 1e-12);
    EXPECT_NEAR(*tasks::pooled_stderr(members), c.at("pooled_stderr").get<double>(), 1e-12);
  }
  return 1;
}

}  // namespace qbench::eval_cases
