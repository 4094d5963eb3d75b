// The microscopes: quantize, tokenize, logits, lab. Small tools with which bugs are reported and ideas tried.
#include <fmt/format.h>
#include <unistd.h>

#include <charconv>
#include <cstdio>
#include <filesystem>

#include "harness/calibration/calibration_set.h"
#include "harness/cli/commands.h"
#include "harness/core/errors.h"
#include "harness/core/files.h"
#include "harness/models/model_source.h"
#include "harness/schedule/worker_call.h"
#include "harness/tokenizers/tokenizer.h"
#include "methods/core/catalogue.h"
#include "methods/core/recipe.h"
#include "methods/core/scheme.h"

namespace qbench::cli {
namespace {

void require_absent(const std::filesystem::path& out) {
  if (std::filesystem::exists(out) &&
      !(std::filesystem::is_directory(out) && std::filesystem::is_empty(out))) {
    throw ConfigError(
        fmt::format("--out {}: exists already. Name a new folder, or remove it first.", out.string()));
  }
}

schedule::CallProgress progress_line() {
  if (::isatty(STDERR_FILENO) != 1) return {};
  return [](const std::string& phase, int64_t position, int64_t total) {
    fmt::print(stderr, "\r\033[K{} {}/{}", phase, position, total);
    if (position >= total) fmt::print(stderr, "\r\033[K");
    std::fflush(stderr);
  };
}

std::string canonical_recipe(const std::string& recipe) {
  return methods::parse_recipe(recipe, methods::method_catalogue()).canonical();
}

std::vector<int32_t> parse_ids(const std::string& text) {
  std::vector<int32_t> ids;
  size_t begin = 0;
  while (begin <= text.size()) {
    const size_t end = std::min(text.find(',', begin), text.size());
    const std::string part = trim(std::string_view(text).substr(begin, end - begin));
    int32_t id = 0;
    const auto [stop, error] = std::from_chars(part.data(), part.data() + part.size(), id);
    if (error != std::errc() || stop != part.data() + part.size() || id < 0) {
      throw ConfigError(fmt::format("--ids: found \"{}\"; expected token ids such as 1,2,3", part));
    }
    ids.push_back(id);
    begin = end + 1;
  }
  return ids;
}

}  // namespace

void add_quantize(CLI::App& app, Action& action) {
  struct Arguments {
    std::string model, recipe, scheme, calibration, out;
    int64_t seed = 0;
    int threads = 0;
  };
  CLI::App* command =
      app.add_subcommand("quantize", "write a Hugging Face folder with the dequantized (simulated) weights");
  auto args = std::make_shared<Arguments>();
  command->add_option("model", args->model)->required()->type_name("MODEL");
  command->add_option("--recipe", args->recipe)->required()->type_name("R");
  command->add_option("--scheme", args->scheme)->required()->type_name("S");
  command->add_option("--calib", args->calibration)->type_name("C");
  command->add_option("--seed", args->seed)->check(CLI::NonNegativeNumber)->type_name("N");
  command->add_option("--out", args->out, "folder to create")->required()->type_name("DIR");
  command->add_option("--threads", args->threads)->check(CLI::Range(1, 4096))->type_name("N");
  command->callback([args, &action] {
    action = [args] {
      require_absent(args->out);
      models::resolve_model(args->model);
      Json request = {{"op", "export"},
                      {"model", args->model},
                      {"recipe", canonical_recipe(args->recipe)},
                      {"scheme", methods::parse_scheme(args->scheme).print()},
                      {"calibration", ""},
                      {"seed", args->seed},
                      {"out", std::filesystem::absolute(args->out).string()}};
      if (!args->calibration.empty())
        request["calibration"] = calibration::check_calibration(args->calibration).print();
      const Json result = schedule::call_worker(request, args->threads, progress_line());
      fmt::print("{}\n", result.at("summary").get<std::string>());
      return kExitOk;
    };
  });
}

void add_tokenize(CLI::App& app, Action& action) {
  struct Arguments {
    std::string model, text, file;
    bool no_special = false, json = false;
  };
  CLI::App* command = app.add_subcommand("tokenize", "token ids of a text, with the model's own tokenizer");
  auto args = std::make_shared<Arguments>();
  command->add_option("model", args->model)->required()->type_name("MODEL");
  auto* text = command->add_option("--text", args->text, "the text itself")->type_name("S");
  auto* file = command->add_option("--file", args->file, "a UTF-8 text file")->type_name("F");
  text->excludes(file);
  command->add_flag("--no-special", args->no_special, "add no BOS or EOS");
  command->add_flag("--json", args->json);
  command->callback([args, text, file, &action] {
    if (text->count() + file->count() == 0) throw CLI::RequiredError("--text or --file");
    action = [args, from_file = file->count() > 0] {
      const auto tokenizer = tokenizers::load_tokenizer(models::resolve_model(args->model));
      const std::string input = from_file ? read_maybe_compressed(args->file) : args->text;
      const auto ids = tokenizer->encode(input, {.add_special = !args->no_special});
      if (args->json) {
        Json pieces = Json::array();
        for (const int32_t id : ids) pieces.push_back(tokenizer->piece(id));
        const Json document = {
            {"schema_version", 1}, {"model", args->model}, {"tokenizer_hash", tokenizer->hash()},
            {"ids", ids},          {"pieces", pieces},     {"count", ids.size()}};
        fmt::print("{}\n", document.dump(-1, ' ', false, Json::error_handler_t::replace));
      } else {
        std::string line;
        for (const int32_t id : ids) line += fmt::format("{}{}", line.empty() ? "" : ",", id);
        fmt::print("{}\n", line);
      }
      return kExitOk;
    };
  });
}

void add_logits(CLI::App& app, Action& action) {
  struct Arguments {
    std::string model, ids, out;
    int threads = 0;
  };
  CLI::App* command = app.add_subcommand("logits", "logits of a token sequence as a safetensors file");
  auto args = std::make_shared<Arguments>();
  command->add_option("model", args->model)->required()->type_name("MODEL");
  command->add_option("--ids", args->ids, "token ids, e.g. 1,2,3")->required()->type_name("IDS");
  command->add_option("--out", args->out, "tensors `ids` [n] and `logits` [n, vocabulary]")
      ->required()
      ->type_name("FILE.safetensors");
  command->add_option("--threads", args->threads)->check(CLI::Range(1, 4096))->type_name("N");
  command->callback([args, &action] {
    action = [args] {
      models::resolve_model(args->model);
      const Json request = {{"op", "logits"},
                            {"model", args->model},
                            {"ids", parse_ids(args->ids)},
                            {"out", std::filesystem::absolute(args->out).string()}};
      const Json result = schedule::call_worker(request, args->threads);
      fmt::print("{}\n", result.at("summary").get<std::string>());
      return kExitOk;
    };
  });
}

void add_lab(CLI::App& app, Action& action) {
  struct Arguments {
    std::string layers, layer, recipe, scheme, out;
    int threads = 0;
    bool json = false;
  };
  CLI::App* command = app.add_subcommand("lab", "one method on one linear, weights and inputs from a file");
  auto args = std::make_shared<Arguments>();
  command->add_option("layers", args->layers, "holds <layer>.W [out,in] and <layer>.X [sequences,tokens,in]")
      ->required()
      ->type_name("LAYERS.safetensors");
  command->add_option("--layer", args->layer)->required()->type_name("NAME");
  command->add_option("--recipe", args->recipe)->required()->type_name("R");
  command->add_option("--scheme", args->scheme)->required()->type_name("S");
  command->add_option("--out", args->out, "codes, scales, zeros, dequantized weights")
      ->required()
      ->type_name("FILE.safetensors");
  command->add_option("--threads", args->threads)->check(CLI::Range(1, 4096))->type_name("N");
  command->add_flag("--json", args->json);
  command->callback([args, &action] {
    action = [args] {
      const Json request = {{"op", "lab"},
                            {"layers", std::filesystem::absolute(args->layers).string()},
                            {"layer", args->layer},
                            {"recipe", canonical_recipe(args->recipe)},
                            {"scheme", methods::parse_scheme(args->scheme).print()},
                            {"out", std::filesystem::absolute(args->out).string()}};
      Json result = schedule::call_worker(request, args->threads);
      if (args->json) {
        result["schema_version"] = 1;
        fmt::print("{}\n", result.dump(1));
      } else {
        for (const auto& [key, value] : result.items())
          fmt::print("{:<24} {}\n", key, value.is_string() ? value.get<std::string>() : value.dump());
      }
      return kExitOk;
    };
  });
}

}  // namespace qbench::cli
