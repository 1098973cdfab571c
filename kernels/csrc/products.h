// The two matrix products of a block, H = X W^T and W += C^T X, for one vector of neurons, by table look-up.
#pragma once

#include "reals.h"
#include "samples.h"

namespace PARITY_LEVEL {

template <class F>
struct Products {
  using Vec = VecOf<F>;
  static constexpr int64_t kLane = kLanesOf<F>;

  const Shape& shape;
  F* tables;  // of weights: kSlab tables of kEntries vectors
  F* moves;   // of the samples' c: kMaxRows / 4 tables

  Products(const Shape& s, Arena& arena)
      : shape(s),
        tables(arena.take<F>(kSlab * kEntries * kLane)),
        moves(arena.take<F>(parity::kMaxRows / kGroup * kEntries * kLane)) {}

  // All signed sums of four vectors; bit u of the entry's number is the sign of vector u.
  static PARITY_INLINE void tabulate(F* table, Vec w0, Vec w1, Vec w2, Vec w3) {
    const Vec low[4] = {w0 + w1, w1 - w0, w0 - w1, -(w0 + w1)};
    const Vec sum = w2 + w3, difference = w3 - w2;
    for (int64_t e = 0; e < 4; ++e) {
      at(table + e * kLane) = low[e] + sum;
      at(table + (4 + e) * kLane) = low[e] + difference;
      at(table + (8 + e) * kLane) = low[e] - difference;
      at(table + (12 + e) * kLane) = low[e] - sum;
    }
  }

  // Adds the chosen entry of each of `groups` tables to four sums at once. Loads are what limits this: four offsets are
  // one of them.
  static PARITY_INLINE void look_up(const F* tables, const uint16_t* offsets, int64_t groups, Vec sums[4]) {
    Vec s0 = sums[0], s1 = sums[1], s2 = sums[2], s3 = sums[3];
    const char* base = reinterpret_cast<const char*>(tables);
    const auto entry = [base](uint64_t offset) -> const Vec& {
      return *reinterpret_cast<const Vec*>(base + (offset & 0xFFFF));
    };
    for (int64_t g = 0; g < groups; ++g, offsets += 4) {
      uint64_t four;
      std::memcpy(&four, offsets, sizeof four);
      s0 += entry(four);
      s1 += entry(four >> 16);
      s2 += entry(four >> 32);
      s3 += entry(four >> 48);
    }
    sums[0] = s0, sums[1] = s1, sums[2] = s2, sums[3] = s3;
  }

  // h[t * stride] = <w, x_t> for the samples of a block; weights [padded][kLane].
  void forward(const F* weights, const Block<F>& block, F* h, int64_t stride) const {
    for (int64_t slab = 0; slab < shape.slabs; ++slab) {
      const int64_t begin = shape.slab_begin(slab);
      tabulate_slab(weights, begin, shape.slab_begin(slab + 1) - begin);
      add_slab(slab, block, h, stride);
    }
  }

  void tabulate_slab(const F* weights, int64_t begin, int64_t groups) const {
    const F* w = weights + begin * kGroup * kLane;
    for (int64_t g = 0; g < groups; ++g, w += 4 * kLane) {
      tabulate(tables + g * kEntries * kLane, at(w), at(w + kLane), at(w + 2 * kLane), at(w + 3 * kLane));
    }
  }

  // weights = keep * weights + sum over the block's samples of share[t] * c[t * stride] * x_t. `share` may be null
  // (all 1, and keep 1). Rows of c up to a multiple of 4 must be there; those past the last sample count as 0.
  void update(F* weights, const Block<F>& block, const F* c, int64_t stride, const F* share, F keep) const {
    tabulate_moves(block, c, stride, share);
    for (int64_t g = 0; g < shape.groups; ++g) {
      Vec w[4];
      move(weights, block, g, share != nullptr, keep, w);
    }
  }

  // Update with one block and forward to the next, whose h takes the place of c. A table's stores go on while the next
  // group's look-ups load.
  void advance(F* weights, const Block<F>& block, const Block<F>& next, F* h, int64_t stride, const F* share,
               F keep) const {
    tabulate_moves(block, h, stride, share);
    for (int64_t slab = 0; slab < shape.slabs; ++slab) {
      const int64_t begin = shape.slab_begin(slab), end = shape.slab_begin(slab + 1);
      for (int64_t g = begin; g < end; ++g) {
        Vec w[4];
        move(weights, block, g, share != nullptr, keep, w);
        tabulate(tables + (g - begin) * kEntries * kLane, w[0], w[1], w[2], w[3]);
      }
      add_slab(slab, next, h, stride);
    }
  }

 private:
  void add_slab(int64_t slab, const Block<F>& block, F* h, int64_t stride) const {
    const int64_t begin = shape.slab_begin(slab), groups = shape.slab_begin(slab + 1) - begin;
    for (int64_t t = 0; t < block.rows; t += 4) {
      Vec sums[4] = {};
      if (slab > 0) {
        for (int64_t u = 0; u < 4; ++u) sums[u] = at(h + (t + u) * stride);
      }
      look_up(tables, block.forward + (t / 4 * shape.groups + begin) * 4, groups, sums);
      for (int64_t u = 0; u < 4; ++u) at(h + (t + u) * stride) = sums[u];
    }
  }

  void tabulate_moves(const Block<F>& block, const F* c, int64_t stride, const F* share) const {
    for (int64_t t = 0; t < block.rows; t += 4) {
      Vec rows[4];
      for (int64_t u = 0; u < 4; ++u) {
        rows[u] = t + u < block.rows ? at(c + (t + u) * stride) : Vec{};
        if (share != nullptr && t + u < block.rows) rows[u] *= share[t + u];
      }
      tabulate(moves + t / 4 * kEntries * kLane, rows[0], rows[1], rows[2], rows[3]);
    }
  }

  // Moves the weights of group g, and returns them; those past the last coordinate stay 0.
  PARITY_INLINE void move(F* weights, const Block<F>& block, int64_t g, bool shrinks, F keep, Vec sums[4]) const {
    F* w = weights + g * kGroup * kLane;
    for (int64_t u = 0; u < 4; ++u) sums[u] = at(w + u * kLane);
    if (shrinks) {
      for (int64_t u = 0; u < 4; ++u) sums[u] *= keep;
    }
    const int64_t groups = block.sample_groups();
    look_up(moves, block.update + g * kGroup * groups, groups, sums);
    for (int64_t u = 0; u < 4; ++u) {
      if (g * kGroup + u < shape.coordinates) {
        at(w + u * kLane) = sums[u];
      } else {
        sums[u] = Vec{};
      }
    }
  }
};

}  // namespace PARITY_LEVEL
