// How numbers and canonical names are shown: fixed formats, short names that stay distinct.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace qbench::reports {

/// Calls without what they all have in common: {"en_wiki(samples=64,seed=0)", "code(samples=64,seed=0)"} ->
/// {"en_wiki", "code"}. What names the data (name, file, text) stays; of a path only the file name. Equal
/// results fall back to the full text.
std::vector<std::string> short_names(const std::vector<std::string>& canonical);

/// The same for tasks, which are known by their data: {"bigbench(name=sports,limit=9)"} -> {"sports"}.
std::vector<std::string> short_task_names(const std::vector<std::string>& canonical);

/// Of a path only the last part, unless two would become equal.
std::vector<std::string> short_model_names(const std::vector<std::string>& models);

/// Accuracies and other shares are shown in percent.
bool is_share(const std::string& metric);
std::string metric_title(const std::string& metric);                ///< "ppl", "acc %"
std::string format_score(const std::string& metric, double value);  ///< "12.345", "54.17" (percent)
std::string format_delta(const std::string& metric, double delta);  ///< "+0.678", "-1.04" (points)
std::string format_p(double p);                                     ///< "0.031", "<1e-4"
std::string stars(std::optional<double> p);  ///< "***" below 0.001, "**" 0.01, "*" 0.05
std::string format_bits(double bits);        ///< "4.25"
std::string format_seconds(double seconds);  ///< "0.42 s", "12.3 s", "3 min 05 s", "2 h 14 min"
std::string format_bytes(int64_t bytes);     ///< "812 B", "70.3 MiB"
std::string format_number(double value,
                          int digits);  ///< significant digits, no exponent between 1e-4 and 1e6

}  // namespace qbench::reports
