// Every bad input gets one located message and the right exit code, and leaves nothing half-written behind.
#include <gmock/gmock.h>
#include <sys/stat.h>

#include "tests/support/fixtures.h"
#include "tests/support/process.h"

namespace qbench {
namespace {

using ::testing::HasSubstr;
using testing_support::run_process;
using testing_support::slurp;
using testing_support::source_dir;
using testing_support::spill;
using testing_support::TemporaryFolder;

std::string tiny() { return (source_dir() / "tests/golden/eval/tiny_llama").string(); }

struct BadCase {
  std::string name;
  std::vector<std::string> words;  ///< TINY stands for the tiny model's folder
  int exit_code;
  std::vector<std::string> says;
};

class Errors : public ::testing::Test {
 protected:
  void expect(const BadCase& bad) const {
    std::vector<std::string> words = {QBENCH_PROGRAM};
    for (const std::string& word : bad.words) words.push_back(word == "TINY" ? tiny() : word);
    const auto result = run_process(words, folder_.path(), {{"QBENCH_HOME", (folder_ / "home").string()}});
    EXPECT_EQ(result.exit_code, bad.exit_code) << bad.name << "\n" << result.out << result.err;
    for (const std::string& text : bad.says) EXPECT_THAT(result.err, HasSubstr(text)) << bad.name;
    EXPECT_EQ(std::count(result.err.begin(), result.err.end(), '\n') >= 1, true) << bad.name;
  }

  /// Runs `plan` on a suite made of `yaml` with MODEL replaced.
  void expect_suite(const std::string& name, std::string yaml, int code,
                    std::vector<std::string> says) const {
    for (size_t at; (at = yaml.find("MODEL")) != std::string::npos;) yaml.replace(at, 5, tiny());
    spill(folder_ / "s.yaml", yaml);
    expect({name, {"plan", "s.yaml", "--store", "none.db"}, code, std::move(says)});
    EXPECT_FALSE(std::filesystem::exists(folder_ / "none.db")) << name;
  }

  void copy_tiny(const std::string& to) const { std::filesystem::copy(tiny(), folder_ / to); }

