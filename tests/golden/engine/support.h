// Reading golden tensors and opening models in engine tests.
#pragma once

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "harness/engine/model.h"
#include "harness/models/checkpoint.h"
#include "harness/models/safetensors.h"
#include "tests/support/fixtures.h"

namespace qbench::engine::golden {

inline std::unique_ptr<Model> load_model(const std::filesystem::path& path) {
  return Model::load(models::Checkpoint::open(models::resolve_model(path.string())));
}

inline at::Tensor floats(const models::SafetensorsFile& file, const std::string& name) {
  const models::SafetensorsEntry* entry = file.find(name);
  if (entry == nullptr) throw std::runtime_error(file.path().string() + " holds no " + name);
  at::Tensor tensor = at::empty(entry->shape, at::kFloat);
  file.read_float(*entry, {tensor.data_ptr<float>(), static_cast<size_t>(tensor.numel())});
  return tensor;
}

inline std::vector<int32_t> ids(const models::SafetensorsFile& file, const std::string& name) {
  const std::vector<int64_t> wide = file.integers(name);
  return {wide.begin(), wide.end()};
}

inline double max_abs_diff(const at::Tensor& a, const at::Tensor& b) {
  return (a.to(at::kDouble) - b.to(at::kDouble)).abs().max().item<double>();
}

}  // namespace qbench::engine::golden
