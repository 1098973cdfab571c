// First-step sums with samples in the bits of a vector: one neuron after the other over a whole block of inputs.
// For few neurons per stream. Per 8 * kBytes samples, neuron and coordinate: one full adder for the
// activation, one `and_xor` and one full adder (or, with kFastCount, one count and one addition) for the gradient.
#pragma once

#include "chunk.h"
#include "threshold.h"

namespace PARITY_LEVEL {

class Sliced {
 public:
  static constexpr int64_t kChunk = kSubs;  // sub-blocks of the chunks it takes

  // Neurons first .. last - 1 of the stream.
  Sliced(const Job& job, int64_t stream, int64_t first, int64_t last, Arena& arena)
      : job_(job),
        stream_(stream),
        first_(first),
        count_(last - first),
        units_(arena.take<Threshold>(count_)),
        rows_(arena.take<uint32_t>(count_ * Threshold::capacity(job.n))),
        fires_(arena.take<V>(count_ * kVectors)),
        planes_(arena.take<V>(job.classes * count_ * job.n * kStored)),
        active_(arena.take<int64_t>(count_)),
        labelled_(arena.take<int64_t>(job.classes * count_)) {
    for (int64_t j = 0; j < count_; ++j) {
      const int64_t at = stream * job.neurons + first + j;
      units_[j].prepare(job.weights + at * job.n, job.n, job.q[at], rows_ + j * Threshold::capacity(job.n));
    }
  }

  void draw(Chunk& chunk, int64_t s) { chunk.draw(s); }

  // Activations on sub-block s, best while its inputs are still in the first-level cache.
  void fire(const Chunk& chunk, int64_t s) {
    for (int64_t j = 0; j < count_; ++j) units_[j].run(chunk.sub(s), fires_ + j * kVectors + s * kPer);
  }

  // Adds the samples lo .. hi - 1 of the chunk, on which fire() has been called.
  PARITY_NOINLINE void add(const Chunk& chunk, int64_t lo, int64_t hi) {
    V mask[kVectors];
    for (int v = 0; v < kVectors; ++v) mask[v] = sample_mask(v, lo, hi);
    int64_t j = 0;
    for (; j + kShare <= count_; j += kShare) add_units<kShare>(chunk, j, mask);
    for (; j < count_; ++j) add_units<1>(chunk, j, mask);
  }

  bool full() const { return false; }

  // Moves everything counted so far into the record's sums.
  PARITY_NOINLINE void flush(const Chunk&, int64_t record) {
    const int64_t base = record * job_.streams + stream_;
    for (int64_t j = 0; j < count_; ++j) {
      __atomic_fetch_add(job_.active + base * job_.neurons + first_ + j, active_[j], __ATOMIC_RELAXED);
      active_[j] = 0;
      for (int64_t c = 0; c < job_.classes; ++c) {
        const int64_t unit = c * count_ + j;
        int64_t* out = job_.sums + ((base * job_.classes + c) * job_.neurons + first_ + j) * job_.n;
        for (int64_t i = 0; i < job_.n; ++i) {
          V* p = planes_ + (unit * job_.n + i) * kStored;
          V count = p[kLevels] << kLevels;
          for (int l = 0; l < kLevels; ++l) count += count_ones(p[l]) << l;
          for (int l = 0; l < kStored; ++l) p[l] = zero();
          // label * x = -1 on the counted samples, +1 on the other active ones
          __atomic_fetch_add(out + i, labelled_[unit] - 2 * int64_t(total(count)), __ATOMIC_RELAXED);
        }
        labelled_[unit] = 0;
      }
    }
  }

 private:
  static constexpr int kVectors = int(kSubs) * kPer;
  static constexpr int kTree = kFastCount ? 1 : kVectors < 16 ? kVectors : 16;
  static constexpr int kShare = kFastCount ? 2 : 1;  // neurons that share the loads of the inputs
  static constexpr int kLevels = log2_of(kTree);
  static constexpr int kStored = kLevels + 1;  // the planes, then the number of carries out of them

  // Units: neurons, from j on.
  template <int Units>
  PARITY_NOINLINE void add_units(const Chunk& chunk, int64_t j, const V* mask) {
    V fires[Units][kVectors];
    for (int u = 0; u < Units; ++u) {
      V count = zero();
      for (int v = 0; v < kVectors; ++v) {
        fires[u][v] = fires_[(j + u) * kVectors + v] & mask[v];
        count += count_ones(fires[u][v]);
      }
      active_[j + u] += int64_t(total(count));
    }
    for (int64_t c = 0; c < job_.classes; ++c) add_class<Units>(chunk, j, c, fires);
  }

  template <int Units>
  PARITY_NOINLINE void add_class(const Chunk& chunk, int64_t j, int64_t c, const V (*fires)[kVectors]) {
    V counted[Units][kVectors], negative[kVectors];
    const int64_t unit = c * count_ + j;
    for (int v = 0; v < kVectors; ++v) negative[v] = chunk.negative[c * kVectors + v];
    for (int u = 0; u < Units; ++u) {
      V count = zero();
      for (int v = 0; v < kVectors; ++v) {
        counted[u][v] = fires[u][v] & chunk.present[c * kVectors + v];
        count += count_ones(counted[u][v]);
      }
      labelled_[unit + u] += int64_t(total(count));
    }
    V* row = planes_ + unit * job_.n * kStored;
    const int64_t stride = chunk.row_vectors;
    for (int64_t i = 0; i < job_.n; ++i, row += kStored) {
      const V* x = chunk.x + i * kPer;
      V p[Units][kStored];  // read and written around the sums, so that these can share their loads
      for (int u = 0; u < Units; ++u) {
        for (int l = 0; l < kStored; ++l) p[u][l] = row[u * job_.n * kStored + l];
      }
      for (int u = 0; u < Units; ++u) {
        int v = 0;
        auto next = [&] {
          const V bits = and_xor(counted[u][v], negative[v], x[v / kPer * stride + v % kPer]);
          ++v;
          return bits;
        };
        while (v < kVectors) p[u][kLevels] += count_ones(add_tree<kTree>(p[u], next));
      }
      for (int u = 0; u < Units; ++u) {
        for (int l = 0; l < kStored; ++l) row[u * job_.n * kStored + l] = p[u][l];
      }
    }
  }

  const Job& job_;
  int64_t stream_, first_, count_;
  Threshold* units_;
  uint32_t* rows_;
  V* fires_;   // [neurons][kVectors]
  V* planes_;  // [classes][neurons][n][kStored]
  int64_t* active_;
  int64_t* labelled_;
};

}  // namespace PARITY_LEVEL
