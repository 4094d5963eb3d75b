#include "harness/engine/generation.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <string>
#include <utility>

#include "harness/core/errors.h"
#include "harness/engine/packed_run.h"
#include "harness/engine/unit_forward.h"

namespace qbench::engine {
namespace {

using kernels::kStrip;

// One sequence being continued.
struct Stream {
  const GenerateRequest* request = nullptr;
  std::vector<int32_t>* out = nullptr;
  std::unique_ptr<KeyStore> keys;  // room for the prompt and every new token
  int64_t length = 0;              // tokens whose keys are in the store
  int32_t next = 0;                // the token to be fed

  bool wants_more() const { return std::ssize(*out) < request->max_new_tokens; }

  // Takes a predicted token; false ends the stream.
  bool take(int32_t token) {
    if (std::find(request->stop_ids.begin(), request->stop_ids.end(), token) != request->stop_ids.end())
      return false;
    out->push_back(token);
    next = token;
    return wants_more();
  }
};

// Up to one strip of streams, on one lane.
class Group {
 public:
  Group(const Model& model, std::span<Stream> streams) : model_(model), a_(model.architecture()) {
    for (Stream& stream : streams) {
      if (stream.wants_more()) prefill(stream);
    }
  }

  void run() {
    while (!active_.empty()) {
      const ArenaLease arena;
      const std::vector<int32_t> tokens = step(*arena);
      std::vector<Stream*> still;
      for (size_t i = 0; i < active_.size(); ++i) {
        if (active_[i]->take(tokens[i])) still.push_back(active_[i]);
      }
      active_ = std::move(still);
    }
  }

 private:
  void prefill(Stream& stream) {
    const std::vector<int32_t>& prompt = stream.request->prompt;
    const ArenaLease arena;
    const int64_t length = std::ssize(prompt);
    Unit unit = unit_of_lengths(a_, {length});
    unit.tokens = prompt;
    UnitForward forward(a_, {&unit, 1}, 0, {}, *arena);
    stream.keys = std::make_unique<KeyStore>(a_, strips_of(length + stream.request->max_new_tokens));
    forward.embed(model_.embedding);
    for (const Block& block : model_.blocks) forward.run_block(block, stream.keys.get());
    stream.length = length;
    float* last = arena->floats(kStrip * a_.hidden_size);
    std::fill_n(last, kStrip * a_.hidden_size, 0.0F);
    const float* from =
        forward.hidden() + ((length - 1) / kStrip) * kStrip * a_.hidden_size + (length - 1) % kStrip;
    for (int64_t f = 0; f < a_.hidden_size; ++f) last[f * kStrip] = from[f * kStrip];
    if (stream.take(predict(last, *arena)[0])) active_.push_back(&stream);
  }

  // First maximum of the logits of each lane; normalises `hidden` in place.
  std::vector<int32_t> predict(float* hidden, Arena& arena) {
    const FloatView norm(model_.final_norm.weight), head(model_.head);
    kernels::table().rms_norm(hidden, a_.hidden_size, 1, norm.data(),
                              static_cast<float>(model_.final_norm.eps), hidden);
    kernels::LogitState& state = logit_states(arena, 1)[0];
    kernels::table().head({head.data(), model_.head.size(0), a_.hidden_size, hidden, 1, &state});
    return {state.argmax, state.argmax + kStrip};
  }

  // Feeds every active stream's next token; returns the predictions.
  std::vector<int32_t> step(Arena& arena) {
    const int64_t width = a_.hidden_size, q_rows = a_.q_size(), kv_rows = a_.kv_size(),
                  rows = q_rows + 2 * kv_rows;
    float *hidden = arena.floats(kStrip * width), *normed = arena.floats(kStrip * width);
    float *qkv = arena.floats(kStrip * rows), *mixed = arena.floats(kStrip * q_rows);
    float *gated = arena.floats(kStrip * a_.intermediate_size), *ranges = arena.floats(4 * kStrip);
    std::fill_n(mixed, kStrip * q_rows, 0.0F);
    embed_next(hidden);
    const RotaryStrips rotary = rotary_of_next(arena);
    int64_t longest = 0;
    for (const Stream* stream : active_) longest = std::max(longest, stream->length + 1);
    float* scratch = arena.floats(strips_of(longest) * kStrip);
    for (const Block& block : model_.blocks) {
      norm_into(block.attention_norm, hidden, normed);
      quantize(block, Site::kQkvIn, normed, width, ranges);
      project_and_rotate(block, normed, qkv, rotary);
      attend(block.index, qkv, mixed, scratch);
      quantize(block, Site::kOIn, mixed, q_rows, ranges);
      apply_linear(block.linear(Role::kO), mixed, 1, hidden, width, true);
      norm_into(block.mlp_norm, hidden, normed);
      quantize(block, Site::kGateUpIn, normed, width, ranges);
      apply_gated(block.linear(Role::kGate), block.linear(Role::kUp), a_.activation, normed, 1, gated);
      quantize(block, Site::kDownIn, gated, a_.intermediate_size, ranges);
      apply_linear(block.linear(Role::kDown), gated, 1, hidden, width, true);
    }
    for (Stream* stream : active_) ++stream->length;
    return predict(hidden, arena);
  }

