// The one source of all kernel tables; included by kernels_<isa>.cpp, which set the register blocking.
// GCC/Clang vector extensions: a 16-float vector is one AVX-512 register, two AVX ones or four SSE ones.
// Everything is in an anonymous namespace: code compiled for one instruction set must never be merged with
// another's.
#include "harness/engine/kernels/kernels.h"

namespace qbench::engine::kernels {
namespace {

using Vec = float __attribute__((vector_size(64)));
using IVec = int32_t __attribute__((vector_size(64)));
using DVec = double __attribute__((vector_size(128), aligned(64)));

#define QB_INLINE inline __attribute__((always_inline))

constexpr int kRows = QB_KERNEL_ROWS;        // weight rows per register tile
constexpr int kVectors = QB_KERNEL_VECTORS;  // strips per register tile
constexpr int64_t kBlock = QB_KERNEL_BLOCK;  // weight rows per cache tile
constexpr int64_t kPart = 256;               // features per partial sum
constexpr float kNegative = -1e30F;          // "no key seen yet"; finite, so that differences stay numbers
constexpr float kLog2E = 1.44269504088896341F;
constexpr float kLn2High = 0.693359375F, kLn2Low = -2.12194440e-4F;

QB_INLINE int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }
QB_INLINE Vec load(const float* p) { return *reinterpret_cast<const Vec*>(p); }
QB_INLINE void store(float* p, Vec v) { *reinterpret_cast<Vec*>(p) = v; }
QB_INLINE Vec set(float s) { return Vec{s, s, s, s, s, s, s, s, s, s, s, s, s, s, s, s}; }
QB_INLINE IVec seti(int32_t s) { return IVec{s, s, s, s, s, s, s, s, s, s, s, s, s, s, s, s}; }
QB_INLINE Vec larger(Vec a, Vec b) { return a > b ? a : b; }

// Nearest integer, ties to even, for |x| < 2^22: the addition rounds at the unit.
QB_INLINE Vec nearest(Vec x) {
  const Vec magic = set(12582912.0F);  // 1.5 * 2^23
  return (x + magic) - magic;
}

// e^r for |r| <= ln(2) / 2; minimax coefficients of Cephes' expf, about one unit in the last place.
QB_INLINE Vec exp_fraction(Vec r) {
  Vec p = set(1.9875691500e-4F);
  p = p * r + set(1.3981999507e-3F);
  p = p * r + set(8.3334519073e-3F);
  p = p * r + set(4.1665795894e-2F);
  p = p * r + set(1.6666665459e-1F);
  p = p * r + set(5.0000001201e-1F);
  return (p * r) * r + r + set(1.0F);
}

QB_INLINE Vec power_of_two(IVec n) {  // 2^n; 0 below the normal numbers
  const IVec bits = (n + seti(127)) << 23;
  return n < seti(-126) ? Vec{} : reinterpret_cast<Vec>(bits);
}

// e^x / 2^exponent. The scaling is a power of two, hence exact: the sum of such terms does not depend on the
// exponent.
QB_INLINE Vec exp_scaled(Vec x, IVec exponent) {
  const Vec floor = __builtin_convertvector(exponent, Vec) * set(0.693147181F) - set(95.0F);
  x = x < floor ? floor : x;
  const Vec n = nearest(x * set(kLog2E));
  const Vec r = (x - n * set(kLn2High)) - n * set(kLn2Low);
  return exp_fraction(r) * power_of_two(__builtin_convertvector(n, IVec) - exponent);
}

QB_INLINE Vec exp_of(Vec x) {  // saturates at e^88
  x = x > set(88.0F) ? set(88.0F) : x;
  return exp_scaled(x, seti(0));
}

QB_INLINE IVec exponent_of(Vec max) { return __builtin_convertvector(nearest(max * set(kLog2E)), IVec); }

// acc[r][v] += w[r][k] * x[v][k] for `steps` values of k in order.
template <int R, int V>
QB_INLINE void accumulate(Vec (&acc)[R][V], const float* w, int64_t w_row, int64_t w_step, const float* x,
                          int64_t x_vec, int64_t x_step, int64_t steps) {
  for (int64_t k = 0; k < steps; ++k) {
    Vec xv[V];
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v) xv[v] = load(x + v * x_vec + k * x_step);
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r) {
      const Vec weight = set(w[r * w_row + k * w_step]);
#pragma GCC unroll 4
      for (int v = 0; v < V; ++v) acc[r][v] += weight * xv[v];
    }
  }
}

template <int R, int V>
QB_INLINE void load_tile(Vec (&acc)[R][V], const float* c, bool zero) {
#pragma GCC unroll 8
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v) acc[r][v] = zero ? Vec{} : load(c + (r * V + v) * kStrip);
}

