#include "harness/schedule/worker_process.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fstream>

#include "harness/core/errors.h"

namespace qbench::schedule {
namespace {

constexpr size_t kLogLines = 20;
constexpr int kReplyFd = 3;  // the worker's end of the reply pipe

struct Pipe {
  int read = -1, write = -1;
};

Pipe make_pipe() {
  std::array<int, 2> fds{};
  if (::pipe2(fds.data(), O_CLOEXEC) != 0)
    throw DataError(fmt::format("cannot create a pipe: {}", std::strerror(errno)));
  return {fds[0], fds[1]};
}

/// Reads what is there; returns false at end of file.
bool drain(int fd, std::string& buffer) {
  std::array<char, 65536> chunk{};
  while (true) {
    const ssize_t n = ::read(fd, chunk.data(), chunk.size());
    if (n > 0) {
      buffer.append(chunk.data(), static_cast<size_t>(n));
    } else if (n == 0) {
      return false;
    } else if (errno != EINTR) {
      return errno == EAGAIN || errno == EWOULDBLOCK;
    }
  }
}

}  // namespace

std::string WorkerExit::signal_name() const {
  if (!by_signal) return "";
  const char* name = ::sigabbrev_np(code);
  return name == nullptr ? fmt::format("signal {}", code) : fmt::format("SIG{}", name);
}

std::string WorkerExit::describe() const {
  return by_signal ? fmt::format("killed by {}", signal_name()) : fmt::format("exited with code {}", code);
}

WorkerProcess::WorkerProcess(const std::filesystem::path& executable, int threads) {
  const Pipe request = make_pipe(), reply = make_pipe(), log = make_pipe();
  const std::string lanes = std::to_string(threads);
  const pid_t parent = ::getpid();
  pid_ = ::fork();
  if (pid_ < 0) throw DataError(fmt::format("cannot start a worker: {}", std::strerror(errno)));
  if (pid_ == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != parent) ::_exit(1);
    ::setpgid(0, 0);  // Ctrl-C reaches the conductor only, which then stops its workers in order
    ::dup2(request.read, STDIN_FILENO);
    ::dup2(log.write, STDOUT_FILENO);
    ::dup2(log.write, STDERR_FILENO);
    // dup2 onto itself would keep close-on-exec, so move the pipe away from the target first.
    const int high = ::fcntl(reply.write, F_DUPFD, 10);
    ::dup2(high, kReplyFd);
    ::close(high);
    ::execl(executable.c_str(), executable.c_str(), "--threads", lanes.c_str(), static_cast<char*>(nullptr));
    ::_exit(127);
  }
  ::close(request.read);
  ::close(reply.write);
  ::close(log.write);
  request_fd_ = request.write;
  reply_fd_ = reply.read;
  log_fd_ = log.read;
  ::fcntl(reply_fd_, F_SETFL, O_NONBLOCK);
  ::fcntl(log_fd_, F_SETFL, O_NONBLOCK);
}

WorkerProcess::~WorkerProcess() {
  if (!reaped_) {
    signal(SIGKILL);
    wait();
  }
  ::close(request_fd_);
  ::close(reply_fd_);
  ::close(log_fd_);
}

bool WorkerProcess::send(const Json& request) {
  const std::string line = request.dump() + "\n";
  size_t sent = 0;
  while (sent < line.size()) {
    const ssize_t n = ::write(request_fd_, line.data() + sent, line.size() - sent);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return false;
    sent += static_cast<size_t>(n);
  }
  return true;
}

std::vector<Json> WorkerProcess::replies() {
  if (!drain(reply_fd_, reply_buffer_)) ended_ = true;
  std::vector<Json> messages;
  size_t begin = 0;
  for (size_t end; (end = reply_buffer_.find('\n', begin)) != std::string::npos; begin = end + 1) {
    Json message = Json::parse(reply_buffer_.begin() + static_cast<std::ptrdiff_t>(begin),
                               reply_buffer_.begin() + static_cast<std::ptrdiff_t>(end), nullptr, false);
    QB_CHECK(!message.is_discarded(), "a worker sent a line that is not JSON");
    messages.push_back(std::move(message));
  }
  reply_buffer_.erase(0, begin);
  return messages;
}

void WorkerProcess::read_log() {
  drain(log_fd_, log_buffer_);
  size_t begin = 0;
  for (size_t end; (end = log_buffer_.find('\n', begin)) != std::string::npos; begin = end + 1) {
    log_lines_.push_back(log_buffer_.substr(begin, end - begin));
    if (log_lines_.size() > kLogLines) log_lines_.pop_front();
  }
  log_buffer_.erase(0, begin);
}

std::string WorkerProcess::log_tail() const {
  std::string text;
  for (const std::string& line : log_lines_) text += line + "\n";
  return text + log_buffer_;
}

uint64_t WorkerProcess::resident_bytes() const {
  std::ifstream statm(fmt::format("/proc/{}/statm", pid_));
  uint64_t total = 0, resident = 0;
  return statm >> total >> resident ? resident * static_cast<uint64_t>(::sysconf(_SC_PAGESIZE)) : 0;
}

void WorkerProcess::signal(int number) const {
  if (!reaped_ && pid_ > 0) ::kill(pid_, number);
}

WorkerExit WorkerProcess::wait() {
  if (reaped_) return exit_;
  int status = 0;
  while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
  }
  reaped_ = true;
  exit_.by_signal = WIFSIGNALED(status);
  exit_.code = exit_.by_signal ? WTERMSIG(status) : WEXITSTATUS(status);
  return exit_;
}

std::filesystem::path worker_executable() {
  std::filesystem::path path;
  if (const char* named = std::getenv("QBENCH_WORKER"); named != nullptr && *named != '\0') {
    path = named;
  } else {
    path = std::filesystem::read_symlink("/proc/self/exe").parent_path() / "qbench-worker";
  }
  if (::access(path.c_str(), X_OK) != 0) {
    throw DataError(fmt::format(
        "{}: the worker program is not there or not executable. Build it (target qbench-worker) or "
        "name it in QBENCH_WORKER.",
        path.string()));
  }
  return path;
}

}  // namespace qbench::schedule
