// A model family as a table entry: how its config.json and GGUF metadata read, and which tensors a checkpoint
// must hold. To add one: a file in this folder that defines `const Family& NAME_family()`, and one line in
// registry.cpp.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "harness/core/fields.h"
#include "harness/models/arch/config_reader.h"
#include "harness/models/architecture.h"
#include "harness/models/gguf.h"

namespace qbench::models {

/// A tensor dimension in terms of the architecture.
enum class Dim { kNone, kVocab, kHidden, kQ, kKv, kIntermediate };

/// Whose heads a tensor's rows are. Converters to GGUF interleave the two rotary halves of each head's rows
/// in some families.
enum class HeadRows { kNone, kQuery, kKey };

struct TensorTemplate {
  std::string_view name;  ///< Hugging Face name; "{}" stands for the layer
  std::string_view gguf;  ///< GGUF name, likewise
  Dim rows;
  Dim columns;                           ///< kNone for vectors
  bool (*present)(const Architecture&);  ///< nullptr = always
  HeadRows heads = HeadRows::kNone;
};

struct Family {
  std::string_view model_type;         ///< config.json
  std::string_view hf_class;           ///< config.json "architectures", for exports
  std::string_view title;              ///< for `describe architectures`
  std::string_view gguf_architecture;  ///< general.architecture, "" = not read from GGUF
  bool gguf_interleaves_heads;         ///< q and k rows of GGUF files are in interleaved rotary order
  std::span<const TensorTemplate> tensors;
  std::span<const std::string_view> ignored;  ///< ends of names of stored tensors that hold no parameters

  void (*read_config)(ConfigReader&, Architecture&);
  void (*read_gguf)(const GgufFile&, Architecture&);
  /// The keys of config.json that read_config reads back, without the common ones that export.cpp writes for
  /// all.
  /// @throws DataError if config.json cannot express the architecture (a GGUF with unusual biases).
  void (*write_config)(const Architecture&, OrderedJson&);
};

/// All families, in the order of `describe`.
std::span<const Family* const> families();
/// @throws DataError naming the type, the supported ones and the nearest.
const Family& family_of_model_type(const std::string& model_type, const std::string& where);
const Family& family_of_gguf(const std::string& gguf_architecture, const std::string& where);

/// One tensor that a checkpoint of this architecture must hold.
struct ExpectedTensor {
  std::string name;
  std::string gguf;
  std::vector<int64_t> shape;
  HeadRows heads;
};
/// In model order: embedding, blocks, final norm, head.
std::vector<ExpectedTensor> expected_tensors(const Family& family, const Architecture& architecture);

/// Whether a stored tensor of that name may be left unread (old rotary buffers).
bool is_ignored(const Family& family, std::string_view name);

/// Everything that determines the function computed, for hashes and `describe`.
Json architecture_json(const Architecture& architecture);

std::string_view activation_name(Activation activation);  ///< config.json's word
std::string_view rope_kind_name(RopeKind kind);           ///< config.json's word

}  // namespace qbench::models