template <int R, int V>
QB_INLINE void store_tile(const Vec (&acc)[R][V], float* c) {
#pragma GCC unroll 8
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v) store(c + (r * V + v) * kStrip, acc[r][v]);
}

template <int R, int V>
QB_INLINE void add_tile(const Vec (&acc)[R][V], float* c) {
#pragma GCC unroll 8
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v) {
      float* at = c + (r * V + v) * kStrip;
      store(at, load(at) + acc[r][v]);
    }
}

// c [R][V][16] = R weight rows times V strips. Features are summed in order, in parts: the rounding error of
// a sum grows with its length, and the longest sums of a model are those over its largest activations.
template <int R, int V>
__attribute__((noinline)) void micro(const float* w, int64_t ldw, const float* x, int64_t x_vec,
                                     int64_t depth, float* c) {
  for (int64_t k = 0; k < depth; k += kPart) {
    Vec acc[R][V];
    load_tile(acc, c, true);
    accumulate(acc, w + k, ldw, 1, x + k * kStrip, x_vec, kStrip, smaller(kPart, depth - k));
    if (k == 0) {
      store_tile(acc, c);
    } else {
      add_tile(acc, c);
    }
  }
}

// c [rows][V][16] = weight rows times V strips.
template <int V>
void tile(const float* w, int64_t ldw, int64_t rows, const float* x, int64_t x_vec, int64_t depth, float* c) {
  int64_t r = 0;
  for (; r + kRows <= rows; r += kRows)
    micro<kRows, V>(w + r * ldw, ldw, x, x_vec, depth, c + r * V * kStrip);
  for (; r < rows; ++r) micro<1, V>(w + r * ldw, ldw, x, x_vec, depth, c + r * V * kStrip);
}

struct alignas(64) Tile {
  float data[kBlock * kVectors * kStrip];
};

void tile_any(int64_t vectors, const float* w, int64_t ldw, int64_t rows, const float* x, int64_t x_vec,
              int64_t depth, float* c) {
  if (vectors == 1) return tile<1>(w, ldw, rows, x, x_vec, depth, c);
  if constexpr (kVectors >= 3) {
    if (vectors == 2) return tile<2>(w, ldw, rows, x, x_vec, depth, c);
    tile<3>(w, ldw, rows, x, x_vec, depth, c);
  }
}

void gemm(const Gemm& g) {
  Tile c;
  for (int64_t n = 0; n < g.n; n += kBlock) {
    const int64_t rows = smaller(kBlock, g.n - n);
    for (int64_t s = 0; s < g.strips; s += kVectors) {
      const int64_t vectors = smaller(kVectors, g.strips - s);
      tile_any(vectors, g.weight + n * g.k, g.k, rows, g.x + s * g.x_rows * kStrip, g.x_rows * kStrip, g.k,
               c.data);
      for (int64_t v = 0; v < vectors; ++v) {
        float* out = g.out + ((s + v) * g.out_rows + n) * kStrip;
        for (int64_t r = 0; r < rows; ++r) {
          Vec value = load(c.data + (r * vectors + v) * kStrip);
          if (g.bias != nullptr) value += set(g.bias[n + r]);
          store(out + r * kStrip, g.add ? load(out + r * kStrip) + value : value);
        }
      }
    }
  }
}

QB_INLINE Vec gate_value(Gate gate, Vec x) {
  switch (gate) {
    case Gate::kSilu:
      return x / (set(1.0F) + exp_of(-x));
    case Gate::kRelu:
      return x > Vec{} ? x : Vec{};
    case Gate::kGeluTanh: {  // x / 2 (1 + tanh u) = x / (1 + e^(-2u))
      const Vec twice_u = set(1.5957691216F) * (x + set(0.044715F) * x * x * x);
      return x / (set(1.0F) + exp_of(-twice_u));
    }
    case Gate::kGelu: {
      Vec result;
      for (int i = 0; i < kStrip; ++i) result[i] = 0.5F * x[i] * (1.0F + __builtin_erff(x[i] * 0.70710678F));
      return result;
    }
  }
  return x;
}

void gated_gemm(const GatedGemm& g) {
  Tile gate, up;
  for (int64_t n = 0; n < g.n; n += kBlock) {
    const int64_t rows = smaller(kBlock, g.n - n);
    for (int64_t s = 0; s < g.strips; s += kVectors) {
      const int64_t vectors = smaller(kVectors, g.strips - s), x_vec = g.x_rows * kStrip;
      const float* x = g.x + s * x_vec;
      tile_any(vectors, g.gate_weight + n * g.k, g.k, rows, x, x_vec, g.k, gate.data);
      tile_any(vectors, g.up_weight + n * g.k, g.k, rows, x, x_vec, g.k, up.data);
      for (int64_t v = 0; v < vectors; ++v) {
        float* out = g.out + ((s + v) * g.out_rows + n) * kStrip;
        for (int64_t r = 0; r < rows; ++r) {
          Vec a = load(gate.data + (r * vectors + v) * kStrip),
              b = load(up.data + (r * vectors + v) * kStrip);
          if (g.gate_bias != nullptr) a += set(g.gate_bias[n + r]);
          if (g.up_bias != nullptr) b += set(g.up_bias[n + r]);
          store(out + r * kStrip, gate_value(g.gate, a) * b);
        }
      }
    }
  }
}

