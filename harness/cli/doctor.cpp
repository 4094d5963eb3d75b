// qbench doctor: is this installation able to run, and (with a model) what is in that folder or file?
#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>

#include "harness/calibration/calibration_set.h"
#include "harness/cli/commands.h"
#include "harness/core/errors.h"
#include "harness/core/files.h"
#include "harness/core/quantity.h"
#include "harness/models/checkpoint.h"
#include "harness/schedule/environment.h"
#include "harness/schedule/worker_call.h"
#include "harness/schedule/worker_process.h"
#include "harness/tokenizers/tokenizer.h"
#include "tasks/core/task.h"

namespace qbench::cli {
namespace {

/// Runs one check, prints its line, counts failures.
class Checklist {
 public:
  template <class Check>
  void operator()(const std::string& what, Check check) {
    try {
      const std::string found = check();
      fmt::print("ok    {:<14} {}\n", what, found);
    } catch (const std::exception& error) {
      fmt::print("FAIL  {:<14} {}\n", what, error.what());
      ++failures_;
    }
  }
  int failures() const { return failures_; }

 private:
  int failures_ = 0;
};

std::string describe_checkpoint(const models::Checkpoint& checkpoint) {
  const models::Architecture& a = checkpoint.architecture();
  std::string facts;
  const Json known = checkpoint.facts();
  for (const auto& [key, value] : known.items()) {
    facts +=
        fmt::format("\n        {}: {}", key, value.is_string() ? value.get<std::string>() : value.dump());
  }
  return fmt::format(
      "{}: {} layers, hidden {}, {} heads ({} for keys and values), vocabulary {}, {} tensors{}", a.family,
      a.layers, a.hidden_size, a.heads, a.kv_heads, a.vocab_size, checkpoint.tensors().size(), facts);
}

std::string writable_home() {
  const auto home = qbench_home();
  std::filesystem::create_directories(home);
  if (::access(home.c_str(), W_OK) != 0)
    throw DataError(fmt::format("{} is not writable; set QBENCH_HOME to a folder that is", home.string()));
  std::string names;
  std::error_code none;
  for (const auto& entry : std::filesystem::directory_iterator(home / "models", none))
    names += " " + entry.path().filename().string();
  return fmt::format("{}, {} free; models:{}", home.string(),
                     print_bytes(std::filesystem::space(home).available), names.empty() ? " none" : names);
}

int doctor(const std::string& model) {
  Checklist check;
  if (model.empty()) {
    const Json machine = schedule::environment();
    fmt::print("{}\n{}, {} processors, {} free\n\n", schedule::version_text(),
               machine.at("cpu").get<std::string>(), machine.at("processors").get<int>(),
               print_bytes(available_memory()));
    check("worker", [] {
      const Json engine = schedule::call_worker({{"op", "engine"}}, 1);
      return fmt::format("{} ({})", schedule::worker_executable().string(), engine.dump());
    });
    check("data", [] {
      return fmt::format("{}: {} tasks, {} calibration sources", share_dir().string(),
                         tasks::task_names().size(), calibration::calibration_sources().size());
    });
    check("home", writable_home);
  } else {
    const models::ModelSource source = models::resolve_model(model);
    fmt::print("{}\n\n", source.path.string());
    check("checkpoint", [&] { return describe_checkpoint(*models::Checkpoint::open(source)); });
    check("tokenizer", [&] {
      const auto tokenizer = tokenizers::load_tokenizer(source);
      return fmt::format("{} tokens, {} BOS by default", tokenizer->vocab_size(),
                         tokenizer->adds_bos() ? "adds" : "adds no");
    });
  }
  return check.failures() == 0 ? kExitOk : kExitData;
}

}  // namespace

void add_doctor(CLI::App& app, Action& action) {
  CLI::App* command =
      app.add_subcommand("doctor", "check the installation, or say what a model folder holds");
  auto model = std::make_shared<std::string>();
  command->add_option("model", *model, "a model to look at")->type_name("MODEL");
  command->callback([model, &action] { action = [model] { return doctor(*model); }; });
}

}  // namespace qbench::cli
