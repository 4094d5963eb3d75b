#include "harness/core/quantity.h"

#include <fmt/format.h>
#include <sched.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cmath>
#include <fstream>
#include <limits>
#include <thread>

#include "harness/core/call.h"
#include "harness/core/errors.h"

namespace qbench {
namespace {

struct NumberWithUnit {
  double value;
  std::string unit;  // lower case
};

NumberWithUnit split_unit(std::string_view text, std::string_view what, std::string_view example) {
  const std::string trimmed = trim(text);
  double value = 0;
  const auto [end, error] = std::from_chars(trimmed.data(), trimmed.data() + trimmed.size(), value);
  if (error != std::errc() || !std::isfinite(value) || value < 0) {
    throw ConfigError(fmt::format("{}: found \"{}\"; expected a value such as {}", what, text, example));
  }
  std::string unit = trim(std::string_view(end, static_cast<size_t>(trimmed.data() + trimmed.size() - end)));
  std::transform(unit.begin(), unit.end(), unit.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return {value, unit};
}

uint64_t number_in_file(const char* path) {
  std::ifstream file(path);
  uint64_t value = 0;
  return file >> value ? value : 0;
}

}  // namespace

uint64_t parse_bytes(std::string_view text, std::string_view what) {
  constexpr std::string_view kExample = "8GiB or 512MB";
  const auto [value, unit] = split_unit(text, what, kExample);
  double factor = 0;
  if (unit.empty() || unit == "b")
    factor = 1;
  else if (unit == "k" || unit == "kib")
    factor = 1024.0;
  else if (unit == "m" || unit == "mib")
    factor = 1024.0 * 1024;
  else if (unit == "g" || unit == "gib")
    factor = 1024.0 * 1024 * 1024;
  else if (unit == "t" || unit == "tib")
    factor = 1024.0 * 1024 * 1024 * 1024;
  else if (unit == "kb")
    factor = 1e3;
  else if (unit == "mb")
    factor = 1e6;
  else if (unit == "gb")
    factor = 1e9;
  else if (unit == "tb")
    factor = 1e12;
  if (factor == 0) {
    throw ConfigError(fmt::format("{}: found the unit \"{}\" in \"{}\"; expected a value such as {}", what,
                                  unit, text, kExample));
  }
  const double bytes = value * factor;
  if (bytes > 9e18) throw ConfigError(fmt::format("{}: \"{}\" is larger than any memory", what, text));
  return static_cast<uint64_t>(bytes);
}

double parse_seconds(std::string_view text, std::string_view what) {
  constexpr std::string_view kExample = "90s, 15m or 2h";
  const auto [value, unit] = split_unit(text, what, kExample);
  if (unit.empty() || unit == "s") return value;
  if (unit == "m" || unit == "min") return value * 60;
  if (unit == "h") return value * 3600;
  throw ConfigError(fmt::format("{}: found the unit \"{}\" in \"{}\"; expected a value such as {}", what,
                                unit, text, kExample));
}

std::string print_bytes(uint64_t bytes) {
  const double b = static_cast<double>(bytes);
  if (b >= 1024.0 * 1024 * 1024) return fmt::format("{:.2f} GiB", b / (1024.0 * 1024 * 1024));
  if (b >= 1024.0 * 1024) return fmt::format("{:.0f} MiB", b / (1024.0 * 1024));
  if (b >= 1024.0) return fmt::format("{:.0f} KiB", b / 1024.0);
  return fmt::format("{} B", bytes);
}

std::string print_seconds(double seconds) {
  if (seconds < 10) return fmt::format("{:.1f} s", seconds);
  const auto whole = static_cast<int64_t>(std::llround(seconds));
  if (whole < 60) return fmt::format("{} s", whole);
  if (whole < 3600) return fmt::format("{} min {:02d} s", whole / 60, whole % 60);
  return fmt::format("{} h {:02d} min", whole / 3600, whole % 3600 / 60);
}

uint64_t available_memory() {
  std::ifstream info("/proc/meminfo");
  std::string key;
  uint64_t available = 0;
  while (info >> key) {
    uint64_t value = 0;
    info >> value;
    if (key == "MemAvailable:") {
      available = value * 1024;
      break;
    }
    info.ignore(std::numeric_limits<std::streamsize>::max(), '\n');
  }
  // A container may be given less than the machine has.
  const uint64_t limit = number_in_file("/sys/fs/cgroup/memory.max");
  const uint64_t used = number_in_file("/sys/fs/cgroup/memory.current");
  if (limit > 0 && limit > used)
    available = available == 0 ? limit - used : std::min(available, limit - used);
  return available;
}

int hardware_threads() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof set, &set) == 0 && CPU_COUNT(&set) > 0) return CPU_COUNT(&set);
  return std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
}

}  // namespace qbench
