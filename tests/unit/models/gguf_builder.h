// Builds small GGUF files in memory, valid or deliberately wrong.
#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

namespace qbench::models {

class GgufBuilder {
 public:
  explicit GgufBuilder(uint32_t version = 3) : version_(version) {}

  template <class T>
  static void put(std::string& out, T value) {
    out.append(reinterpret_cast<const char*>(&value), sizeof(T));
  }
  static void put_string(std::string& out, std::string_view text) {
    put(out, static_cast<uint64_t>(text.size()));
    out += text;
  }

  GgufBuilder& raw_value(std::string_view key, uint32_t type, std::string_view payload) {
    put_string(values_, key);
    put(values_, type);
    values_ += payload;
    ++value_count_;
    return *this;
  }
  template <class T>
  GgufBuilder& value(std::string_view key, uint32_t type, T number) {
    std::string payload;
    put(payload, number);
    return raw_value(key, type, payload);
  }
  GgufBuilder& u32(std::string_view key, uint32_t number) { return value(key, 4, number); }
  GgufBuilder& f32(std::string_view key, float number) { return value(key, 6, number); }
  GgufBuilder& boolean(std::string_view key, bool flag) { return value(key, 7, static_cast<uint8_t>(flag)); }
  GgufBuilder& string(std::string_view key, std::string_view text) {
    std::string payload;
    put_string(payload, text);
    return raw_value(key, 8, payload);
  }
  GgufBuilder& strings(std::string_view key, const std::vector<std::string>& texts) {
    std::string payload;
    put(payload, uint32_t{8});
    put(payload, static_cast<uint64_t>(texts.size()));
    for (const std::string& text : texts) put_string(payload, text);
    return raw_value(key, 9, payload);
  }
  template <class T>
  GgufBuilder& array(std::string_view key, uint32_t type, const std::vector<T>& numbers) {
    std::string payload;
    put(payload, type);
    put(payload, static_cast<uint64_t>(numbers.size()));
    for (const T number : numbers) put(payload, number);
    return raw_value(key, 9, payload);
  }

  /// `shape` is row-major; the data are padded to the alignment of 32.
  GgufBuilder& tensor(std::string_view name, uint32_t type, const std::vector<int64_t>& shape,
                      std::string_view data) {
    return raw_tensor(name, type, shape, data_.size(), data);
  }
  GgufBuilder& raw_tensor(std::string_view name, uint32_t type, const std::vector<int64_t>& shape,
                          uint64_t offset, std::string_view data) {
    put_string(tensors_, name);
    put(tensors_, static_cast<uint32_t>(shape.size()));
    for (auto it = shape.rbegin(); it != shape.rend(); ++it) put(tensors_, static_cast<uint64_t>(*it));
    put(tensors_, type);
    put(tensors_, offset);
    data_ += data;
    data_.resize((data_.size() + 31) / 32 * 32, '\0');
    ++tensor_count_;
    return *this;
  }
  GgufBuilder& floats(std::string_view name, const std::vector<int64_t>& shape,
                      const std::vector<float>& values) {
    return tensor(
        name, 0, shape,
        std::string_view(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float)));
  }

  std::string build() const {
    std::string out = "GGUF";
    put(out, version_);
    put(out, tensor_count_);
    put(out, value_count_);
    out += values_ + tensors_;
    out.resize((out.size() + 31) / 32 * 32, '\0');
    return out + data_;
  }

 private:
  uint32_t version_;
  uint64_t tensor_count_ = 0, value_count_ = 0;
  std::string values_, tensors_, data_;
};

/// A whole llama model of one block with every tensor present: hidden 4, two heads of 2, intermediate 6,
/// vocabulary 5.
inline GgufBuilder tiny_llama_gguf(bool with_values = true) {
  GgufBuilder builder;
  builder.string("general.architecture", "llama");
  if (with_values) {
    builder.u32("llama.block_count", 1)
        .u32("llama.context_length", 16)
        .u32("llama.embedding_length", 4)
        .u32("llama.feed_forward_length", 6);
    builder.u32("llama.attention.head_count", 2)
        .u32("llama.attention.head_count_kv", 1)
        .f32("llama.rope.freq_base", 10000.0F);
    builder.f32("llama.attention.layer_norm_rms_epsilon", 1e-5F);
  }
  float next = 0.0F;
  const auto add = [&](const char* name, std::vector<int64_t> shape) {
    size_t count = 1;
    for (const int64_t d : shape) count *= static_cast<size_t>(d);
    std::vector<float> values(count);
    for (float& v : values) v = next += 1.0F;
    builder.floats(name, shape, values);
  };
  add("token_embd.weight", {5, 4});
  add("blk.0.attn_norm.weight", {4});
  add("blk.0.attn_q.weight", {4, 4});
  add("blk.0.attn_k.weight", {2, 4});
  add("blk.0.attn_v.weight", {2, 4});
  add("blk.0.attn_output.weight", {4, 4});
  add("blk.0.ffn_norm.weight", {4});
  add("blk.0.ffn_gate.weight", {6, 4});
  add("blk.0.ffn_up.weight", {6, 4});
  add("blk.0.ffn_down.weight", {4, 6});
  add("output_norm.weight", {4});
  return builder;
}

}  // namespace qbench::models
