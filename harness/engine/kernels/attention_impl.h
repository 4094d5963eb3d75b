// Included by kernels_impl.h, inside its namespace. Attention over key runs with an online softmax.

// The softmax's reference point is a power of two near the maximum, not the maximum: rescaling is then exact.
constexpr int kKeyRows =
    kRows >= 8 ? 8 : (kRows >= 4 ? 4 : 2);  // keys, then head features, per register tile

template <int V>
struct QueryState {
  Vec max[V];
  IVec exponent[V];
  Vec sum[V];
};

// scores [8][V][16] of one group of keys (lanes half..half+7 of a strip whose first feature row is `k`).
template <int V>
QB_INLINE void score_group(const float* k, const float* q, int64_t head_dim, float* scores) {
#pragma GCC unroll 4
  for (int64_t r = 0; r < kGroup; r += kKeyRows) {
    Vec acc[kKeyRows][V];
    load_tile(acc, scores, true);
    accumulate(acc, k + r, 1, kStrip, q, head_dim * kStrip, kStrip, head_dim);
    store_tile(acc, scores + r * V * kStrip);
  }
}

template <int V>
QB_INLINE void mask_group(const uint16_t* masks, float* scores) {
  const IVec lane = {1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384, 32768};
  for (int64_t r = 0; r < kGroup; ++r) {
    const IVec seen = lane & seti(masks[r]);
    for (int v = 0; v < V; ++v) {
      float* row = scores + (r * V + v) * kStrip;
      store(row, seen != seti(0) ? load(row) : set(-__builtin_inff()));
    }
  }
}

template <int V>
int64_t score_block(const Attention& a, const KeyBlock& block, const float* q, int64_t kv_row,
                    float* scores) {
  int64_t row = 0;
  for (int32_t i = block.begin; i < block.end; ++i) {
    const KeyRun& run = a.runs[i];
    const KeySource& source = a.sources[run.source];
    for (int32_t g = run.group; g < run.group + run.count; ++g, row += kGroup) {
      const float* k = source.k + ((g >> 1) * source.rows + kv_row) * kStrip + (g & 1) * kGroup;
      score_group<V>(k, q, a.head_dim, scores + row * V * kStrip);
      if (run.mask >= 0) mask_group<V>(a.masks + run.mask * kGroup, scores + row * V * kStrip);
    }
  }
  return row;
}

// Turns scores into exp(score) / 2^exponent and returns the factor by which earlier sums shrink.
template <int V>
QB_INLINE void exponentiate(float* scores, int64_t rows, QueryState<V>& state, Vec (&shrink)[V]) {
  Vec max[V];
  for (int v = 0; v < V; ++v) max[v] = state.max[v];
  for (int64_t r = 0; r < rows; ++r) {
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v) max[v] = larger(load(scores + (r * V + v) * kStrip), max[v]);
  }
  Vec sum[V];
  for (int v = 0; v < V; ++v) {
    const IVec before = state.exponent[v];
    // Nothing seen so far: the sums are zero and any factor does.
    state.exponent[v] = max[v] > set(kNegative) ? exponent_of(max[v]) : before;
    shrink[v] = state.max[v] > set(kNegative) ? power_of_two(before - state.exponent[v]) : set(1.0F);
    state.max[v] = max[v];
    sum[v] = Vec{};
  }
  for (int64_t r = 0; r < rows; ++r) {
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v) {
      const Vec p = exp_scaled(load(scores + (r * V + v) * kStrip), state.exponent[v]);
      store(scores + (r * V + v) * kStrip, p);
      sum[v] += p;
    }
  }
  for (int v = 0; v < V; ++v) state.sum[v] = state.sum[v] * shrink[v] + sum[v];
}

// values [R][V][16] = values * shrink + sum over the block's keys of V[feature][key] * p[key].
template <int R, int V>
QB_INLINE void add_values(const Attention& a, const KeyBlock& block, int64_t v_row, const float* p,
                          const Vec (&shrink)[V], float* values) {
  Vec acc[R][V];
  load_tile(acc, values, true);
  for (int32_t i = block.begin; i < block.end; ++i) {
    const KeyRun& run = a.runs[i];
    const KeySource& source = a.sources[run.source];
    for (int32_t g = run.group; g < run.group + run.count; ++g, p += kGroup * V * kStrip) {
      const float* v = source.v + ((g >> 1) * source.rows + v_row) * kStrip + (g & 1) * kGroup;
      accumulate(acc, v, kStrip, 1, p, kStrip, V * kStrip, kGroup);
    }
  }
  for (int r = 0; r < R; ++r) {
    for (int v = 0; v < V; ++v) {
      float* value = values + (r * V + v) * kStrip;
      store(value, load(value) * shrink[v] + acc[r][v]);
    }
  }
}

