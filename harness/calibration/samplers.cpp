#include "harness/calibration/samplers.h"

#include <fmt/format.h>

#include <algorithm>
#include <unordered_set>

#include "harness/core/errors.h"
#include "harness/core/python_random.h"

namespace qbench::calibration {
namespace {

[[noreturn]] void too_short(const SampleShape& shape, const std::string& found, const std::string& needed) {
  throw DataError(
      fmt::format("{}: {}; {} x {} tokens need {}. Lower samples or length, or take a longer text.",
                  shape.place, found, shape.samples, shape.length, needed));
}

std::vector<int32_t> slice(const std::vector<int32_t>& ids, int64_t begin, int64_t length) {
  return {ids.begin() + begin, ids.begin() + begin + length};
}

}  // namespace

Samples consecutive_windows(const std::vector<int32_t>& ids, const SampleShape& shape) {
  const int64_t need = shape.samples * shape.length;
  if (std::ssize(ids) < need)
    too_short(shape, fmt::format("the text has {} tokens", ids.size()), fmt::format("{}", need));
  Samples samples;
  for (int64_t i = 0; i < shape.samples; ++i) samples.push_back(slice(ids, i * shape.length, shape.length));
  return samples;
}

Samples random_windows(const std::vector<int32_t>& ids, const SampleShape& shape) {
  const int64_t last_start = std::ssize(ids) - shape.length - 1;
  if (last_start < 0) {
    too_short(shape, fmt::format("the text has {} tokens", ids.size()),
              fmt::format("at least {}", shape.length + 1));
  }
  PythonRandom random(static_cast<uint64_t>(shape.seed));
  Samples samples;
  for (int64_t i = 0; i < shape.samples; ++i)
    samples.push_back(slice(ids, random.randint(0, last_start), shape.length));
  return samples;
}

Samples random_document_windows(const std::vector<std::string>& documents,
                                const tokenizers::Tokenizer& tokenizer, const SampleShape& shape) {
  PythonRandom random(static_cast<uint64_t>(shape.seed));
  const int64_t most_draws = 1000 * shape.samples + 10 * std::ssize(documents);
  int64_t draws = 0;
  Samples samples;
  while (std::ssize(samples) < shape.samples) {
    if (++draws > most_draws) {
      too_short(shape,
                fmt::format("among {} documents drawn, {} were long enough", draws - 1, samples.size()),
                fmt::format("documents of at least {} tokens", shape.length));
    }
    const auto document = static_cast<size_t>(random.randint(0, std::ssize(documents) - 1));
    const std::vector<int32_t> ids = tokenizer.encode(documents[document]);
    const int64_t spare = std::ssize(ids) - shape.length;
    if (spare < 0) continue;
    // A document of exactly the length has one window and no start to draw (SpQR's reading of the same rule).
    samples.push_back(slice(ids, spare == 0 ? 0 : random.randint(0, spare - 1), shape.length));
  }
  return samples;
}

Samples whole_documents(const std::vector<std::string>& documents, const tokenizers::Tokenizer& tokenizer,
                        const SampleShape& shape) {
  PythonRandom random(static_cast<uint64_t>(shape.seed));
  Samples samples;
  for (const int64_t document : random.sample(std::ssize(documents), std::ssize(documents))) {
    if (std::ssize(samples) == shape.samples) break;
    std::vector<int32_t> ids = tokenizer.encode(documents[static_cast<size_t>(document)]);
    if (ids.size() < 2) continue;
    if (std::ssize(ids) > shape.length) ids.resize(static_cast<size_t>(shape.length));
    samples.push_back(std::move(ids));
  }
  if (std::ssize(samples) < shape.samples) {
    too_short(shape, fmt::format("{} documents of 2 tokens or more", samples.size()),
              fmt::format("{}", shape.samples));
  }
  return samples;
}

Samples random_token_ids(const tokenizers::Tokenizer& tokenizer, const SampleShape& shape) {
  const std::unordered_set<int32_t> special(tokenizer.special_ids().begin(), tokenizer.special_ids().end());
  std::vector<int32_t> plain;
  for (int32_t id = 0; id < tokenizer.vocab_size(); ++id) {
    if (!special.contains(id)) plain.push_back(id);
  }
  if (plain.empty()) throw DataError("random_tokens: the vocabulary holds nothing but special tokens");
  PythonRandom random(static_cast<uint64_t>(shape.seed));
  Samples samples(static_cast<size_t>(shape.samples));
  for (auto& sample : samples) {
    for (int64_t i = 0; i < shape.length; ++i) sample.push_back(plain[random.randbelow(plain.size())]);
  }
  return samples;
}

Samples random_ascii(const tokenizers::Tokenizer& tokenizer, const SampleShape& shape) {
  PythonRandom random(static_cast<uint64_t>(shape.seed));
  Samples samples;
  while (std::ssize(samples) < shape.samples) {
    std::string text;
    std::vector<int32_t> ids;
    while (std::ssize(ids) <
           shape.length) {  // a token holds at least about one character, so one round is the rule
      for (int64_t i = 0; i < 4 * shape.length; ++i) text += static_cast<char>(32 + random.randbelow(95));
      ids = tokenizer.encode(text, {.add_special = false, .parse_special = false});
    }
    ids.resize(static_cast<size_t>(shape.length));
    samples.push_back(std::move(ids));
  }
  return samples;
}

}  // namespace qbench::calibration
