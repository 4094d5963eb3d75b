// qbench: the conductor. Parses the command line, runs the chosen command, turns errors into messages and
// exit codes.
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <string_view>

#include "harness/cli/commands.h"
#include "harness/core/errors.h"
#include "harness/schedule/environment.h"

namespace {

using namespace qbench;

std::vector<std::string> command_names(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::App* command : app.get_subcommands([](const CLI::App*) { return true; }))
    names.push_back(command->get_name());
  return names;
}

const CLI::App* chosen_command(const CLI::App& app) {
  const auto chosen = app.get_subcommands();
  return chosen.empty() ? &app : chosen.front();
}

/// CLI11 says what is wrong; this adds the nearest flag or command and where to read on.
std::string usage_message(const CLI::App& app, const CLI::ParseError& error, int argc, char** argv) {
  std::string hint;
  if (app.get_subcommands().empty() && argc > 1 && argv[1][0] != '-') {
    const auto names = command_names(app);
    if (std::find(names.begin(), names.end(), argv[1]) == names.end()) {
      return fmt::format("unknown command \"{}\".{} `qbench --help` lists the commands.", argv[1],
                         did_you_mean(argv[1], names));
    }
  }
  const CLI::App* command = chosen_command(app);
  std::vector<std::string> flags;
  for (const CLI::Option* option : command->get_options()) {
    for (const std::string& name : option->get_lnames()) flags.push_back("--" + name);
  }
  for (int i = 1; i < argc; ++i) {
    const std::string argument(argv[i], std::find(argv[i], argv[i] + std::string_view(argv[i]).size(), '='));
    if (argument.starts_with("--") && std::find(flags.begin(), flags.end(), argument) == flags.end())
      hint += did_you_mean(argument, flags);
  }
  return fmt::format("{}.{} `qbench {}{}--help` lists what is possible.", error.what(), hint,
                     command == &app ? "" : command->get_name(), command == &app ? "" : " ");
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("qbench: honest comparison of post-training quantization methods for language models");
  app.set_version_flag("--version", qbench::schedule::version_text());
  app.require_subcommand(1);
  app.get_formatter()->column_width(36);
  cli::Action action;
  cli::add_run(app, action);
  cli::add_plan(app, action);
  cli::add_report(app, action);
  cli::add_diff(app, action);
  cli::add_eval(app, action);
  cli::add_quantize(app, action);
  cli::add_tokenize(app, action);
  cli::add_logits(app, action);
  cli::add_lab(app, action);
  cli::add_describe(app, action);
  cli::add_doctor(app, action);
  cli::add_data(app, action);
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& help) {  // --help, --version
    return app.exit(help);
  } catch (const CLI::ParseError& error) {
    fmt::print(stderr, "qbench: {}\n", usage_message(app, error, argc, argv));
    return kExitConfig;
  }
  try {
    const int code = action();
    if (std::fflush(stdout) != 0 || std::ferror(stdout) != 0) {
      throw DataError("writing to standard output failed; is the disk full or the reader gone?");
    }
    return code;
  } catch (const std::exception& error) {
    std::fflush(stdout);
    fmt::print(stderr, "qbench: {}\n", error.what());
    return exit_code(error);
  }
}
