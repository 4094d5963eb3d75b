#include "methods/core/artifact.h"

#include <ATen/ATen.h>
#include <unistd.h>
#include <zstd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <functional>

#include "harness/core/errors.h"
#include "harness/core/fields.h"
#include "harness/core/files.h"
#include "harness/core/hash.h"

namespace qbench::methods {
namespace {

constexpr std::string_view kMagic = "QBARTIF1";
constexpr size_t kHashChars = 64;
constexpr int kZstdLevel = 1;

struct Slot {
  std::string name;
  at::Tensor* tensor;
};

/// Every tensor of a block that a recipe can change.
std::vector<Slot> slots_of(engine::Block& block) {
  const std::string prefix = "blocks." + std::to_string(block.index) + ".";
  std::vector<Slot> slots = {{prefix + "attention_norm", &block.attention_norm.weight},
                             {prefix + "mlp_norm", &block.mlp_norm.weight}};
  for (const models::Role role : models::kAllRoles) {
    const std::string name = prefix + std::string(models::role_name(role));
    slots.push_back({name + ".weight", &block.linear(role).weight});
    if (block.linear(role).bias.defined()) slots.push_back({name + ".bias", &block.linear(role).bias});
  }
  return slots;
}

std::string compress(const at::Tensor& tensor) {
  const at::Tensor raw = tensor.contiguous();
  std::string frame(ZSTD_compressBound(raw.nbytes()), '\0');
  const size_t size =
      ZSTD_compress(frame.data(), frame.size(), raw.const_data_ptr(), raw.nbytes(), kZstdLevel);
  QB_CHECK(ZSTD_isError(size) == 0, ZSTD_getErrorName(size));
  frame.resize(size);
  return frame;
}

/// Writes beside the target, hashes what it writes, renames at the end; removes the temporary file if it
/// never gets there.
class HashingWriter {
 public:
  explicit HashingWriter(const std::filesystem::path& target)
      : target_(target),
        temporary_(target.string() + ".tmp" + std::to_string(::getpid())),
        out_(temporary_, std::ios::binary) {
    if (!out_) fail();
  }
  ~HashingWriter() {
    std::error_code ignored;
    if (!done_) std::filesystem::remove(temporary_, ignored);
  }
  HashingWriter(const HashingWriter&) = delete;
  HashingWriter& operator=(const HashingWriter&) = delete;

  void write(std::string_view bytes) {
    hasher_.update(bytes);
    put(bytes);
  }
  uint64_t written() const { return written_; }
  void finish() {
    put(hasher_.hex());
    out_.close();
    if (!out_) fail();
    std::filesystem::rename(temporary_, target_);
    done_ = true;
  }

 private:
  void put(std::string_view bytes) {
    out_.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    if (!out_) fail();
    written_ += bytes.size();
  }
  [[noreturn]] void fail() const {
    throw DataError(target_.string() + ": cannot be written (" + std::strerror(errno) +
                    "); check the folder and the free space");
  }

