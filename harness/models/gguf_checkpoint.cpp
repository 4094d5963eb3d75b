// A GGUF file as a checkpoint: its names, layouts and storage types become those of a Hugging Face folder.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "harness/core/errors.h"
#include "harness/core/hash.h"
#include "harness/models/arch/config_reader.h"
#include "harness/models/checkpoint_impl.h"
#include "harness/models/gguf_blocks.h"

namespace qbench::models {
namespace {

constexpr std::string_view kRopeFreqs = "rope_freqs.weight";

/// splitmix64: a bijection that scatters counters (Steele et al., OOPSLA 2014).
uint64_t scatter(uint64_t x) {
  x += 0x9E3779B97F4A7C15U;
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9U;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EBU;
  return x ^ (x >> 31);
}

/// FNV-1a of the tensor's name, mixed with the seed: the stream of a tensor does not depend on what was read
/// before.
uint64_t noise_stream(std::string_view name, uint64_t seed) {
  uint64_t hash = 0xCBF29CE484222325U;
  for (const char c : name) hash = (hash ^ static_cast<uint8_t>(c)) * 0x100000001B3U;
  return scatter(hash ^ scatter(seed));
}

/// Uniform in (-1, 1), from the stream and the weight's index in the tensor.
float noise(uint64_t stream, uint64_t index) {
  const auto bits = static_cast<int32_t>(scatter(stream + index) >> 40);  // 24 bits
  return static_cast<float>(2 * bits + 1 - (1 << 24)) * 0x1p-24F;
}

class GgufCheckpoint final : public Checkpoint {
 public:
  explicit GgufCheckpoint(const ModelSource& source) : file_(source.path) {
    source_ = source;
    const std::string where = source.path.string();
    family_ = &family_of_gguf(file_.string("general.architecture"), where);
    architecture_.family = family_->model_type;
    family_->read_gguf(file_, architecture_);
    std::vector<std::string> problems;
    check_architecture(architecture_, problems);
    if (!problems.empty()) throw DataError(list_problems(where, problems));
    map_tensors(problems);
    if (!problems.empty()) throw DataError(list_problems(where, problems));
    read_rope_divisors();
  }

  void read(std::string_view name, std::span<float> out) const override {
    const auto it = std::ranges::find(tensors_, name, &TensorInfo::name);
    if (it == tensors_.end()) {
      throw DataError(fmt::format("{}: there is no tensor \"{}\" in this {} model", source_.path.string(),
                                  name, architecture_.family));
    }
    QB_CHECK(out.size() == static_cast<size_t>(it->numel()), std::string(name));
    const Stored& stored = stored_[static_cast<size_t>(it - tensors_.begin())];
    read_rows(stored, out);
    if (source_.dequantize == Dequantize::kDither) dither(*it, stored, out);
    file_.release(*stored.tensor);
  }

  std::string content_hash() const override {
    Hasher hasher;
    hasher.field("gguf")
        .field(architecture_json(architecture_).dump())
        .field(sha256_file_cached(file_.path(), qbench_home()));
    hasher.field(dequantize_text());
    return hasher.hex();
  }

  Json facts() const override {
    Json facts = tensor_facts(tensors_, architecture_);
    facts["container"] = fmt::format("gguf v{}", file_.version());
    facts["dequantize"] = dequantize_text();
    if (source_.dequantize == Dequantize::kDither) {
      facts["weight_grid"] = fmt::format("dithered inside the cells of {} (seed {})",
                                         facts["weight_grid"].get<std::string>(), source_.dither_seed);
    }
    return facts;
  }

 private:
  struct Stored {
    const GgufTensor* tensor;
    const GgufType* type;
    int64_t heads;  ///< > 0: rows of each head are in interleaved rotary order
  };

  std::string dequantize_text() const {
    return source_.dequantize == Dequantize::kDither ? fmt::format("dither(seed={})", source_.dither_seed)
                                                     : std::string("exact");
  }

  void map_tensors(std::vector<std::string>& problems) {
    std::map<std::string, StoredTensor, std::less<>> stored;
    for (const GgufTensor& tensor : file_.tensors()) {
      if (tensor.name != kRopeFreqs) stored.emplace(tensor.name, StoredTensor{tensor.shape, ""});
    }
    const auto expected = expected_tensors(*family_, architecture_);
    problems = compare_tensors(expected, true, stored, *family_);
    for (const ExpectedTensor& tensor : expected) {
      if (const GgufTensor* found = file_.find_tensor(tensor.gguf)) add_tensor(tensor, *found, problems);
    }
  }

  void add_tensor(const ExpectedTensor& expected, const GgufTensor& tensor,
                  std::vector<std::string>& problems) {
    const GgufType* type = gguf_type(tensor.type);
    if (!type->readable) {
      problems.push_back(
          fmt::format("tensor \"{}\" is stored as {}, which cannot be read; supported are {}. Use another "
                      "quantization of the model.",
                      tensor.name, type->name, readable_gguf_types()));
    }
    int64_t heads = 0;
    if (family_->gguf_interleaves_heads && expected.heads != HeadRows::kNone) {
      heads = expected.heads == HeadRows::kQuery ? architecture_.heads : architecture_.kv_heads;
    }
    tensors_.push_back({expected.name, std::string(type->name), tensor.shape, tensor.bytes});
    stored_.push_back({&tensor, type, heads});
  }

