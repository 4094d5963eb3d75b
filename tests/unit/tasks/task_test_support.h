#pragma once

#include <unistd.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <string>

#include "harness/core/errors.h"
#include "tasks/core/task.h"
#include "tests/support/fake_scorer.h"
#include "tests/support/fake_tokenizer.h"

namespace qbench::tasks {

using ::testing::HasSubstr;
using testing_support::ByteTokenizer;
using testing_support::FormulaScorer;

inline std::string write_file(const std::string& name, const std::string& content) {
  const std::string path = ::testing::TempDir() + "/qbench_tasks_" + std::to_string(::getpid()) + "_" + name;
  std::ofstream(path, std::ios::binary) << content;
  return path;
}

template <class F>
std::string message_of(F&& call) {
  try {
    call();
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

inline TaskResult run(const std::string& task, engine::Scorer& scorer,
                      const tokenizers::Tokenizer& tokenizer = ByteTokenizer()) {
  return make_task(task)->run(tokenizer, scorer);
}

inline const Score& score_named(const TaskResult& result, const std::string& metric) {
  for (const Score& score : result.scores) {
    if (score.metric == metric) return score;
  }
  ADD_FAILURE() << "no score " << metric;
  static const Score none;
  return none;
}

}  // namespace qbench::tasks
