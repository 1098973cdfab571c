// The two matrix products of a block, H = X W^T and W += C^T X, for one vector of neurons, by table look-up.
#pragma once

#include "reals.h"
#include "samples.h"

namespace PARITY_LEVEL {

template <class F>
struct Products {
  using Vec = VecOf<F>;
  static constexpr int64_t kLane = kLanesOf<F>;
  static constexpr int64_t kTable = kEntries * kLane;

  const Shape& shape;
  F* tables;  // of weights: kSlab tables
  F* moves;   // of the samples' c: kMaxRows / 4 tables

  Products(const Shape& s, Arena& arena)
      : shape(s),
        tables(arena.take<F>(kSlab * kTable)),
        moves(arena.take<F>(parity::kMaxRows / kGroup * kTable)) {}

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

  // Adds the chosen entry of each of `groups` tables to kCount = 4 or 8 sums at once; with four, an addition waits for
  // the one before. Offsets of four sums are read as one word; those of the next four lie `apart` further.
  template <int kCount>
  static PARITY_INLINE void look_up(const F* tables, const uint16_t* offsets, int64_t apart, int64_t groups,
                                    Vec* sums) {
    Vec s[kCount];
    for (int u = 0; u < kCount; ++u) s[u] = sums[u];
    const char* base = reinterpret_cast<const char*>(tables);
    for (int64_t g = 0; g < groups; ++g, offsets += 4) {
      for (int q = 0; q < kCount; q += 4) {
        uint64_t four;
        std::memcpy(&four, offsets + q / 4 * apart, sizeof four);
        for (int u = 0; u < 4; ++u) s[q + u] += *reinterpret_cast<const Vec*>(base + (four >> 16 * u & 0xFFFF));
      }
    }
    for (int u = 0; u < kCount; ++u) sums[u] = s[u];
  }

  // h[t * stride] = <w, x_t> for the samples of a block; weights [padded][kLane].
  void forward(const F* weights, const Block<F>& block, F* h, int64_t stride) const {
    for (int64_t slab = 0; slab < shape.slabs; ++slab) {
      tabulate_slab(weights, slab);
      add_slab(slab, block, h, stride);
    }
  }

  void tabulate_slab(const F* weights, int64_t slab) const {
    F* table = tables;
    for (int64_t g = shape.slab_begin(slab); g < shape.slab_begin(slab + 1); ++g, table += kTable) {
      const F* w = weights + g * kGroup * kLane;
      tabulate(table, at(w), at(w + kLane), at(w + 2 * kLane), at(w + 3 * kLane));
    }
  }

  // weights = keep * weights + sum over the block's samples of share[t] * c[t * stride] * x_t. `share` may be null
  // (all 1, and keep 1). Rows of c up to a multiple of 4 must be there; those past the last sample count as 0.
  void update(F* weights, const Block<F>& block, const F* c, int64_t stride, const F* share, F keep) const {
    tabulate_moves(block, c, stride, share);
    move(weights, block, 0, shape.groups, share != nullptr, keep, [](int64_t, const Vec*) {});
  }

  // Update with one block and forward to the next, whose h takes the place of c. A table's stores go on while the next
  // group's look-ups load.
  void advance(F* weights, const Block<F>& block, const Block<F>& next, F* h, int64_t stride, const F* share,
               F keep) const {
    tabulate_moves(block, h, stride, share);
    for (int64_t slab = 0; slab < shape.slabs; ++slab) {
      const int64_t begin = shape.slab_begin(slab);
      move(weights, block, begin, shape.slab_begin(slab + 1), share != nullptr, keep, [&](int64_t g, const Vec* w) {
        tabulate(tables + (g - begin) * kTable, w[0], w[1], w[2], w[3]);
      });
      add_slab(slab, next, h, stride);
    }
  }

 private:
  void add_slab(int64_t slab, const Block<F>& block, F* h, int64_t stride) const {
    const int64_t begin = shape.slab_begin(slab), groups = shape.slab_begin(slab + 1) - begin;
    for (int64_t t = 0; t < block.rows; t += kSums, h += kSums * stride) {
      Vec sums[kSums] = {};
      if (slab > 0) {
        for (int64_t u = 0; u < kSums; ++u) sums[u] = at(h + u * stride);
      }
      look_up<kSums>(tables, block.forward + (t * shape.groups + begin * 4), shape.groups * 4, groups, sums);
      for (int64_t u = 0; u < kSums; ++u) at(h + u * stride) = sums[u];
    }
  }

  void tabulate_moves(const Block<F>& block, const F* c, int64_t stride, const F* share) const {
    for (int64_t t = 0; t < block.rows; t += 4, c += 4 * stride) {
      Vec rows[4];
      for (int64_t u = 0; u < 4; ++u) {
        rows[u] = t + u < block.rows ? at(c + u * stride) : Vec{};
        if (share != nullptr && t + u < block.rows) rows[u] *= share[t + u];
      }
      tabulate(moves + t / 4 * kTable, rows[0], rows[1], rows[2], rows[3]);
    }
  }

  // Moves the weights of groups begin .. end - 1, two at a time, and gives those of each to `then`.
  template <class Then>
  PARITY_INLINE void move(F* weights, const Block<F>& block, int64_t begin, int64_t end, bool shrinks, F keep,
                          const Then& then) const {
    int64_t g = begin;
    for (; g + 2 <= end; g += 2) {
      Vec w[8];
      move_groups<2>(weights, block, g, shrinks, keep, w);
      then(g, w), then(g + 1, w + 4);
    }
    for (; g < end; ++g) {
      Vec w[4];
      move_groups<1>(weights, block, g, shrinks, keep, w);
      then(g, w);
    }
  }

  // Moves the weights of kGroups groups and returns them; those past the last coordinate stay 0.
  template <int kGroups>
  PARITY_INLINE void move_groups(F* weights, const Block<F>& block, int64_t g, bool shrinks, F keep, Vec* sums) const {
    F* w = weights + g * kGroup * kLane;
    for (int64_t u = 0; u < 4 * kGroups; ++u) sums[u] = at(w + u * kLane);
    if (shrinks) {
      for (int64_t u = 0; u < 4 * kGroups; ++u) sums[u] *= keep;
    }
    const int64_t apart = block.sample_groups() * 4;
    look_up<4 * kGroups>(moves, block.update + g * apart, apart, block.sample_groups(), sums);
    for (int64_t u = 0; u < 4 * kGroups; ++u) {
      if (g * kGroup + u < shape.coordinates) {
        at(w + u * kLane) = sums[u];
      } else {
        sums[u] = Vec{};
      }
    }
  }
};

}  // namespace PARITY_LEVEL
