// Hand-written cutters for the split patterns that nearly all byte-level models use. They must cut exactly as
// the regular expressions they replace; tests/property/tokenizers compares the two.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "harness/tokenizers/regex.h"

namespace qbench::tokenizers {

/// GPT-2's pattern, built into the ByteLevel pre-tokenizer. It matches every text without gaps.
extern const std::string kGpt2Pattern;
/// Llama 3's (numbers in threes) and Qwen 2's (single digits) patterns. They too leave no gaps.
extern const std::string kLlama3Pattern;
extern const std::string kQwen2Pattern;

using WordScanner = void (*)(std::string_view text, size_t begin, size_t end, std::vector<Range>& out);

/// Appends the matches inside [begin, end) of `text`, as if that stretch were the whole text.
void scan_gpt2(std::string_view text, size_t begin, size_t end, std::vector<Range>& out);
void scan_llama3(std::string_view text, size_t begin, size_t end, std::vector<Range>& out);
void scan_qwen2(std::string_view text, size_t begin, size_t end, std::vector<Range>& out);

/// The scanner for exactly this pattern, or nullptr.
WordScanner scanner_for(std::string_view pattern);

}  // namespace qbench::tokenizers
