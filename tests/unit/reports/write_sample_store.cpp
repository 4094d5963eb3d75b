// Writes the sample store of the tests: write_sample_store FILE [models extra_recipes layers items windows];
// FILE.html etc. beside it show its reports.
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <iostream>

#include "harness/core/files.h"
#include "reports/report.h"
#include "tests/unit/reports/sample_store.h"

int main(int argc, char** argv) {
  if (argc < 2) {
    std::cerr << "usage: " << argv[0] << " FILE [models extra_recipes layers items windows]\n";
    return 2;
  }
  qbench::testing_support::SampleOptions options;
  if (argc > 2) options.models = std::atoi(argv[2]);
  if (argc > 3) options.extra_recipes = std::atoi(argv[3]);
  if (argc > 4) options.layers = std::atoi(argv[4]);
  if (argc > 5) options.items = std::atoi(argv[5]);
  if (argc > 6) options.windows = std::atoi(argv[6]);
  const std::filesystem::path file = argv[1];
  if (!std::filesystem::exists(file)) qbench::testing_support::write_sample_store(file, options);
  const auto store = qbench::results::Store::open_readonly(file);
  std::cout << qbench::reports::summary_table(*store, store->runs().back().id, ::isatty(1) != 0);
  for (const auto& format : qbench::reports::report_formats()) {
    qbench::write_file_atomically(file.string() + "." + format,
                                  qbench::reports::render_report(*store, format));
  }
}
