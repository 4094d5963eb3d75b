#include "harness/schedule/environment.h"

#include <fmt/format.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <fstream>

#include "harness/core/call.h"
#include "harness/core/quantity.h"

namespace qbench::schedule {
namespace {

std::string cpu_name() {
  std::ifstream info("/proc/cpuinfo");
  for (std::string line; std::getline(info, line);) {
    if (line.starts_with("model name")) return trim(line.substr(line.find(':') + 1));
  }
  return "unknown";
}

}  // namespace

Json environment() {
  utsname system{};
  ::uname(&system);
  const auto pages = static_cast<uint64_t>(::sysconf(_SC_PHYS_PAGES)),
             page = static_cast<uint64_t>(::sysconf(_SC_PAGESIZE));
  return {{"qbench", QBENCH_VERSION},
          {"commit", QBENCH_COMMIT},
          {"cpu", cpu_name()},
          {"processors", hardware_threads()},
          {"memory_bytes", pages * page},
          {"system", fmt::format("{} {} {}", system.sysname, system.release, system.machine)},
          {"compiler", __VERSION__}};
}

std::string version_text() { return fmt::format("qbench {} ({})", QBENCH_VERSION, QBENCH_COMMIT); }

}  // namespace qbench::schedule
