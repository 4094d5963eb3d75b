// WikiText for lm-eval's rolling protocol: the raw text cut into its pages, and the detokeniser the scored
// text goes through.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace qbench::tasks {

/// A page starts at each line that is a first-level heading ("= Title ="); what stands before the first is
/// dropped.
std::vector<std::string> wikitext_pages(std::string_view text);
/// The ten passes of eval_protocol, section 2.7, in order, each once from left to right.
std::string wikitext_detokenize(std::string_view page);

}  // namespace qbench::tasks