  /// Row r of the Hugging Face layout is row source_row(r) of the file: converters store rotary pairs next to
  /// each other.
  static int64_t source_row(int64_t row, int64_t rows, int64_t heads) {
    const int64_t head_rows = rows / heads, half = head_rows / 2;
    const int64_t head = row / head_rows, within = row % head_rows;
    return head * head_rows + (within % half) * 2 + within / half;
  }

  /// Calls visit(bytes of the row(s), offset of the first weight, weights) so that the weights arrive in
  /// Hugging Face order.
  template <class Visit>
  void for_each_run(const Stored& stored, Visit visit) const {
    const auto bytes = file_.bytes(*stored.tensor);
    const int64_t numel = stored.tensor->numel();
    if (stored.heads == 0) return visit(bytes, size_t{0}, static_cast<size_t>(numel));
    const int64_t rows = stored.tensor->shape.front(), width = numel / rows;
    const size_t row_bytes = bytes.size() / static_cast<size_t>(rows);
    for (int64_t row = 0; row < rows; ++row) {
      const auto from = static_cast<size_t>(source_row(row, rows, stored.heads));
      visit(bytes.subspan(from * row_bytes, row_bytes), static_cast<size_t>(row * width),
            static_cast<size_t>(width));
    }
  }

  void read_rows(const Stored& stored, std::span<float> out) const {
    for_each_run(stored, [&](std::span<const std::byte> bytes, size_t offset, size_t count) {
      dequantize(*stored.type, bytes, out.subspan(offset, count));
    });
  }

  void dither(const TensorInfo& info, const Stored& stored, std::span<float> out) const {
    if (stored.type->group == 0) return;
    const uint64_t stream = noise_stream(info.name, source_.dither_seed);
    const auto width = static_cast<size_t>(info.shape.back());
    const size_t row_bytes = stored.tensor->bytes / (out.size() / width);
    std::vector<float> below(width), above(width);
    for_each_run(stored, [&](std::span<const std::byte> bytes, size_t offset, size_t count) {
      for (size_t start = 0; start < count; start += width) {
        quantization_cells(*stored.type, bytes.subspan(start / width * row_bytes, row_bytes), below, above);
        for (size_t i = 0; i < width; ++i) {
          const float u = noise(stream, offset + start + i);
          out[offset + start + i] += u * (u < 0 ? below[i] : above[i]);
        }
      }
    });
  }

  /// rope_freqs holds divisors of the inverse frequencies. Llama 3's are recognised as the rule they were
  /// made with, so that the model can be written as a Hugging Face folder; others are kept as they are.
  void read_rope_divisors() {
    const GgufTensor* tensor = file_.find_tensor(kRopeFreqs);
    if (tensor == nullptr) return;
    const auto half = static_cast<size_t>(architecture_.head_dim / 2);
    if (tensor->type != 0 || tensor->shape != std::vector<int64_t>{static_cast<int64_t>(half)}) {
      throw DataError(fmt::format("{}: tensor \"{}\" has shape {}; expected [{}] of F32",
                                  source_.path.string(), kRopeFreqs, shape_text(tensor->shape), half));
    }
    std::vector<float> divisors(half);
    dequantize(*gguf_type(0), file_.bytes(*tensor), divisors);
    if (!std::ranges::all_of(divisors, [](float d) { return std::isfinite(d) && d > 0; })) {
      throw DataError(fmt::format("{}: tensor \"{}\" holds values that are not positive",
                                  source_.path.string(), kRopeFreqs));
    }
    architecture_.rope.divisors = divisors;
    if (architecture_.rope.kind == RopeKind::kDefault) recognise_llama3();
  }

  void recognise_llama3() {
    Architecture guess = architecture_;
    guess.rope.kind = RopeKind::kLlama3;
    guess.rope.factor = *std::ranges::max_element(guess.rope.divisors);
    guess.rope.low_freq_factor = 1.0;
    guess.rope.high_freq_factor = 4.0;
    guess.rope.original_max_position = 8192;
    guess.rope.divisors.clear();
    const auto wanted = rope_frequencies(architecture_, 1).inverse, got = rope_frequencies(guess, 1).inverse;
    for (size_t i = 0; i < wanted.size(); ++i) {
      if (std::abs(wanted[i] - got[i]) > 1e-5F * wanted[i]) return;
    }
    architecture_ = guess;
  }

  GgufFile file_;
  const Family* family_ = nullptr;
  std::vector<Stored> stored_;  ///< parallel to tensors_
};

}  // namespace

std::unique_ptr<Checkpoint> open_gguf(const ModelSource& source) {
  return std::make_unique<GgufCheckpoint>(source);
}

}  // namespace qbench::models
