// libFuzzer entry: the input as a tokenizer.json and as a GGUF file.
#include <unistd.h>

#include <fstream>

#include "tests/fuzz/tokenizers/use_everything.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  namespace fs = std::filesystem;
  static const fs::path folder = [] {
    const fs::path path = fs::temp_directory_path() / ("qbench-fuzz-tokenizer-" + std::to_string(::getpid()));
    fs::create_directories(path);
    return path;
  }();
  for (const char* name : {"tokenizer.json", "x.gguf"}) {
    std::ofstream(folder / name, std::ios::binary | std::ios::trunc)
        .write(reinterpret_cast<const char*>(data), static_cast<std::streamsize>(size));
  }
  (void)qbench::tokenizers::load_and_use({.name = "x", .path = folder});
  (void)qbench::tokenizers::load_and_use(
      {.name = "x", .kind = qbench::models::SourceKind::kGguf, .path = folder / "x.gguf"});
  return 0;
}
