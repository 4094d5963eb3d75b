#include "harness/models/checkpoint.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <set>

#include "harness/core/errors.h"
#include "harness/models/checkpoint_impl.h"
#include "harness/models/gguf_blocks.h"
#include "harness/models/site_graph.h"

namespace qbench::models {
namespace {

struct Share {
  int64_t tensors = 0, parameters = 0;
  uint64_t bytes = 0;
};

Json shares_json(const std::map<std::string, Share>& shares, int64_t total) {
  std::vector<std::pair<std::string, Share>> order(shares.begin(), shares.end());
  std::ranges::stable_sort(
      order, [](const auto& a, const auto& b) { return a.second.parameters > b.second.parameters; });
  Json out = Json::array();
  for (const auto& [dtype, share] : order) {
    out.push_back(
        {{"type", dtype},
         {"tensors", share.tensors},
         {"parameters", share.parameters},
         {"share", static_cast<double>(share.parameters) / static_cast<double>(std::max<int64_t>(total, 1))},
         {"bytes", share.bytes}});
  }
  return out;
}

/// "Q4_K, groups of 32 (85 %); Q6_K, groups of 16 (15 %)": the grids of the block linears, dominant one
/// first.
std::string weight_grid(const Json& shares) {
  if (shares.size() == 1) return grid_text(shares[0]["type"].get<std::string>());
  std::vector<std::string> parts;
  for (const Json& share : shares) {
    parts.push_back(fmt::format("{} ({:.0f} %)", grid_text(share["type"].get<std::string>()),
                                100.0 * share["share"].get<double>()));
  }
  return fmt::format("{}", fmt::join(parts, "; "));
}

std::set<std::string> linear_weights(const Architecture& architecture) {
  std::set<std::string> names;
  for (int64_t layer = 0; layer < architecture.layers; ++layer) {
    for (const LinearSpec& linear : block_linears(architecture, layer)) names.insert(linear.name + ".weight");
  }
  return names;
}

}  // namespace

int64_t TensorInfo::numel() const {
  int64_t count = 1;
  for (const int64_t dimension : shape) count *= dimension;
  return count;
}

std::unique_ptr<Checkpoint> Checkpoint::open(const ModelSource& source) {
  return source.kind == SourceKind::kGguf ? open_gguf(source) : open_hugging_face(source);
}

const TensorInfo* Checkpoint::find(std::string_view name) const {
  const auto it = std::ranges::find(tensors_, name, &TensorInfo::name);
  return it == tensors_.end() ? nullptr : &*it;
}

std::string shape_text(const std::vector<int64_t>& shape) {
  return fmt::format("[{}]", fmt::join(shape, ", "));
}

std::string grid_text(const std::string& dtype) {
  for (uint32_t id = 0; id < 64; ++id) {
    const GgufType* type = gguf_type(id);
    if (type != nullptr && type->name == dtype && type->group > 0)
      return fmt::format("{}, groups of {}", dtype, type->group);
  }
  return fmt::format("{}, no grid", dtype);
}

std::vector<std::string> compare_tensors(const std::vector<ExpectedTensor>& expected, bool gguf_names,
                                         const std::map<std::string, StoredTensor, std::less<>>& stored,
                                         const Family& family) {
  std::vector<std::string> problems, names;
  std::set<std::string_view> known;
  for (const ExpectedTensor& tensor : expected) {
    const std::string& name = gguf_names ? tensor.gguf : tensor.name;
    known.insert(name);
    names.push_back(name);
    const auto it = stored.find(name);
    if (it == stored.end()) {
      problems.push_back(fmt::format("tensor \"{}\" {} is missing", name, shape_text(tensor.shape)));
    } else if (it->second.shape != tensor.shape) {
      problems.push_back(fmt::format("{}tensor \"{}\" has shape {}; expected {}", it->second.place, name,
                                     shape_text(it->second.shape), shape_text(tensor.shape)));
    }
  }
  for (const auto& [name, tensor] : stored) {
    if (known.contains(name) || is_ignored(family, name)) continue;
    // Looking for near names among thousands would take longer than the rest of opening a broken file.
    const std::string near = problems.size() < 5 ? did_you_mean(name, names) : "";
    problems.push_back(fmt::format("{}tensor \"{}\" {} does not belong to a {} model.{}", tensor.place, name,
                                   shape_text(tensor.shape), family.model_type, near));
  }
  return problems;
}

Json tensor_facts(const std::vector<TensorInfo>& tensors, const Architecture& architecture) {
  std::map<std::string, Share> all, linear;
  const std::set<std::string> linear_names = linear_weights(architecture);
  Share total, linear_total;
  const auto add = [](Share& share, const TensorInfo& tensor) {
    ++share.tensors;
    share.parameters += tensor.numel();
    share.bytes += tensor.bytes;
  };
  for (const TensorInfo& tensor : tensors) {
    add(all[tensor.dtype], tensor);
    add(total, tensor);
    if (!linear_names.contains(tensor.name)) continue;
    add(linear[tensor.dtype], tensor);
    add(linear_total, tensor);
  }
  Json facts;
  facts["family"] = architecture.family;
  facts["parameters"] = total.parameters;
  facts["linear_parameters"] = linear_total.parameters;
  facts["bytes"] = total.bytes;
  facts["bits_per_weight"] =
      8.0 * static_cast<double>(total.bytes) / static_cast<double>(std::max<int64_t>(total.parameters, 1));
  facts["storage"] = shares_json(all, total.parameters);
  facts["weight_grid"] = weight_grid(shares_json(linear, linear_total.parameters));
  facts["head"] = architecture.tied_embeddings ? "tied to the embedding" : "stored";
  return facts;
}

}  // namespace qbench::models
