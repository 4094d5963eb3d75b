// Laws over many seeded texts: hand-written cutters equal their patterns, every path through BPE gives the
// same ids, byte-level tokenizers lose nothing, threads do not disturb each other.
#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <thread>

#include "harness/tokenizers/bpe.h"
#include "harness/tokenizers/tokenizer.h"
#include "harness/tokenizers/unicode.h"
#include "harness/tokenizers/word_scan.h"
#include "tests/support/fixtures.h"

namespace qbench::tokenizers {
namespace {

using Ids = std::vector<int32_t>;

/// Texts made of what patterns and merges care about: contractions, runs of spaces, digits, line ends,
/// scripts, marks.
std::string random_text(std::mt19937_64& random, size_t parts) {
  static const std::vector<std::string> kParts = {
      " ",  "  ",  "\n",      "\r\n",       "\t",         "\u00A0", "\u2003", "\u0085", "\u200B", "'",
      "'s", "'S",  "'re",     "'LL",        "'ſ",         "'l",     "a",      "b",      "ab",     "Ab",
      "ſ",  "é",   "e\u0301", "ß",          "İ",          "1",      "12",     "1234",   "½",      "٣",
      "Ⅷ",  ".",   ",",       "!!",         "_",          "$",      "€",      "(",      "😀",      "漢字",
      "한", "क्षि", "\u0301",  "\U0002EBF0", "\U0001E5F1", "▁",      "▁▁",     "<s>"};
  std::string text;
  for (size_t i = 0; i < parts; ++i) text += kParts[random() % kParts.size()];
  return text;
}

std::vector<std::string> by_scanner(WordScanner scanner, std::string_view text) {
  std::vector<Range> ranges;
  scanner(text, 0, text.size(), ranges);
  std::vector<std::string> words;
  for (const Range& range : ranges) words.emplace_back(text.substr(range.begin, range.end - range.begin));
  return words;
}

std::vector<std::string> by_pattern(const Regex& regex, std::string_view text) {
  std::vector<std::string> words;
  regex.for_each(text,
                 [&](Range range) { words.emplace_back(text.substr(range.begin, range.end - range.begin)); });
  return words;
}

TEST(WordScanners, CutExactlyAsTheirPatterns) {
  for (const std::string& pattern : {kGpt2Pattern, kLlama3Pattern, kQwen2Pattern}) {
    const Regex regex(pattern, "test");
    const WordScanner scanner = scanner_for(pattern);
    ASSERT_NE(scanner, nullptr);
    std::mt19937_64 random(7);
    for (int round = 0; round < 20000; ++round) {
      const std::string text = random_text(random, 1 + random() % 12);
      ASSERT_EQ(by_scanner(scanner, text), by_pattern(regex, text))
          << "pattern " << pattern << ", round " << round;
    }
  }
}

TEST(WordScanners, CutAsTheirPatternsAroundEveryCharacter) {
  for (const std::string& pattern : {kGpt2Pattern, kLlama3Pattern}) {
    const Regex regex(pattern, "test");
    const WordScanner scanner = scanner_for(pattern);
    for (char32_t c = 1; c < 0x30000; ++c) {
      if (c >= 0xD800 && c < 0xE000) continue;
      std::string text = "a ";
      append_utf8(text, c);
      text += "'";
      append_utf8(text, c);
      text += "1";
      ASSERT_EQ(by_scanner(scanner, text), by_pattern(regex, text))
          << "pattern " << pattern << ", U+" << std::hex << static_cast<uint32_t>(c);
    }
  }
}

TEST(WordScanners, StayInsideTheirStretch) {
  std::mt19937_64 random(8);
  for (int round = 0; round < 2000; ++round) {
    const std::string before = random_text(random, 3);
    const std::string text = random_text(random, 6);
    const std::string whole = before + text + random_text(random, 3);
    std::vector<Range> ranges;
    scan_llama3(whole, before.size(), before.size() + text.size(), ranges);
    std::vector<std::string> words;
    for (const Range& range : ranges) words.push_back(whole.substr(range.begin, range.end - range.begin));
    ASSERT_EQ(words, by_scanner(scan_llama3, text)) << "round " << round;
  }
}

struct RandomModel {
  std::vector<std::string> tokens;
  std::vector<std::pair<std::string, std::string>> merges;  // best first
};

RandomModel random_model(std::mt19937_64& random, const std::vector<std::string>& letters, size_t merges) {
  RandomModel model{letters, {}};
  for (size_t tries = 0; model.merges.size() < merges && tries < 50 * merges; ++tries) {
    const std::string left = model.tokens[random() % model.tokens.size()];
    const std::string right = model.tokens[random() % model.tokens.size()];
    const std::string whole = left + right;
    if (whole.size() > 12 || std::find(model.tokens.begin(), model.tokens.end(), whole) != model.tokens.end())
      continue;
    model.tokens.push_back(whole);
    model.merges.emplace_back(left, right);
  }
  return model;
}

BpeModel build(const RandomModel& model) {
  Vocabulary vocabulary;
  for (const std::string& token : model.tokens)
    vocabulary.add(token, static_cast<int32_t>(vocabulary.count()));
  MergeTable table;
  uint32_t rank = 0;
  for (const auto& [left, right] : model.merges)
    table.add(vocabulary.find(left), vocabulary.find(right), {rank++, vocabulary.find(left + right)});
  return BpeModel(std::move(vocabulary), std::move(table), {});
}

/// The definition, without any cleverness: the best merge anywhere, the leftmost of equals, one at a time.
Ids by_definition(const RandomModel& model, std::string_view text) {
  std::vector<std::string> symbols;
  for (size_t pos = 0; pos < text.size(); pos += utf8_length(text[pos]))
    symbols.emplace_back(text.substr(pos, utf8_length(text[pos])));
  while (true) {
    size_t best_rank = model.merges.size();
    size_t best_at = 0;
    for (size_t i = 0; i + 1 < symbols.size(); ++i) {
      const auto pair = std::pair(symbols[i], symbols[i + 1]);
      const auto rank = static_cast<size_t>(std::find(model.merges.begin(), model.merges.end(), pair) -
                                            model.merges.begin());
      if (rank < best_rank) best_rank = rank, best_at = i;
    }
    if (best_rank == model.merges.size()) break;
    symbols[best_at] += symbols[best_at + 1];
    symbols.erase(symbols.begin() + static_cast<int64_t>(best_at) + 1);
  }
  Ids ids;
  for (const std::string& symbol : symbols)
    ids.push_back(static_cast<int32_t>(std::find(model.tokens.begin(), model.tokens.end(), symbol) -
                                       model.tokens.begin()));
  return ids;
}

TEST(Bpe, EqualsItsDefinitionOnShortAndLongPieces) {
  for (const std::vector<std::string>& letters :
       {std::vector<std::string>{"a", "b", "c"}, {"▁", "a", "é"}, {"a"}}) {
    std::mt19937_64 random(letters.size());
    for (int round = 0; round < 60; ++round) {
      const RandomModel model = random_model(random, letters, 1 + random() % 12);
      const BpeModel bpe = build(model);
      Workspace work;
      for (const size_t length : {size_t{1}, size_t{2}, size_t{9}, size_t{95}, size_t{97}, size_t{200}}) {
        std::string text;
        for (size_t i = 0; i < length; ++i) text += letters[random() % letters.size()];
        Ids ids;
        bpe.tokenize(text, work, ids);
        ASSERT_EQ(ids, by_definition(model, text))
            << "letters " << letters.size() << ", round " << round << ", text " << text;
      }
    }
  }
}

class ShippedTokenizer : public ::testing::Test {
 protected:
  static std::unique_ptr<Tokenizer> load(const char* name) {
    const auto path = testing_support::source_dir() / "tests" / "golden" / "eval" / name;
    return load_tokenizer({.name = name, .path = path});
  }
};

TEST_F(ShippedTokenizer, LosesNothingWhenByteLevel) {
  const auto tokenizer = load("tiny_llama");
  std::mt19937_64 random(11);
  for (int round = 0; round < 2000; ++round) {
    const std::string text = random_text(random, random() % 30);
    ASSERT_EQ(tokenizer->decode(tokenizer->encode(text)), text) << "round " << round;
  }
}

TEST_F(ShippedTokenizer, GivesTheSameIdsColdWarmAndInThreads) {
  for (const char* name : {"tiny_llama", "tiny_llama_sp"}) {
    const auto shared = load(name);
    std::mt19937_64 random(12);
    std::vector<std::string> texts;
    std::vector<Ids> expected;
    for (int i = 0; i < 20; ++i) {
      texts.push_back(random_text(random, 40));
      expected.push_back(load(name)->encode(texts.back()));
    }
    std::vector<std::jthread> threads;
    std::vector<int> wrong(4, 0);
    for (size_t t = 0; t < wrong.size(); ++t) {
      threads.emplace_back([&, t] {
        for (int round = 0; round < 20; ++round) {
          for (size_t i = 0; i < texts.size(); ++i) wrong[t] += shared->encode(texts[i]) != expected[i];
        }
      });
    }
    threads.clear();
    EXPECT_EQ(wrong, std::vector<int>(4, 0)) << name;
  }
}

}  // namespace
}  // namespace qbench::tokenizers
