// Float32 CPU kernels of the forward pass, one table per instruction set.
//
// Layout: all activations are held in *strips*: 16 consecutive tokens side by side, [strip][feature][16]. A
// strip row is one cache line, every kernel's vector lanes are tokens, and so a token's result never depends
// on which tokens sit beside it, on how many there are, or on the width of the machine's registers' blocking:
// sums over features and over keys run strictly in order. Scores are therefore bitwise independent of
// packing, of batch and of the number of lanes. Weights are read as they lie in memory, [out, in] row-major;
// nothing is packed or copied.
//
// All buffers of strips begin on a cache line.
// No torch and no standard containers here: these files are compiled several times with different machine
// flags.
#pragma once

#include <cstdint>

namespace qbench::engine::kernels {

inline constexpr int64_t kStrip = 16;      ///< tokens per strip
inline constexpr int64_t kGroup = 8;       ///< keys that attention handles at a time: half a strip
inline constexpr int64_t kKeyBlock = 128;  ///< positions per step of the online softmax

enum class Gate { kSilu, kGelu, kGeluTanh, kRelu };

/// out[n][t] = sum_k weight[n][k] x[k][t] (+ bias[n]), or added to out.
struct Gemm {
  const float* weight;  ///< [n, k] row-major
  const float* bias;    ///< [n] or null
  int64_t n, k;
  const float* x;  ///< first row of the input inside strip 0
  int64_t x_rows;  ///< features per strip of the buffer that x points into
  int64_t strips;
  float* out;
  int64_t out_rows;
  bool add;  ///< out += ... instead of out = ...
};

/// out = gate(Wg x + bg) * (Wu x + bu).
struct GatedGemm {
  const float *gate_weight, *gate_bias, *up_weight, *up_bias;
  int64_t n, k;
  const float* x;
  int64_t x_rows, strips;
  float* out;
  int64_t out_rows;
  Gate gate;
};

/// Groups of 8 keys that one strip of queries looks at, in the order of their positions.
struct KeyRun {
  int32_t source;  ///< index into Attention::sources
  int32_t group;   ///< first group: 2 * strip + half
  int32_t count;   ///< consecutive groups
  int32_t mask;  ///< -1: every query sees every key; else index of 8 masks (count is 1): bit t = query lane t
                 ///< sees the key
};
/// One step of the online softmax: runs [begin, end) whose keys' positions lie in one block of kKeyBlock.
struct KeyBlock {
  int32_t begin, end;
};
struct KeySource {
  const float *k, *v;  ///< row 0 of kv head 0 in strip 0
  int64_t rows;        ///< features per strip of the buffer
};
struct Attention {
  const float* q;  ///< rotated and scaled, [strips][q_rows][16], row 0 of head 0
  int64_t q_rows;
  float* out;
  int64_t out_rows;
  int64_t strips, heads, kv_heads, head_dim;
  const KeySource* sources;
  const KeyRun* runs;
  const KeyBlock* blocks;
  const int32_t* strip_blocks;  ///< [strips + 1] offsets into blocks
  const uint16_t* masks;        ///< [n][8]
  float* scratch;               ///< attention_scratch() floats
};

/// One new query token per sequence against that sequence's own cache (keys start at lane 0 of strip 0).
struct DecodeAttention {
  const float* q;  ///< lane `lane` of a strip, row 0 of head 0, rotated and scaled
  float* out;      ///< the same lane of a strip
  int64_t lane;
  int64_t heads, kv_heads, head_dim, keys;
  KeySource source;
  float* scratch;  ///< keys rounded up to a strip
};

/// Running statistics of the logits of one strip of rows.
struct alignas(64) LogitState {
  float max[kStrip];
  int32_t argmax[kStrip];    ///< the first maximum
  int32_t exponent[kStrip];  ///< sum counts multiples of 2^exponent
  double sum[kStrip];        ///< sum of exp(logit) / 2^exponent
  float poison[kStrip];      ///< NaN if any logit was not finite, else 0
};
struct Head {
  const float* weight;  ///< [vocab, k]
  int64_t vocab, k;
  const float* x;
  int64_t strips;
  LogitState* states;  ///< [strips], initialised by the kernel
};
/// The same for a model and its baseline, and the sum over words of exp(base) * (base - logit) for the
/// divergence.
struct HeadPair {
  Head model, base;
  double* weighted;  ///< [strips][16], in units of 2^base exponent; aligned to a cache line
};

struct RangeQuantizer {
  float* x;
  int64_t rows, strips;
};

struct Table {
  const char* name;
  void (*gemm)(const Gemm&);
  void (*gated_gemm)(const GatedGemm&);
  /// out = x / sqrt(mean(x^2) + eps) * weight, over `rows` features.
  void (*rms_norm)(const float* x, int64_t rows, int64_t strips, const float* weight, float eps, float* out);
  /// Half-split rotation of `heads` heads in place and multiplication by `scale`; cos, sin [strips][head_dim
  /// / 2][16].
  void (*rotate)(float* x, int64_t x_rows, int64_t strips, int64_t heads, int64_t head_dim, const float* cos,
                 const float* sin, float scale);
  void (*attention)(const Attention&);
  void (*decode_attention)(const DecodeAttention&);
  void (*head)(const Head&);
  void (*head_pair)(const HeadPair&);
  /// sum_k weight[k] x[k][lane] of one strip: the logit of one word for one token, bit for bit as `head`
  /// computes it.
  float (*dot)(const float* weight, const float* x, int64_t lane, int64_t k);
  /// Smallest and largest feature of each token, [strips][16].
  void (*range)(const float* x, int64_t rows, int64_t strips, float* low, float* high);
  /// out = (clamp(round(x / scale) + zero, lo, hi) - zero) * scale with one scale and zero per token.
  void (*quantize)(const float* x, int64_t rows, int64_t strips, const float* scale, const float* zero,
                   float lo, float hi, float* out);
  /// [tokens, rows] row-major -> strips (tokens beyond the end become zero), and back.
  void (*to_strips)(const float* x, int64_t tokens, int64_t rows, float* out, int64_t out_rows);
  void (*from_strips)(const float* x, int64_t x_rows, int64_t tokens, int64_t rows, float* out);
};

/// Floats of Attention::scratch when no block has more than `block_rows` keys.
int64_t attention_scratch(int64_t block_rows, int64_t head_dim);

/// The best table this CPU runs; chosen once from CPU features (QBENCH_KERNELS=generic|avx2|avx512 narrows
/// the choice).
const Table& table();
/// A table by name, or null if the name is unknown or this CPU cannot run it.
const Table* table_named(const char* name);

}  // namespace qbench::engine::kernels
