// qbench report and qbench diff: pure functions of stores.
#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>

#include "harness/cli/commands.h"
#include "harness/core/errors.h"
#include "harness/core/files.h"
#include "reports/diff.h"
#include "reports/report.h"
#include "results/store.h"

namespace qbench::cli {
namespace {

void emit(const std::string& text, const std::string& out) {
  if (out.empty()) {
    std::fwrite(text.data(), 1, text.size(), stdout);
    if (!text.ends_with('\n')) std::fputc('\n', stdout);
  } else {
    write_file_atomically(out, text);
    fmt::print("{}\n", out);
  }
}

}  // namespace

void add_report(CLI::App& app, Action& action) {
  struct Arguments {
    std::string store = "results.qbench.db", format, out;
  };
  CLI::App* command = app.add_subcommand("report", "tables, plots and failures of a store");
  auto args = std::make_shared<Arguments>();
  command->add_option("store", args->store)->capture_default_str()->type_name("STORE");
  command->add_option("--format", args->format, "md, csv, json or html (default: the terminal's)")
      ->check(CLI::IsMember({"md", "csv", "json", "html", "terminal"}))
      ->type_name("FORMAT");
  command->add_option("--out", args->out, "file to write instead of standard output")->type_name("FILE");
  command->callback([args, &action] {
    action = [args] {
      const auto store = results::Store::open_readonly(args->store);
      reports::ReportOptions options;
      options.color = args->out.empty() && ::isatty(STDOUT_FILENO) == 1;
      emit(reports::render_report(*store, args->format.empty() ? "terminal" : args->format, options),
           args->out);
      return kExitOk;
    };
  });
}

void add_diff(CLI::App& app, Action& action) {
  struct Arguments {
    std::string a, b, format = "terminal", out;
  };
  CLI::App* command = app.add_subcommand(
      "diff", "compare two stores, runs (STORE#run=N) or cells (STORE#cell=KEY); exit 1 if they differ");
  auto args = std::make_shared<Arguments>();
  command->add_option("a", args->a)->required()->type_name("A");
  command->add_option("b", args->b)->required()->type_name("B");
  command->add_option("--format", args->format)
      ->check(CLI::IsMember({"md", "csv", "json", "html", "terminal"}))
      ->type_name("FORMAT");
  command->add_option("--out", args->out)->type_name("FILE");
  command->callback([args, &action] {
    action = [args] {
      const reports::DiffResult result = reports::diff_targets(args->a, args->b);
      emit(reports::render_diff(result, args->format, args->out.empty() && ::isatty(STDOUT_FILENO) == 1),
           args->out);
      return result.same() ? kExitOk : kExitFailedCells;
    };
  });
}

}  // namespace qbench::cli
