// First-step sums with samples in the bits of a vector, sub-block by sub-block, for one neuron per stream (or very few).
// Inputs stay in the first-level cache and only counters persist. The gradient of a sub-block is taken in the same loop
// that draws the next one over it: the generator's shifts and the counters' logic keep different units busy.
#pragma once

#include "chunk.h"
#include "threshold.h"

namespace PARITY_LEVEL {

class Solo {
 public:
  static constexpr int64_t kChunk = 1;  // sub-blocks of the chunks it takes

  // Neurons first .. last - 1 of the stream.
  Solo(const Job& job, int64_t stream, int64_t first, int64_t last, Arena& arena)
      : job_(job),
        stream_(stream),
        first_(first),
        neurons_(last - first),
        counters_(neurons_ * job.classes * job.n),
        units_(arena.take<Threshold>(neurons_)),
        rows_(arena.take<uint32_t>(neurons_ * Threshold::capacity(job.n))),
        fires_(arena.take<V>(neurons_ * kPer)),
        low_(arena.take<V>(counters_ * kLow + 1)),
        high_(arena.take<V>(counters_ * 2 * kHigh)),
        active_(arena.take<V>(neurons_)),
        labelled_(arena.take<V>(neurons_ * job.classes)) {
    for (int64_t j = 0; j < neurons_; ++j) {
      const int64_t at = stream * job.neurons + first + j;
      units_[j].prepare(job.weights + at * job.n, job.n, job.q[at], rows_ + j * Threshold::capacity(job.n));
    }
  }

  void draw(Chunk& chunk, int64_t s) {
    if (!deferred_) return chunk.draw(s);
    deferred_ = false;
    switch (waiting_) {
      case 0: return chunk.draw(s, Gradient<0>(*this, 0, counted_, negative_, waiting_));
      case 1: return chunk.draw(s, Gradient<1>(*this, 0, counted_, negative_, waiting_));
      case 2: return chunk.draw(s, Gradient<2>(*this, 0, counted_, negative_, waiting_));
      default: return chunk.draw(s, Gradient<kHigh>(*this, 0, counted_, negative_, waiting_));
    }
  }

  void fire(const Chunk& chunk, int64_t) {
    for (int64_t j = 0; j < neurons_; ++j) units_[j].run(chunk.x, fires_ + j * kPer);
  }

  // Adds the samples lo .. hi - 1 of the chunk, on which fire() has been called.
  PARITY_NOINLINE void add(const Chunk& chunk, int64_t lo, int64_t hi) {
    V mask[kPer];
    for (int h = 0; h < kPer; ++h) mask[h] = lo == 0 && hi == kSub ? ones() : sample_mask(h, lo, hi);
    settle(chunk);
    waiting_ = __builtin_ctzll(~uint64_t(rounds_));
    for (int64_t j = 0; j < neurons_; ++j) {
      V fires[kPer];
      V active = zero();
      for (int h = 0; h < kPer; ++h) {
        fires[h] = fires_[j * kPer + h] & mask[h];
        active += count_ones(fires[h]);
      }
      active_[j] += active;
      for (int64_t c = 0; c < job_.classes; ++c) {
        const int64_t unit = j * job_.classes + c;
        const V* present = chunk.present + c * kPer;
        V counted[kPer];
        for (int h = 0; h < kPer; ++h) counted[h] = fires[h] & present[h];
        V count = active;
        if (!chunk.complete[c]) {
          count = zero();
          for (int h = 0; h < kPer; ++h) count += count_ones(counted[h]);
        }
        labelled_[unit] += count;
        const V* negative = chunk.negative + c * kPer;
        if (unit == 0) {
          deferred_ = true;
          for (int h = 0; h < kPer; ++h) counted_[h] = counted[h], negative_[h] = negative[h];
        } else {
          add_class(chunk, unit, counted, negative);
        }
      }
    }
    ++rounds_;
  }

  // The vertical counters must be emptied before another chunk would overflow them.
  bool full() const { return rounds_ == (int64_t{1} << kHigh) - 1; }