  TemporaryFolder folder_;
};

TEST_F(Errors, CommandLine) {
  const std::vector<BadCase> cases = {
      {"no command", {}, 2, {"qbench --help"}},
      {"unknown command", {"evla"}, 2, {"unknown command \"evla\"", "\"eval\""}},
      {"unknown flag", {"run", "a.yaml", "--theads", "2"}, 2, {"--threads"}},
      {"flag without value", {"run", "a.yaml", "--store"}, 2, {"--store"}},
      {"jobs not a number", {"run", "a.yaml", "--jobs", "many"}, 2, {"--jobs"}},
      {"jobs out of range", {"run", "a.yaml", "--jobs", "0"}, 2, {"--jobs"}},
      {"missing suite argument", {"run"}, 2, {"suites"}},
      {"missing suite file", {"run", "none.yaml"}, 3, {"none.yaml"}},
      {"suite is a folder", {"run", "."}, 3, {"folder"}},
      {"eval without task", {"eval", "TINY"}, 2, {"--task"}},
      {"unknown model",
       {"eval", "no-such-model", "--task", "perplexity(text=en_wiki)"},
       3,
       {"no-such-model"}},
      {"hub id not in the cache", {"doctor", "hf:org/absent"}, 3, {"org/absent"}},
      {"unknown task", {"eval", "TINY", "--task", "perplexty"}, 2, {"perplexty", "perplexity"}},
      {"unknown task parameter",
       {"eval", "TINY", "--task", "perplexity(text=en_wiki,windw=64)"},
       2,
       {"windw", "window"}},
      {"task parameter of the wrong type",
       {"eval", "TINY", "--task", "perplexity(text=en_wiki,window=big)"},
       2,
       {"big"}},
      {"task syntax", {"eval", "TINY", "--task", "perplexity(text"}, 2, {"column"}},
      {"unknown protocol", {"eval", "TINY", "--task", "perplexity(text=en_wiki,protocol=gtpq)"}, 2, {"gptq"}},
      {"text file absent", {"eval", "TINY", "--task", "perplexity(text=absent.txt)"}, 3, {"absent.txt"}},
      {"window above the model's length",
       {"eval", "TINY", "--task", "perplexity(text=en_wiki,window=1000000)"},
       2,
       {"1000000"}},
      {"unknown BIG-bench task",
       {"eval", "TINY", "--task", "bigbench(name=riddle_sens)"},
       2,
       {"riddle_sense"}},
      {"recipe without scheme",
       {"eval", "TINY", "--task", "perplexity(text=en_wiki)", "--recipe", "rtn"},
       2,
       {"--scheme"}},
      {"scheme without recipe",
       {"eval", "TINY", "--task", "perplexity(text=en_wiki)", "--scheme", "w4a16"},
       2,
       {"--recipe"}},
      {"unknown method",
       {"eval", "TINY", "--task", "perplexity(text=en_wiki)", "--recipe", "gtpq", "--scheme", "w4a16"},
       2,
       {"gtpq", "gptq"}},
      {"unknown method parameter",
       {"eval", "TINY", "--task", "perplexity(text=en_wiki)", "--recipe", "gptq(dmap=1)", "--scheme",
        "w4a16"},
       2,
       {"damp"}},
      {"parameter out of range",
       {"eval", "TINY", "--task", "perplexity(text=en_wiki)", "--recipe", "gptq(damp=-1)", "--scheme",
        "w4a16"},
       2,
       {"damp"}},
      {"bad scheme",
       {"eval", "TINY", "--task", "perplexity(text=en_wiki)", "--recipe", "rtn", "--scheme", "w99"},
       2,
       {"w99"}},
      {"scheme with rubbish",
       {"eval", "TINY", "--task", "perplexity(text=en_wiki)", "--recipe", "rtn", "--scheme", "four"},
       2,
       {"four"}},
      {"missing calibration",
       {"eval", "TINY", "--task", "perplexity(text=en_wiki)", "--recipe", "gptq", "--scheme", "w4a16"},
       2,
       {"calibration"}},
      {"group does not divide",
       {"eval", "TINY", "--task", "perplexity(text=en_wiki)", "--recipe", "rtn", "--scheme", "w4a16g48"},
       2,
       {"48", "64"}},
      {"unknown calibration source",
       {"eval", "TINY", "--task", "perplexity(text=en_wiki)", "--recipe", "gptq", "--scheme", "w4a16",
        "--calib", "en_wki"},
       2,
       {"en_wiki"}},
      {"bad calibration parameter",
       {"eval", "TINY", "--task", "perplexity(text=en_wiki)", "--recipe", "gptq", "--scheme", "w4a16",
        "--calib", "en_wiki(sample=4)"},
       2,
       {"samples"}},
      {"tokenize without input", {"tokenize", "TINY"}, 2, {"--text"}},
      {"tokenize a missing file", {"tokenize", "TINY", "--file", "none.txt"}, 3, {"none.txt"}},
      {"ids not numbers", {"logits", "TINY", "--ids", "1,x", "--out", "l.safetensors"}, 2, {"\"x\""}},
      {"ids beyond the vocabulary",
       {"logits", "TINY", "--ids", "1,512", "--out", "l.safetensors"},
       2,
       {"512"}},
      {"logits into a missing folder",
       {"logits", "TINY", "--ids", "1", "--out", "no/such/l.safetensors"},
       3,
       {"no/such"}},
      {"lab without the file",
       {"lab", "none.safetensors", "--layer", "x", "--recipe", "rtn", "--scheme", "w4a16", "--out", "o"},
       3,
       {"none.safetensors"}},
      {"unknown topic", {"describe", "metods"}, 2, {"methods"}},
      {"unknown entry", {"describe", "methods", "gtpq"}, 2, {"gptq"}},
      {"report of nothing", {"report", "none.db"}, 4, {"none.db"}},
      {"diff of nothing", {"diff", "none.db", "none.db"}, 4, {"none.db"}},
      {"unknown format", {"report", "none.db", "--format", "pdf"}, 2, {"pdf"}},
      {"bad memory", {"run", "s.yaml", "--memory", "8 parsecs"}, 2, {"parsecs"}},
      {"unknown data set", {"data", "add", "bigbnch", "x"}, 2, {"bigbench"}},
      {"data folder absent", {"data", "add", "bigbench", "none"}, 3, {"none"}},
  };
  spill(folder_ / "s.yaml", "suite: s\nmodels: [" + tiny() +
                                "]\nmethods: [fp]\ntasks: [\"perplexity(text=en_wiki,window=64)\"]\n");
  for (const BadCase& bad : cases) expect(bad);
}

TEST_F(Errors, Suites) {
  const std::string head = "suite: s\nmodels: [MODEL]\n";
  const std::string tail =
      "methods: [rtn]\nschemes: [w4a16g32]\ntasks: [\"perplexity(text=en_wiki,window=64)\"]\n";
  expect_suite("not YAML", "suite: [", 2, {"s.yaml:1:"});
  expect_suite("empty file", "", 2, {"expected a mapping"});
  expect_suite("a list", "- a\n", 2, {"expected a mapping"});
  expect_suite("unknown key", head + tail + "metods: []\n", 2, {"s.yaml:6:1", "metods", "\"methods\""});
  expect_suite("repeated key", head + tail + "methods: [gptq]\n", 2, {"given twice"});
  expect_suite("missing models", "suite: s\n" + tail, 2, {"\"models\" is missing"});
  expect_suite("models a mapping", "suite: s\nmodels: {a: b}\n" + tail, 2, {"s.yaml:2:", "expected a list"});
  expect_suite("unknown method",
               head + "methods: [rtn, gtpq]\nschemes: [w4a16g32]\ntasks: [\"perplexity(text=en_wiki)\"]\n", 2,
               {"s.yaml:3:16", "\"gptq\""});
  expect_suite("bad scheme",
               head + "methods: [rtn]\nschemes: [w4a16q3]\ntasks: [\"perplexity(text=en_wiki)\"]\n", 2,
               {"s.yaml:4:11", "w4a16q3"});
  expect_suite("listed twice",
               head + "methods: [rtn, rtn]\nschemes: [w4a16g32]\ntasks: [\"perplexity(text=en_wiki)\"]\n", 2,
               {"listed twice"});
  expect_suite("seed not a number", head + tail + "seeds: [a]\n", 2, {"seeds", "integer"});
  expect_suite("negative seed", head + tail + "seeds: [-1]\n", 2, {"seeds"});
  expect_suite("unknown limit", head + tail + "limits: {memry: 1GiB}\n", 2, {"memry", "memory"});
  expect_suite("bad limit", head + tail + "limits: {memory: lots}\n", 2, {"limits.memory", "8GiB"});
  expect_suite("all problems at once", head + "methods: [gtpq]\nschemes: [w99]\ntasks: [perplexty]\n", 2,
               {"gtpq", "w99", "perplexty"});
  expect_suite("absent model", "suite: s\nmodels: [no-such-model]\n" + tail, 3, {"no-such-model"});
  expect_suite("empty list",
               head + "methods: []\nschemes: [w4a16g32]\ntasks: [\"perplexity(text=en_wiki)\"]\n", 2,
               {"empty"});
  spill(folder_ / "s.yaml", "suite: s\nmodels: [" + tiny() +
                                "]\nmethods: [fp]\ntasks: [\"perplexity(text=en_wiki,window=64)\"]\n");
  expect({"override without value", {"plan", "s.yaml", "--set", "seeds"}, 2, {"key=value"}});
  expect({"override below a value", {"plan", "s.yaml", "--set", "suite.name=x"}, 2, {"plain value"}});
  expect({"override of an unknown key", {"plan", "s.yaml", "--set", "sedes=[1]"}, 2, {"sedes"}});
  expect({"nothing selected", {"plan", "s.yaml", "--only", "zzz"}, 2, {"no cell matches"}});
}

TEST_F(Errors, IllegalCombinationsAreCellsWithAReasonAndTheOthersRun) {
  spill(folder_ / "s.yaml", "suite: s\nmodels: [" + tiny() +
                                "]\nmethods: [rtn]\nschemes: [w4a16g32, w4a16g48]\n"
                                "tasks: [\"perplexity(text=en_wiki,window=64,windows=2)\"]\n");
  const auto result = run_process({QBENCH_PROGRAM, "run", "s.yaml", "--store", "s.db"}, folder_.path(),
                                  {{"QBENCH_HOME", (folder_ / "home").string()}});
  EXPECT_EQ(result.exit_code, 0) << result.out << result.err;
  EXPECT_THAT(result.out, HasSubstr("1 not legal"));
}

TEST_F(Errors, ModelFiles) {
  const std::vector<std::string> eval_tail = {"--task", "perplexity(text=en_wiki,window=64,windows=2)"};
  const auto broken = [&](const std::string& name,
                          const std::function<void(const std::filesystem::path&)>& harm,
                          std::vector<std::string> says) {
    copy_tiny(name);
    std::filesystem::permissions(folder_ / name, std::filesystem::perms::owner_all,
                                 std::filesystem::perm_options::add);
    for (const auto& entry : std::filesystem::directory_iterator(folder_ / name)) {
      std::filesystem::permissions(entry.path(), std::filesystem::perms::owner_write,
                                   std::filesystem::perm_options::add);
    }
    harm(folder_ / name);
    std::vector<std::string> words = {"eval", (folder_ / name).string()};
    words.insert(words.end(), eval_tail.begin(), eval_tail.end());
    expect({name, words, 3, std::move(says)});
  };
  const auto truncate = [](const char* file, size_t size) {
    return [=](const std::filesystem::path& model) { std::filesystem::resize_file(model / file, size); };
  };
  const auto replace = [](const char* file, const char* from, const char* to) {
    return [=](const std::filesystem::path& model) {
      std::string text = slurp(model / file);
      const size_t at = text.find(from);
      ASSERT_NE(at, std::string::npos) << from;
      spill(model / file, text.replace(at, std::string(from).size(), to));
    };
  };
  broken("weights-truncated", truncate("model.safetensors", 5000), {"model.safetensors"});
  broken("weights-empty", truncate("model.safetensors", 0), {"model.safetensors"});
  broken("weights-absent", [](const auto& model) { std::filesystem::remove(model / "model.safetensors"); },
         {"safetensors"});
  broken("header-length-huge",
         [](const auto& model) { spill(model / "model.safetensors", "\xff\xff\xff\xff\xff\xff\xff\x7f{}"); },
         {"model.safetensors"});
  broken("config-absent", [](const auto& model) { std::filesystem::remove(model / "config.json"); },
         {"config.json"});
  broken("config-not-json", truncate("config.json", 20), {"config.json"});
  broken("config-other-family", replace("config.json", "\"llama\"", "\"lama\""), {"lama", "llama"});
  broken("config-wrong-vocabulary", replace("config.json", "\"vocab_size\": 512", "\"vocab_size\": 600"),
         {"600", "512"});
  broken("config-wrong-layers",
         replace("config.json", "\"num_hidden_layers\": 2", "\"num_hidden_layers\": 3"), {"layers.2"});
  broken("tokenizer-absent", [](const auto& model) { std::filesystem::remove(model / "tokenizer.json"); },
         {"tokenizer"});
  broken("tokenizer-truncated", truncate("tokenizer.json", 1000), {"tokenizer.json"});
  spill(folder_ / "not.gguf", "GGUG....................");
  expect({"wrong magic",
          {"eval", (folder_ / "not.gguf").string(), "--task", "perplexity(text=en_wiki,window=64)"},
          3,
          {"not.gguf"}});
  spill(folder_ / "text.txt", "");
  expect({"empty text", {"eval", "TINY", "--task", "perplexity(text=text.txt,window=64)"}, 3, {"text.txt"}});
  spill(folder_ / "short.txt", "a few words");
  expect({"text shorter than a window",
          {"eval", "TINY", "--task", "perplexity(text=short.txt,window=64)"},
          3,
          {"64"}});
  expect({"calibration text too short",
          {"eval", "TINY", "--task", "perplexity(text=en_wiki,window=64,windows=1)", "--recipe", "gptq",
           "--scheme", "w4a16g32", "--calib", "text(file=short.txt,samples=4,length=64)"},
          3,
          {"short.txt"}});
}

TEST_F(Errors, Stores) {
  spill(folder_ / "s.yaml",
        "suite: s\nmodels: [" + tiny() +
            "]\nmethods: [fp]\ntasks: [\"perplexity(text=en_wiki,window=64,windows=1)\"]\n");
  spill(folder_ / "text.db",
        "this is not a database, only text that is long enough to be read as a header of one");
  expect({"not a database", {"run", "s.yaml", "--store", "text.db"}, 4, {"text.db"}});
  expect({"store below a file", {"run", "s.yaml", "--store", "s.yaml/a.db"}, 4, {"s.yaml/a.db"}});
  expect({"store is a folder", {"run", "s.yaml", "--store", "."}, 4, {}});
  EXPECT_EQ(slurp(folder_ / "text.db").substr(0, 7), "this is") << "the user's file was touched";
}

}  // namespace
}  // namespace qbench