  void norm_into(const Norm& norm, const float* x, float* out) const {
    const FloatView weight(norm.weight);
    kernels::table().rms_norm(x, a_.hidden_size, 1, weight.data(), static_cast<float>(norm.eps), out);
  }

  // A step holds one token per sequence, so a range per tensor is a range per token.
  static void quantize(const Block& block, Site site, float* x, int64_t rows, float* ranges) {
    ActivationQuantizer quantizer = block.act(site);
    quantizer.per_token = true;
    if (quantizer.enabled()) quantize_strips({}, x, rows, 1, quantizer, ranges);
  }

  void embed_next(float* hidden) const {
    const FloatView rows(model_.embedding);
    std::fill_n(hidden, kStrip * a_.hidden_size, 0.0F);
    for (size_t lane = 0; lane < active_.size(); ++lane) {
      const float* row = rows.data() + active_[lane]->next * a_.hidden_size;
      for (int64_t f = 0; f < a_.hidden_size; ++f) hidden[f * kStrip + static_cast<int64_t>(lane)] = row[f];
    }
  }

  RotaryStrips rotary_of_next(Arena& arena) const {
    std::vector<int64_t> positions(kStrip, 0), rope_lengths(kStrip, 0);
    for (size_t lane = 0; lane < active_.size(); ++lane) {
      positions[lane] = active_[lane]->length;
      rope_lengths[lane] = rope_length_of(a_, active_[lane]->length + 1);
    }
    return rotary_strips(a_, positions, rope_lengths, arena);
  }

  void project_and_rotate(const Block& block, const float* x, float* qkv, const RotaryStrips& rotary) const {
    const int64_t q_rows = a_.q_size(), kv_rows = a_.kv_size(), rows = q_rows + 2 * kv_rows;
    float *k = qkv + q_rows * kStrip, *v = k + kv_rows * kStrip;
    apply_linear(block.linear(Role::kQ), x, 1, qkv, rows, false);
    apply_linear(block.linear(Role::kK), x, 1, k, rows, false);
    apply_linear(block.linear(Role::kV), x, 1, v, rows, false);
    const auto scale = static_cast<float>(1.0 / std::sqrt(static_cast<double>(a_.head_dim)));
    kernels::table().rotate(qkv, rows, 1, a_.heads, a_.head_dim, rotary.cos, rotary.sin, scale);
    kernels::table().rotate(k, rows, 1, a_.kv_heads, a_.head_dim, rotary.cos, rotary.sin, 1.0F);
  }

  // Appends each stream's key and value to its store and attends to all of them.
  void attend(int64_t layer, const float* qkv, float* mixed, float* scratch) const {
    const int64_t kv_rows = a_.kv_size();
    const float* k = qkv + a_.q_size() * kStrip;
    for (size_t i = 0; i < active_.size(); ++i) {
      Stream& stream = *active_[i];
      const auto lane = static_cast<int64_t>(i);
      float* strip = stream.keys->layer(layer) + (stream.length / kStrip) * 2 * kv_rows * kStrip;
      const int64_t at = stream.length % kStrip;
      // A fresh strip holds whatever memory held; lanes beyond the sequence must be finite, they are
      // multiplied by zero.
      if (at == 0) std::fill_n(strip, 2 * kv_rows * kStrip, 0.0F);
      for (int64_t f = 0; f < 2 * kv_rows; ++f) strip[f * kStrip + at] = k[f * kStrip + lane];
      kernels::table().decode_attention({qkv, mixed, lane, a_.heads, a_.kv_heads, a_.head_dim,
                                         stream.length + 1, stream.keys->source(layer), scratch});
    }
  }

  const Model& model_;
  const models::Architecture& a_;
  std::vector<Stream*> active_;
};

void check(const GenerateRequest& request, size_t index) {
  if (request.prompt.empty()) {
    throw DataError("generation request " + std::to_string(index) +
                    ": the prompt holds no token. Begin it with the model's BOS token.");
  }
  QB_CHECK(request.max_new_tokens >= 0, "max_new_tokens of request " + std::to_string(index));
}

}  // namespace

std::vector<std::vector<int32_t>> generate_greedy(const Model& model,
                                                  std::span<const GenerateRequest> requests,
                                                  const Lanes& lanes) {
  for (size_t i = 0; i < requests.size(); ++i) check(requests[i], i);
  std::vector<std::vector<int32_t>> results(requests.size());
  // A step costs nearly the same for one sequence as for a strip of them, so groups are as large as the lanes
  // allow.
  const auto lane_count = static_cast<size_t>(lanes.count());
  const size_t per_group = std::clamp<size_t>((requests.size() + lane_count - 1) / lane_count, 1, kStrip);
  const size_t groups = (requests.size() + per_group - 1) / per_group;
  lanes.run(groups, [&](size_t group, int) {
    std::vector<Stream> streams;
    for (size_t i = group * per_group; i < std::min(requests.size(), (group + 1) * per_group); ++i) {
      streams.push_back({&requests[i], &results[i], nullptr, 0, 0});
    }
    Group(model, streams).run();
  });
  return results;
}

}  // namespace qbench::engine