  std::filesystem::path target_, temporary_;
  std::ofstream out_;
  Hasher hasher_;
  uint64_t written_ = 0;
  bool done_ = false;
};

Json activation_json(const engine::Block& block) {
  Json list = Json::array();
  for (const engine::ActivationQuantizer& q : block.activation)
    list.push_back({{"bits", q.bits}, {"per_token", q.per_token}, {"symmetric", q.symmetric}});
  return list;
}

std::string little_endian(uint64_t value) {
  std::string bytes;
  for (int i = 0; i < 8; ++i) bytes += static_cast<char>(value >> (8 * i) & 0xff);
  return bytes;
}

/// The file's parts after magic, size and hash have been checked.
struct Verified {
  std::string_view all;
  Json footer;
};

[[noreturn]] void damaged(const std::filesystem::path& path, const std::string& what) {
  throw DataError(path.string() + ": " + what + "; delete the file to quantize again");
}

Verified verify(const MappedFile& file) {
  const std::string_view all(reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size());
  if (!all.starts_with(kMagic))
    damaged(file.path(), "not a quantized-model file (it does not begin with " + std::string(kMagic) + ")");
  if (all.size() < kMagic.size() + 8 + kHashChars)
    damaged(file.path(), "truncated after " + std::to_string(all.size()) + " bytes");
  const std::string_view body = all.substr(0, all.size() - kHashChars);
  if (sha256_hex(body) != all.substr(body.size()))
    damaged(file.path(), "truncated or damaged: its checksum does not match its content");
  uint64_t footer_size = 0;
  for (int i = 7; i >= 0; --i)
    footer_size =
        footer_size << 8 | static_cast<unsigned char>(body[body.size() - 8 + static_cast<size_t>(i)]);
  if (footer_size > body.size() - 8 - kMagic.size())
    damaged(file.path(), "its footer is larger than the file");
  Verified verified{all,
                    Json::parse(body.substr(body.size() - 8 - footer_size, footer_size), nullptr, false)};
  if (!verified.footer.is_object()) damaged(file.path(), "its footer is not JSON");
  return verified;
}

at::Tensor decompress(const Verified& file, const Json& entry, const std::filesystem::path& path) {
  const std::string name = entry.at("name");
  const uint64_t begin = entry.at("begin"), end = entry.at("end");
  if (begin > end || end > file.all.size()) damaged(path, "tensor " + name + " lies outside the file");
  const std::string_view frame = file.all.substr(begin, end - begin);
  at::Tensor tensor = at::empty(entry.at("shape").get<std::vector<int64_t>>(), at::kFloat);
  if (ZSTD_getFrameContentSize(frame.data(), frame.size()) != tensor.nbytes())
    damaged(path, "tensor " + name + " has another size than its shape");
  const size_t size = ZSTD_decompress(tensor.data_ptr(), tensor.nbytes(), frame.data(), frame.size());
  if (ZSTD_isError(size) != 0 || size != tensor.nbytes())
    damaged(path, "tensor " + name + " cannot be decompressed");
  return tensor;
}

void check_entry(const Json& entry, const Slot& slot, const std::filesystem::path& path) {
  const auto shape = entry.at("shape").get<std::vector<int64_t>>();
  if (entry.at("name") == slot.name && shape == slot.tensor->sizes().vec()) return;
  throw DataError(path.string() + ": belongs to another model: found tensor " +
                  entry.at("name").get<std::string>() + " " + entry.at("shape").dump() + ", expected " +
                  slot.name + " " + Json(slot.tensor->sizes().vec()).dump());
}

void load_into(engine::Model& model, const Verified& file, const std::filesystem::path& path,
               const Lanes& lanes) {
  std::vector<Slot> slots;
  for (engine::Block& block : model.blocks) {
    for (Slot& slot : slots_of(block)) slots.push_back(std::move(slot));
  }
  const Json& tensors = file.footer.at("tensors");
  const Json& activation = file.footer.at("activation");
  if (tensors.size() != slots.size() || activation.size() != model.blocks.size()) {
    throw DataError(path.string() + ": belongs to another model: found " + std::to_string(tensors.size()) +
                    " tensors in " + std::to_string(activation.size()) + " blocks, expected " +
                    std::to_string(slots.size()) + " in " + std::to_string(model.blocks.size()));
  }
  for (size_t i = 0; i < slots.size(); ++i) check_entry(tensors[i], slots[i], path);
  std::vector<at::Tensor> loaded(slots.size());
  lanes.run(slots.size(), [&](size_t i, int) { loaded[i] = decompress(file, tensors[i], path); });
  std::vector<std::array<engine::ActivationQuantizer, models::kAllSites.size()>> quantizers(
      model.blocks.size());
  for (size_t b = 0; b < quantizers.size(); ++b) {
    for (size_t s = 0; s < quantizers[b].size(); ++s) {
      const Json& q = activation.at(b).at(s);
      quantizers[b][s] = {q.at("bits").get<int64_t>(), q.at("per_token").get<bool>(),
                          q.at("symmetric").get<bool>()};
    }
  }
  for (size_t i = 0; i < slots.size(); ++i) *slots[i].tensor = loaded[i];
  for (size_t b = 0; b < quantizers.size(); ++b) model.blocks[b].activation = quantizers[b];
}

}  // namespace

void save_artifact(const engine::Model& model, const std::filesystem::path& path, const Lanes& lanes) {
  HashingWriter writer(path);
  writer.write(kMagic);
  Json footer = {{"tensors", Json::array()}, {"activation", Json::array()}};
  for (engine::Block block : model.blocks) {  // a copy shares the tensors
    const std::vector<Slot> slots = slots_of(block);
    std::vector<std::string> frames(slots.size());
    lanes.run(slots.size(), [&](size_t i, int) { frames[i] = compress(*slots[i].tensor); });
    for (size_t i = 0; i < slots.size(); ++i) {
      const uint64_t begin = writer.written();
      writer.write(frames[i]);
      footer["tensors"].push_back({{"name", slots[i].name},
                                   {"shape", slots[i].tensor->sizes().vec()},
                                   {"begin", begin},
                                   {"end", writer.written()}});
    }
    footer["activation"].push_back(activation_json(block));
  }
  const std::string text = footer.dump();
  writer.write(text);
  writer.write(little_endian(text.size()));
  writer.finish();
}

void load_artifact(engine::Model& model, const std::filesystem::path& path, const Lanes& lanes) {
  const MappedFile file(path);
  const Verified verified = verify(file);
  try {
    load_into(model, verified, path, lanes);
  } catch (const Json::exception& error) {
    damaged(path, std::string("its footer lacks what it should hold (") + error.what() + ")");
  }
}

}  // namespace qbench::methods
