// Included by kernels_impl.h, inside its namespace. Logits tile by tile, reduced while the tile is in cache.

void start(LogitState* states, int64_t strips) {
  for (int64_t s = 0; s < strips; ++s) {
    for (int i = 0; i < kStrip; ++i) {
      states[s].max[i] = -__builtin_inff();
      states[s].argmax[i] = 0;
      states[s].exponent[i] = -100000;
      states[s].sum[i] = 0.0;
      states[s].poison[i] = 0.0F;
    }
  }
}

QB_INLINE IVec loadi(const int32_t* p) { return *reinterpret_cast<const IVec*>(p); }
QB_INLINE void storei(int32_t* p, IVec v) { *reinterpret_cast<IVec*>(p) = v; }

// total = total * 2^shift + part, lane by lane; shift <= 0.
QB_INLINE void add_scaled(double* total, const Vec& shrink, const Vec& part) {
  DVec sum = *reinterpret_cast<const DVec*>(total);
  sum = sum * __builtin_convertvector(shrink, DVec) + __builtin_convertvector(part, DVec);
  *reinterpret_cast<DVec*>(total) = sum;
}

// Maximum, its first index and the reference exponent after `rows` more logits of one strip; returns the
// factor by which sums taken so far shrink.
QB_INLINE Vec update_maximum(LogitState& state, const float* logits, int64_t row_floats, int64_t rows,
                             int64_t first) {
  Vec max = load(state.max), poison = load(state.poison);
  IVec argmax = loadi(state.argmax);
  for (int64_t r = 0; r < rows; ++r) {
    const Vec value = load(logits + r * row_floats);
    argmax = value > max ? seti(static_cast<int32_t>(first + r)) : argmax;
    max = larger(value, max);
    poison += value * Vec{};
  }
  const IVec before = loadi(state.exponent);
  const IVec after = (max > set(-1e6F)) & (max < set(1e6F)) ? exponent_of(max) : before;
  store(state.max, max);
  store(state.poison, poison);
  storei(state.argmax, argmax);
  storei(state.exponent, after);
  return power_of_two(before - after);
}

constexpr int64_t kPartRows = 16;  // terms added in float32 before the sum goes on in double

QB_INLINE void reduce(LogitState& state, const float* logits, int64_t row_floats, int64_t rows,
                      int64_t first) {
  Vec shrink = update_maximum(state, logits, row_floats, rows, first);
  const IVec exponent = loadi(state.exponent);
  for (int64_t r = 0; r < rows; r += kPartRows) {
    Vec part{};
    for (int64_t i = r; i < smaller(rows, r + kPartRows); ++i)
      part += exp_scaled(load(logits + i * row_floats), exponent);
    add_scaled(state.sum, shrink, part);
    shrink = set(1.0F);
  }
}

void head(const Head& h) {
  Tile c;
  start(h.states, h.strips);
  for (int64_t n = 0; n < h.vocab; n += kBlock) {
    const int64_t rows = smaller(kBlock, h.vocab - n);
    for (int64_t s = 0; s < h.strips; s += kVectors) {
      const int64_t vectors = smaller(kVectors, h.strips - s), x_vec = h.k * kStrip;
      tile_any(vectors, h.weight + n * h.k, h.k, rows, h.x + s * x_vec, x_vec, h.k, c.data);
      for (int64_t v = 0; v < vectors; ++v)
        reduce(h.states[s + v], c.data + v * kStrip, vectors * kStrip, rows, n);
    }
  }
}

QB_INLINE void reduce_pair(LogitState& model, LogitState& base, double* weighted, const float* logits,
                           const float* base_logits, int64_t row_floats, int64_t rows, int64_t first) {
  reduce(model, logits, row_floats, rows, first);
  Vec shrink = update_maximum(base, base_logits, row_floats, rows, first);
  const IVec exponent = loadi(base.exponent);
  for (int64_t r = 0; r < rows; r += kPartRows) {
    Vec part{}, weighted_part{};
    for (int64_t i = r; i < smaller(rows, r + kPartRows); ++i) {
      const Vec b = load(base_logits + i * row_floats), p = exp_scaled(b, exponent);
      part += p;
      weighted_part += p * (b - load(logits + i * row_floats));
    }
    add_scaled(base.sum, shrink, part);
    add_scaled(weighted, shrink, weighted_part);
    shrink = set(1.0F);
  }
}

void head_pair(const HeadPair& h) {
  Tile c, d;
  start(h.model.states, h.model.strips);
  start(h.base.states, h.base.strips);
  for (int64_t i = 0; i < h.model.strips * kStrip; ++i) h.weighted[i] = 0.0;
  for (int64_t n = 0; n < h.model.vocab; n += kBlock) {
    const int64_t rows = smaller(kBlock, h.model.vocab - n), depth = h.model.k, x_vec = depth * kStrip;
    for (int64_t s = 0; s < h.model.strips; s += kVectors) {
      const int64_t vectors = smaller(kVectors, h.model.strips - s);
      tile_any(vectors, h.model.weight + n * depth, depth, rows, h.model.x + s * x_vec, x_vec, depth, c.data);
      tile_any(vectors, h.base.weight + n * depth, depth, rows, h.base.x + s * x_vec, x_vec, depth, d.data);
      for (int64_t v = 0; v < vectors; ++v) {
        reduce_pair(h.model.states[s + v], h.base.states[s + v], h.weighted + (s + v) * kStrip,
                    c.data + v * kStrip, d.data + v * kStrip, vectors * kStrip, rows, n);
      }
    }
  }
}

// By the very function the tiles are made of, so that the bits agree however the compiler forms products and
// sums.
float dot(const float* weight, const float* x, int64_t lane, int64_t k) {
  Vec result;
  micro<1, 1>(weight, k, x, k * kStrip, k, reinterpret_cast<float*>(&result));
  return result[lane];
}