// V consecutive heads that share one kv head, for one strip of queries.
template <int V>
__attribute__((noinline)) void attend(const Attention& a, int64_t strip, int64_t head, int64_t kv_head) {
  const float* q = a.q + (strip * a.q_rows + head * a.head_dim) * kStrip;
  const int64_t kv_row = kv_head * a.head_dim;
  float* values = a.scratch;
  float* scores = a.scratch + a.head_dim * V * kStrip;
  QueryState<V> state;
  for (int v = 0; v < V; ++v) {
    state.max[v] = set(kNegative);
    state.exponent[v] = IVec{};
    state.sum[v] = Vec{};
  }
  for (int64_t i = 0; i < a.head_dim * V; ++i) store(values + i * kStrip, Vec{});
  for (int32_t b = a.strip_blocks[strip]; b < a.strip_blocks[strip + 1]; ++b) {
    const int64_t rows = score_block<V>(a, a.blocks[b], q, kv_row, scores);
    Vec shrink[V];
    exponentiate<V>(scores, rows, state, shrink);
    int64_t f = 0;
    for (; f + kKeyRows <= a.head_dim; f += kKeyRows) {
      add_values<kKeyRows, V>(a, a.blocks[b], kv_row + f, scores, shrink, values + f * V * kStrip);
    }
    for (; f < a.head_dim; ++f)
      add_values<1, V>(a, a.blocks[b], kv_row + f, scores, shrink, values + f * V * kStrip);
  }
  for (int v = 0; v < V; ++v) {
    float* out = a.out + (strip * a.out_rows + (head + v) * a.head_dim) * kStrip;
    for (int64_t f = 0; f < a.head_dim; ++f)
      store(out + f * kStrip, load(values + (f * V + v) * kStrip) / state.sum[v]);
  }
}

void attention(const Attention& a) {
  const int64_t group = a.heads / a.kv_heads;
  for (int64_t kv_head = 0; kv_head < a.kv_heads; ++kv_head) {
    for (int64_t strip = 0; strip < a.strips; ++strip) {
      int64_t head = kv_head * group;
      const int64_t end = head + group;
      if constexpr (kVectors >= 3) {
        // 4 = 2 + 2 rather than 3 + 1: one vector alone cannot keep the multipliers busy.
        for (; end - head >= 3 && end - head != 4; head += 3) attend<3>(a, strip, head, kv_head);
        for (; end - head >= 2; head += 2) attend<2>(a, strip, head, kv_head);
      }
      for (; head < end; ++head) attend<1>(a, strip, head, kv_head);
    }
  }
}

// One query: lanes are keys while scoring, and the sum over keys runs in 16 partial sums by key position.
void decode_attention(const DecodeAttention& a) {
  const int64_t group = a.heads / a.kv_heads, strips = (a.keys + kStrip - 1) / kStrip;
  const IVec lane = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
  for (int64_t head = 0; head < a.heads; ++head) {
    const float* q = a.q + head * a.head_dim * kStrip + a.lane;
    const int64_t kv_row = head / group * a.head_dim;
    Vec max = set(kNegative);
    for (int64_t s = 0; s < strips; ++s) {
      const float* k = a.source.k + (s * a.source.rows + kv_row) * kStrip;
      Vec score{};
      for (int64_t f = 0; f < a.head_dim; ++f) score += set(q[f * kStrip]) * load(k + f * kStrip);
      const IVec valid = lane < seti(static_cast<int32_t>(smaller(kStrip, a.keys - s * kStrip)));
      score = valid ? score : set(-__builtin_inff());
      store(a.scratch + s * kStrip, score);
      max = larger(score, max);
    }
    float top = max[0];
    for (int i = 1; i < kStrip; ++i) top = max[i] > top ? max[i] : top;
    const IVec exponent = exponent_of(set(top));
    Vec sums{};
    for (int64_t s = 0; s < strips; ++s) {
      const Vec p = exp_scaled(load(a.scratch + s * kStrip), exponent);
      store(a.scratch + s * kStrip, p);
      sums += p;
    }
    float total = 0.0F;
    for (int i = 0; i < kStrip; ++i) total += sums[i];
    for (int64_t f = 0; f < a.head_dim; ++f) {
      Vec parts{};
      for (int64_t s = 0; s < strips; ++s) {
        parts += load(a.scratch + s * kStrip) * load(a.source.v + (s * a.source.rows + kv_row + f) * kStrip);
      }
      float value = 0.0F;
      for (int i = 0; i < kStrip; ++i) value += parts[i];
      a.out[(head * a.head_dim + f) * kStrip + a.lane] = value / total;
    }
  }
}
