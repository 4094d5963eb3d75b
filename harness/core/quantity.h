// Sizes and durations as users write and read them: "8GiB", "90s", "1h 05m".
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace qbench {

/// "8GiB", "512MB", "1.5g", plain bytes. @throws ConfigError naming `what`.
uint64_t parse_bytes(std::string_view text, std::string_view what);
/// "90", "90s", "15m", "2h" -> seconds. @throws ConfigError naming `what`.
double parse_seconds(std::string_view text, std::string_view what);
std::string print_bytes(uint64_t bytes);    ///< "1.08 GiB"
std::string print_seconds(double seconds);  ///< "0.8 s", "42 s", "3 min 05 s", "2 h 10 min"
/// Memory that this machine can give to new processes right now (MemAvailable), in bytes; honours a cgroup
/// limit.
uint64_t available_memory();
int hardware_threads();  ///< processors this process may run on

}  // namespace qbench