Vec root(Vec x) {
  for (int i = 0; i < kStrip; ++i) x[i] = __builtin_sqrtf(x[i]);
  return x;
}

void rms_norm(const float* x, int64_t rows, int64_t strips, const float* weight, float eps, float* out) {
  for (int64_t s = 0; s < strips; ++s, x += rows * kStrip, out += rows * kStrip) {
    Vec total{};
    for (int64_t f = 0; f < rows; f += kPart) {
      Vec part{};
      for (int64_t i = f; i < smaller(rows, f + kPart); ++i)
        part += load(x + i * kStrip) * load(x + i * kStrip);
      total += part;
    }
    const Vec factor = set(1.0F) / root(total / set(static_cast<float>(rows)) + set(eps));
    for (int64_t f = 0; f < rows; ++f)
      store(out + f * kStrip, load(x + f * kStrip) * factor * set(weight[f]));
  }
}

void rotate(float* x, int64_t x_rows, int64_t strips, int64_t heads, int64_t head_dim, const float* cos,
            const float* sin, float scale) {
  const int64_t half = head_dim / 2;
  for (int64_t s = 0; s < strips; ++s, cos += half * kStrip, sin += half * kStrip) {
    for (int64_t h = 0; h < heads; ++h) {
      float* first = x + (s * x_rows + h * head_dim) * kStrip;
      float* second = first + half * kStrip;
      for (int64_t i = 0; i < half * kStrip; i += kStrip) {
        const Vec a = load(first + i), b = load(second + i), c = load(cos + i), d = load(sin + i);
        store(first + i, (a * c - b * d) * set(scale));
        store(second + i, (b * c + a * d) * set(scale));
      }
    }
  }
}

#include "harness/engine/kernels/attention_impl.h"
#include "harness/engine/kernels/head_impl.h"

void range(const float* x, int64_t rows, int64_t strips, float* low, float* high) {
  for (int64_t s = 0; s < strips; ++s, x += rows * kStrip) {
    Vec lo = load(x), hi = lo;
    for (int64_t f = 1; f < rows; ++f) {
      const Vec value = load(x + f * kStrip);
      lo = value < lo ? value : lo;
      hi = larger(value, hi);
    }
    store(low + s * kStrip, lo);
    store(high + s * kStrip, hi);
  }
}

void quantize(const float* x, int64_t rows, int64_t strips, const float* scale, const float* zero, float lo,
              float hi, float* out) {
  for (int64_t s = 0; s < strips; ++s, x += rows * kStrip, out += rows * kStrip) {
    const Vec step = load(scale + s * kStrip), offset = load(zero + s * kStrip);
    for (int64_t f = 0; f < rows; ++f) {
      Vec code = nearest(load(x + f * kStrip) / step) + offset;
      code = code < set(lo) ? set(lo) : code;
      code = code > set(hi) ? set(hi) : code;
      store(out + f * kStrip, (code - offset) * step);
    }
  }
}

void to_strips(const float* x, int64_t tokens, int64_t rows, float* out, int64_t out_rows) {
  for (int64_t s = 0; s * kStrip < tokens; ++s) {
    float* strip = out + s * out_rows * kStrip;
    const int64_t present = smaller(kStrip, tokens - s * kStrip);
    for (int64_t f = 0; f < rows; ++f) {
      for (int64_t t = 0; t < present; ++t) strip[f * kStrip + t] = x[(s * kStrip + t) * rows + f];
      for (int64_t t = present; t < kStrip; ++t) strip[f * kStrip + t] = 0.0F;
    }
  }
}

void from_strips(const float* x, int64_t x_rows, int64_t tokens, int64_t rows, float* out) {
  for (int64_t s = 0; s * kStrip < tokens; ++s) {
    const float* strip = x + s * x_rows * kStrip;
    const int64_t present = smaller(kStrip, tokens - s * kStrip);
    for (int64_t t = 0; t < present; ++t) {
      for (int64_t f = 0; f < rows; ++f) out[(s * kStrip + t) * rows + f] = strip[f * kStrip + t];
    }
  }
}

}  // namespace

extern const Table QB_KERNEL_TABLE;
const Table QB_KERNEL_TABLE = {QB_KERNEL_NAME,   gemm,       gated_gemm, rms_norm, rotate, attention,
                               decode_attention, head,       head_pair,  dot,      range,  quantize,
                               to_strips,        from_strips};

}  // namespace qbench::engine::kernels
