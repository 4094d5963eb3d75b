// libFuzzer entry: the input as a .safetensors and as a .gguf file.
#include <unistd.h>

#include <fstream>

#include "tests/fuzz/models/read_everything.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace qbench::models;
  static const std::filesystem::path path =
      std::filesystem::temp_directory_path() / ("qbench-fuzz-" + std::to_string(::getpid()) + ".gguf");
  std::ofstream(path, std::ios::binary | std::ios::trunc)
      .write(reinterpret_cast<const char*>(data), static_cast<std::streamsize>(size));
  (void)accepted([&] { read_safetensors(path); });
  (void)accepted([&] { read_gguf(path); });
  (void)accepted([&] { read_all(*Checkpoint::open(resolve_model(path.string()))); });
  return 0;
}
