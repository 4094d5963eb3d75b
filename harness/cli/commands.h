// The subcommands of `qbench`. Each registers itself and, when chosen, sets the action that main() runs.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <string>
#include <vector>

namespace qbench::cli {

/// What main() runs after parsing; returns the exit code. Errors are thrown (harness/core/errors.h).
using Action = std::function<int()>;

void add_run(CLI::App& app, Action& action);
void add_plan(CLI::App& app, Action& action);
void add_eval(CLI::App& app, Action& action);
void add_quantize(CLI::App& app, Action& action);
void add_report(CLI::App& app, Action& action);
void add_diff(CLI::App& app, Action& action);
void add_tokenize(CLI::App& app, Action& action);
void add_logits(CLI::App& app, Action& action);
void add_lab(CLI::App& app, Action& action);
void add_describe(CLI::App& app, Action& action);
void add_doctor(CLI::App& app, Action& action);
void add_data(CLI::App& app, Action& action);

}  // namespace qbench::cli
