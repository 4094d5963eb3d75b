// qbench data: brings downloaded data sets into the data folder.
#include <fmt/format.h>

#include <cstdio>
#include <filesystem>

#include "harness/cli/commands.h"
#include "harness/core/errors.h"
#include "harness/data/bigbench_import.h"

namespace qbench::cli {

void add_data(CLI::App& app, Action& action) {
  CLI::App* data = app.add_subcommand("data", "bring downloaded data sets into the data folder");
  data->require_subcommand(1);
  CLI::App* add = data->add_subcommand("add", "add a data set");
  auto name = std::make_shared<std::string>();
  auto path = std::make_shared<std::string>();
  add->add_option("name", *name, "bigbench")->required()->check(CLI::IsMember({"bigbench"}));
  add->add_option("path", *path, "the downloaded package: an unpacked folder")->required()->type_name("PATH");
  add->callback([path, &action] {
    action = [path] {
      const data::BigBenchImport result = data::add_bigbench(*path);
      fmt::print("{} tasks written to {}\n", result.tasks.size(), result.folder.string());
      for (const std::string& skipped : result.skipped) fmt::print("skipped {}\n", skipped);
      return kExitOk;
    };
  });
}

}  // namespace qbench::cli
