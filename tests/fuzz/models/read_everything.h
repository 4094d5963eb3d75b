// What a fuzzer does with a file: open it every way it can be opened and read everything. Refusals are the
// expected outcome.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "harness/core/errors.h"
#include "harness/core/files.h"
#include "harness/models/checkpoint.h"
#include "harness/models/gguf.h"
#include "harness/models/gguf_blocks.h"
#include "harness/models/safetensors.h"

namespace qbench::models {

/// @return whether the call succeeded; an Error of the program is a refusal, anything else escapes.
template <class Call>
bool accepted(Call call) {
  try {
    call();
    return true;
  } catch (const Error& error) {
    if (error.kind() == "internal") throw;
    return false;
  }
}

inline void read_all(const Checkpoint& checkpoint) {
  for (const TensorInfo& tensor : checkpoint.tensors()) {
    if (tensor.numel() > (1 << 20)) continue;
    std::vector<float> out(static_cast<size_t>(tensor.numel()));
    checkpoint.read(tensor.name, out);
  }
  (void)checkpoint.facts().dump();
  (void)rope_frequencies(checkpoint.architecture(), 64);
}

inline void read_safetensors(const std::filesystem::path& path) {
  const SafetensorsFile file(path);
  for (const SafetensorsEntry& entry : file.entries()) {
    (void)accepted([&] { (void)file.floats(entry.name); });
    (void)accepted([&] { (void)file.integers(entry.name); });
  }
}

inline void read_gguf(const std::filesystem::path& path) {
  const GgufFile file(path);
  for (const GgufTensor& tensor : file.tensors()) {
    const GgufType* type = gguf_type(tensor.type);
    if (!type->readable || tensor.numel() > (1 << 20)) continue;
    std::vector<float> out(static_cast<size_t>(tensor.numel()));
    dequantize(*type, file.bytes(tensor), out);
  }
  for (const auto& [key, value] : file.values()) {
    (void)accepted([&] { (void)file.strings(key); });
    (void)accepted([&] { (void)file.floats(key); });
    (void)accepted([&] { (void)file.integer(key); });
  }
}

}  // namespace qbench::models