  // Moves everything counted so far into the record's sums.
  PARITY_NOINLINE void flush(const Chunk& chunk, int64_t record) {
    settle(chunk);
    const int64_t base = record * job_.streams + stream_;
    for (int64_t j = 0; j < neurons_; ++j) {
      int64_t* active = job_.active + base * job_.neurons + first_ + j;
      __atomic_fetch_add(active, int64_t(total(active_[j])), __ATOMIC_RELAXED);
      active_[j] = zero();
      for (int64_t c = 0; c < job_.classes; ++c) {
        const int64_t unit = j * job_.classes + c;
        const int64_t labelled = int64_t(total(labelled_[unit]));
        labelled_[unit] = zero();
        int64_t* out = job_.sums + ((base * job_.classes + c) * job_.neurons + first_ + j) * job_.n;
        for (int64_t i = 0; i < job_.n; ++i) {
          // label * x = -1 on the counted samples, +1 on the other active ones
          __atomic_fetch_add(out + i, labelled - 2 * read(unit * job_.n + i), __ATOMIC_RELAXED);
        }
      }
    }
    rounds_ = 0;
  }

 private:
  // A counter: bits of weight below kPer, then for each higher weight a bit and one that waits for its partner, which
  // every second carry finds. All these lie apart, as the higher ones are touched rarely.
  static constexpr int kLow = log2_of(kPer);
  static constexpr int kHigh = 12;

  // The number in a counter, which is emptied.
  PARITY_NOINLINE int64_t read(int64_t counter) {
    V count = zero();
    for (int l = 0; l < kLow; ++l) {
      V& bits = low_[counter * kLow + l];
      count += count_ones(bits) << l;
      bits = zero();
    }
    for (int l = 0; l < kHigh && rounds_ >> l; ++l) {
      V &bits = high_[2 * l * counters_ + counter], &partner = high_[(2 * l + 1) * counters_ + counter];
      count += count_ones(bits) << (kLow + l);
      if (rounds_ >> l & 1) count += count_ones(partner) << (kLow + l);
      bits = partner = zero();
    }
    return int64_t(total(count));
  }

  // Adds one row of inputs to the counter of its coordinate. Depth: the levels at which a partner waits; kHigh stands
  // for the number given.
  template <int Depth>
  struct Gradient {
    V counted[kPer], negative[kPer];
    V *low, *high;
    int64_t level;
    int depth;

    PARITY_INLINE Gradient(const Solo& solo, int64_t unit, const V* counted_at, const V* negative_at, int waiting)
        : low(solo.low_ + unit * solo.job_.n * kLow),
          high(solo.high_ + unit * solo.job_.n),
          level(solo.counters_),
          depth(Depth < kHigh ? Depth : waiting) {
      for (int h = 0; h < kPer; ++h) counted[h] = counted_at[h], negative[h] = negative_at[h];
    }

    PARITY_INLINE void operator()(int64_t i, const V* x) const {
      V p[kLow + 1];
      for (int l = 0; l < kLow; ++l) p[l] = low[i * kLow + l];
      int h = 0;
      auto next = [&] {
        const V bits = and_xor(counted[h], negative[h], x[h]);
        ++h;
        return bits;
      };
      V carry = add_tree<kPer>(p, next);
      for (int l = 0; l < kLow; ++l) low[i * kLow + l] = p[l];
      V* at = high + i;
      for (int l = 0; l < depth; ++l, at += 2 * level) at[0] = full_add(carry, at[level], at[0], carry);
      at[level] = carry;
    }
  };

  PARITY_NOINLINE void add_class(const Chunk& chunk, int64_t unit, const V* counted, const V* negative) const {
    const Gradient<kHigh> gradient(*this, unit, counted, negative, waiting_);
    for (int64_t i = 0; i < job_.n; ++i) gradient(i, chunk.x + i * kPer);
  }

  // Does what was left for the next draw.
  PARITY_NOINLINE void settle(const Chunk& chunk) {
    if (deferred_) add_class(chunk, 0, counted_, negative_);
    deferred_ = false;
  }

  const Job& job_;
  int64_t stream_, first_, neurons_, counters_;
  int64_t rounds_ = 0;  // of adding, since the last flush
  int waiting_ = 0;     // levels at which a partner waits, for the last round
  bool deferred_ = false;  // whether unit 0 still lacks it; then with these:
  V counted_[kPer] = {}, negative_[kPer] = {};
  Threshold* units_;
  uint32_t* rows_;
  V* fires_;     // [neurons][kPer]
  V* low_;       // [neurons][classes][n][kLow]
  V* high_;      // [kHigh][bits, partners][neurons][classes][n]
  V* active_;    // [neurons], counts spread over the elements
  V* labelled_;  // [neurons][classes]
};

}  // namespace PARITY_LEVEL
