// Checks of the evaluation against cases that other programs computed. Each walks a folder of cases (the
// project's copy, shared/, or $QBENCH_GOLDEN) and derives everything from the files there.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>

namespace qbench::eval_cases {

namespace fs = std::filesystem;

/// Each returns how many cases it checked. Cases of models or texts that are not on this machine are passed
/// over.
/// @param large  only cases of the real model; else only those of tiny models
int check_window_perplexity(const fs::path& root, bool large);
int check_lmeval_tasks(const fs::path& root, bool large);
int check_pairs(const fs::path& root);
int check_llamacpp_perplexity(const fs::path& root, bool large);
int check_llamacpp_divergence(const fs::path& root);
int check_aggregation(const fs::path& root);

int check_bigbench_prompts(const fs::path& root);
int check_bigbench_tasks(const fs::path& root, bool large);
int check_bigbench_metrics(const fs::path& root);
int check_bigbench_postprocessing(const fs::path& root);
int check_bigbench_sampling(const fs::path& root);
int check_bigbench_aggregation(const fs::path& root);

}  // namespace qbench::eval_cases
