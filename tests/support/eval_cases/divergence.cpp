// llamacpp_<model>/kl.json: llama.cpp's KL statistics of weight-only quantized files against its own 16-bit
// logit file.
#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "harness/core/files.h"
#include "harness/engine/model_scorer.h"
#include "tasks/divergence.h"
#include "tests/support/eval_cases/subject.h"

namespace qbench::eval_cases {
namespace {

/// The base file: log probabilities of the second half of every chunk, as 16-bit codes.
struct BaseFile {
  int32_t n_ctx = 0, vocab = 0, chunks = 0;
  std::vector<int32_t> tokens;
  std::vector<std::vector<float>> rows;
};

BaseFile read_base(const fs::path& path) {
  const std::string bytes = read_text_file(path);
  size_t at = 8;
  const auto take = [&](void* out, size_t size) {
    ASSERT_LE(at + size, bytes.size());
    std::memcpy(out, bytes.data() + at, size);
    at += size;
  };
  BaseFile base;
  take(&base.n_ctx, 4);
  take(&base.vocab, 4);
  take(&base.chunks, 4);
  base.tokens.resize(static_cast<size_t>(base.n_ctx) * static_cast<size_t>(base.chunks));
  take(base.tokens.data(), base.tokens.size() * 4);
  const int64_t scored = base.n_ctx - 1 - base.n_ctx / 2;
  std::vector<uint16_t> codes(static_cast<size_t>(base.vocab + base.vocab % 2));
  for (int64_t r = 0; r < scored * base.chunks; ++r) {
    float scale = 0, low = 0;
    take(&scale, 4);
    take(&low, 4);
    take(codes.data(), codes.size() * 2);
    auto& row = base.rows.emplace_back();
    for (int32_t i = 0; i < base.vocab; ++i)
      row.push_back(scale * static_cast<float>(codes[static_cast<size_t>(i)]) + low);
  }
  return base;
}

engine::DivergenceToken compare_row(const float* logits, const std::vector<float>& base, int32_t target) {
  const auto n = base.size();
  const auto top = static_cast<size_t>(std::max_element(logits, logits + n) - logits);
  double sum = 0;
  for (size_t i = 0; i < n; ++i)
    sum += std::exp(static_cast<double>(logits[i]) - static_cast<double>(logits[top]));
  const double log_sum = static_cast<double>(logits[top]) + std::log(sum);
  engine::DivergenceToken token;
  const auto y = static_cast<size_t>(target);
  token.nll = static_cast<float>(log_sum - static_cast<double>(logits[y]));
  token.nll_base = -base[y];
  double kl = 0;
  for (size_t i = 0; i < n; ++i) {
    if (base[i] > -16.0F)
      kl += std::exp(static_cast<double>(base[i])) *
            (static_cast<double>(base[i]) - (static_cast<double>(logits[i]) - log_sum));
  }
  token.kl = static_cast<float>(kl);
  token.delta_p = std::exp(-token.nll) - std::exp(-token.nll_base);
  token.same_top = top == static_cast<size_t>(std::max_element(base.begin(), base.end()) - base.begin());
  return token;
}

std::vector<engine::DivergenceToken> compare_model(const engine::Model& model, const BaseFile& base) {
  std::vector<engine::DivergenceToken> tokens;
  size_t row = 0;
  for (int32_t chunk = 0; chunk < base.chunks; ++chunk) {
    const auto ids = std::span(base.tokens)
                         .subspan(static_cast<size_t>(chunk) * static_cast<size_t>(base.n_ctx),
                                  static_cast<size_t>(base.n_ctx));
    const at::Tensor logits =
        engine::logits(model, engine::hidden_states(model, ids, {base.n_ctx})).contiguous();
    for (int32_t position = base.n_ctx / 2; position + 1 < base.n_ctx; ++position) {
      tokens.push_back(compare_row(logits.data_ptr<float>() + int64_t{position} * base.vocab,
                                   base.rows[row++], ids[static_cast<size_t>(position) + 1]));
    }
  }
  return tokens;
}

/// Two units of the last digit that was printed.
double printed_tolerance(const std::string& printed) {
  const size_t point = printed.find('.', printed.find(':') == std::string::npos ? 0 : printed.find(':'));
  size_t digits = 0;
  while (point != std::string::npos && point + 1 + digits < printed.size() &&
         std::isdigit(static_cast<unsigned char>(printed[point + 1 + digits])))
    ++digits;
  return 2 * std::pow(10.0, -static_cast<double>(digits));
}

std::map<std::string, tasks::Estimate> as_printed(const tasks::DivergenceStatistics& s) {
  const auto percent = [](tasks::Estimate e) { return tasks::Estimate{100 * e.value, 100 * e.error}; };
  return {{"Mean PPL(Q)", s.ppl},
          {"Mean PPL(base)", s.ppl_base},
          {"Cor(ln(PPL(Q)), ln(PPL(base)))", {100 * s.correlation, 0}},
          {"Mean ln(PPL(Q)/PPL(base))", s.ln_ratio},
          {"Mean PPL(Q)/PPL(base)", s.ratio},
          {"Mean PPL(Q)-PPL(base)", s.difference},
          {"Mean KLD", s.kl},
          {"Maximum KLD", {s.kl_max, 0}},
          {"99.9% KLD", {s.kl_p999, 0}},
          {"99.0% KLD", {s.kl_p99, 0}},
          {"Median KLD", {s.kl_median, 0}},
          {"10.0% KLD", {s.kl_p10, 0}},
          {"5.0% KLD", {s.kl_p05, 0}},
          {"1.0% KLD", {s.kl_p01, 0}},
          {"Minimum KLD", {s.kl_min, 0}},
          {"Mean Δp", percent(s.delta_p)},
          {"RMS Δp", percent(s.rms_delta_p)},
          {"Same top p", percent(s.same_top)}};
}

int compare_printed(const Json& printed, const tasks::DivergenceStatistics& statistics, bool self) {
  int compared = 0;
  const auto computed = as_printed(statistics);
  for (const auto& [name, estimate] : computed) {
    if (!printed.contains(name)) continue;
    SCOPED_TRACE(name);
    const Json& expected = printed.at(name);
    if (!expected.at("value").is_number()) continue;
    const double value = expected.at("value");
    double tolerance = printed_tolerance(expected.at("printed"));
    if (name.starts_with("Mean PPL") && name.find("/PPL") == std::string::npos)
      tolerance = std::max(tolerance, 1e-6 * statistics.ppl_base.value);
    EXPECT_NEAR(estimate.value, value, tolerance);
    // Against itself the errors of differences are roots of rounding noise.
    const bool noise =
        self && (name.find("/PPL") != std::string::npos || name.find("-PPL") != std::string::npos);
    if (!noise && expected.contains("pm") && expected.at("pm").is_number()) {
      EXPECT_NEAR(estimate.error, expected.at("pm").get<double>(),
                  std::max(tolerance, 1e-4 * estimate.error));
    }
    ++compared;
  }
  return compared;
}

}  // namespace

int check_llamacpp_divergence(const fs::path& root) {
  int checked = 0;
  for (const fs::path& folder : folders_in(root, "llamacpp_")) {
    const std::string name = folder.filename().string().substr(9);
    if (!fs::exists(folder / "kl.json") || !fs::exists(folder / (name + ".base"))) continue;
    const Json cases = read_json(folder / "kl.json");
    Subject* original = subject(root, name);
    if (original == nullptr) continue;
    const BaseFile base = read_base(folder / (name + ".base"));
    for (const auto& [key, expected] : cases.at("kl").items()) {
      SCOPED_TRACE(folder.string() + " " + key);
      const bool self = key == "self";
      if (!self && !key.ends_with("_deq")) continue;
      const fs::path file = folder / (name + "-" + key.substr(0, key.find("_deq")) + ".gguf");
      if (!self && !fs::exists(file)) continue;
      std::unique_ptr<engine::Model> quantized;
      if (!self) {
        models::ModelSource source{file.string(), models::SourceKind::kGguf, file, models::Dequantize::kExact,
                                   0};
        quantized = engine::Model::load(models::Checkpoint::open(source));
      }
      const auto tokens = compare_model(self ? *original->model : *quantized, base);
      EXPECT_GE(compare_printed(expected.at("final"), tasks::divergence_statistics(tokens), self), 15);
      ++checked;
    }
  }
  return checked;
}

}  // namespace qbench::eval_cases
