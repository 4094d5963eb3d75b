// qbench-worker: the muscle. Reads one JSON request per line, runs it, answers in JSON lines on file
// descriptor 3. Whatever libraries print goes to the log pipe, never between the answers.
#include <ATen/Parallel.h>
#include <c10/core/InferenceMode.h>
#include <fcntl.h>
#include <malloc.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <iostream>
#include <memory>
#include <string>

#include "harness/core/errors.h"
#include "harness/core/lanes.h"
#include "harness/worker/session.h"

namespace {

using namespace qbench;

constexpr int kReplyFd = 3;

void reply(const Json& message) {
  // Texts from data files may hold broken UTF-8; replace it rather than lose the answer.
  const std::string line = message.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
  size_t sent = 0;
  while (sent < line.size()) {
    const ssize_t n = ::write(kReplyFd, line.data() + sent, line.size() - sent);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) std::_Exit(1);  // the conductor is gone: nobody is left to tell
    sent += static_cast<size_t>(n);
  }
}

/// Every lane thread computes with one intra-op thread and without autograd bookkeeping.
void prepare_thread() {
  at::set_num_threads(1);
  static thread_local std::unique_ptr<c10::InferenceMode> mode;
  mode = std::make_unique<c10::InferenceMode>();
}

int lanes_argument(int argc, char** argv) {
  if (argc == 3 && std::strcmp(argv[1], "--threads") == 0) return std::atoi(argv[2]);
  return 0;
}

void serve(worker::Session& session) {
  for (std::string line; std::getline(std::cin, line);) {
    const Json request = Json::parse(line, nullptr, false);
    if (request.is_discarded() || request.value("op", "") == "exit") return;
    try {
      reply(session.handle(request));
    } catch (const Error& error) {
      reply({{"event", "failed"}, {"kind", error.kind()}, {"message", error.what()}});
      session.forget();
    } catch (const std::bad_alloc&) {
      reply(
          {{"event", "failed"}, {"kind", "memory"}, {"message", "out of memory: an allocation was refused"}});
      session.forget();
    } catch (const std::exception& error) {
      reply({{"event", "failed"}, {"kind", "internal"}, {"message", error.what()}});
      session.forget();
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  const int lanes = lanes_argument(argc, argv);
  if (lanes < 1 || ::fcntl(kReplyFd, F_GETFD) < 0) {
    std::cerr << "qbench-worker is started by qbench; run `qbench --help`.\n";
    return kExitConfig;
  }
  // Tensors come and go by the megabyte: keep their pages instead of returning them to the system every time.
  ::mallopt(M_MMAP_THRESHOLD, 1 << 30);
  ::mallopt(M_TRIM_THRESHOLD, 512 << 20);
  prepare_thread();
  Lanes::set_thread_initializer(prepare_thread);
  worker::Session session(lanes, [](const Json& message) { reply(message); });
  serve(session);
  // Tearing down the libraries takes longer than the system needs to reclaim them.
  std::cout.flush();
  std::_Exit(0);
}
