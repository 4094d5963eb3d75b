// Inside qbench_models only: the two kinds of checkpoint, and what they share.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "harness/models/arch/family.h"
#include "harness/models/checkpoint.h"

namespace qbench::models {

std::unique_ptr<Checkpoint> open_hugging_face(const ModelSource& source);
std::unique_ptr<Checkpoint> open_gguf(const ModelSource& source);

/// [rows, columns] as a message shows it.
std::string shape_text(const std::vector<int64_t>& shape);

/// "unknown tensor ..., missing tensor ..." lines: compares what is stored with what the architecture
/// expects. `stored` maps names (of the container) to shape and a place for messages
/// ("model-00002-of-00003.safetensors: ").
struct StoredTensor {
  std::vector<int64_t> shape;
  std::string place;
};
std::vector<std::string> compare_tensors(const std::vector<ExpectedTensor>& expected, bool gguf_names,
                                         const std::map<std::string, StoredTensor, std::less<>>& stored,
                                         const Family& family);

/// Parameters by storage type, the grid of the block linears, totals: the part of facts() that both
/// containers share.
Json tensor_facts(const std::vector<TensorInfo>& tensors, const Architecture& architecture);

/// "Q4_1, groups of 32" for a storage type, "BF16, no grid" for plain floats.
std::string grid_text(const std::string& dtype);

}  // namespace qbench::models
