#include "harness/schedule/worker_call.h"

#include <fmt/format.h>
#include <poll.h>
#include <signal.h>

#include <array>

#include "harness/core/errors.h"
#include "harness/core/quantity.h"
#include "harness/schedule/worker_process.h"

namespace qbench::schedule {

Json call_worker(const Json& request, int threads, const CallProgress& progress) {
  ::signal(SIGPIPE, SIG_IGN);
  WorkerProcess worker(worker_executable(), threads > 0 ? threads : hardware_threads());
  worker.send(request);
  while (!worker.ended()) {
    std::array<pollfd, 2> fds = {pollfd{worker.reply_fd(), POLLIN, 0}, pollfd{worker.log_fd(), POLLIN, 0}};
    ::poll(fds.data(), fds.size(), 500);
    worker.read_log();
    for (const Json& reply : worker.replies()) {
      const std::string event = reply.at("event");
      if (event == "progress" && progress)
        progress(reply.at("phase"), reply.at("position"), reply.at("total"));
      if (event == "failed") throw_error(reply.at("kind").get<std::string>(), reply.at("message"));
      if (event == "result") {
        worker.send({{"op", "exit"}});
        worker.wait();
        return reply.at("result");
      }
    }
  }
  worker.read_log();
  throw InternalError(fmt::format("the worker was {} before it answered. Its last lines:\n{}",
                                  worker.wait().describe(), worker.log_tail()));
}

}  // namespace qbench::schedule
