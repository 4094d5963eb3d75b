// One worker as the conductor sees it: a child process, a pipe for requests, a pipe for JSON-line replies, a
// pipe with its log.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <deque>
#include <filesystem>
#include <string>
#include <vector>

#include "harness/core/fields.h"

namespace qbench::schedule {

/// How a worker ended.
struct WorkerExit {
  bool by_signal = false;
  int code = 0;                     ///< exit code or signal number
  std::string signal_name() const;  ///< "SIGKILL", or ""
  std::string describe() const;     ///< "killed by SIGKILL", "exited with code 70"
};

class WorkerProcess {
 public:
  /// Starts `executable` with `threads` lanes. The child dies with the conductor. @throws DataError if it
  /// cannot be started.
  WorkerProcess(const std::filesystem::path& executable, int threads);
  ~WorkerProcess();
  WorkerProcess(const WorkerProcess&) = delete;
  WorkerProcess& operator=(const WorkerProcess&) = delete;

  pid_t pid() const { return pid_; }
  int reply_fd() const { return reply_fd_; }
  int log_fd() const { return log_fd_; }

  /// @return false if the worker is gone.
  bool send(const Json& request);
  /// Complete replies that have arrived (never blocks). Sets ended() at end of file.
  std::vector<Json> replies();
  void read_log();
  bool ended() const { return ended_; }
  std::string log_tail() const;  ///< the last lines it wrote to stdout or stderr
  uint64_t resident_bytes() const;

  void signal(int number) const;
  /// Waits for the end of the process.
  WorkerExit wait();

 private:
  pid_t pid_ = -1;
  int request_fd_ = -1, reply_fd_ = -1, log_fd_ = -1;
  std::string reply_buffer_, log_buffer_;
  std::deque<std::string> log_lines_;
  bool ended_ = false, reaped_ = false;
  WorkerExit exit_;
};

/// qbench-worker beside the running program, or QBENCH_WORKER. @throws DataError if it is not there.
std::filesystem::path worker_executable();

}  // namespace qbench::schedule
