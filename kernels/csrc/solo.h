// First-step sums for one neuron and one class per stream: the grid's main work. Samples are in the bits of a vector.
// Inputs stay in the first-level cache and only counters persist. The gradient of a sub-block is taken in the same loop
// that draws the next one over it: the generator's shifts and the counters' logic keep different units busy.
#pragma once

#include "chunk.h"
#include "threshold.h"

namespace PARITY_LEVEL {

class Solo {
 public:
  static constexpr int64_t kChunk = 1;  // sub-blocks of the chunks it takes

  // Neuron first of the stream; none if first == last.
  Solo(const Job& job, int64_t stream, int64_t first, int64_t last, Arena& arena)
      : job_(job),
        at_(stream * job.neurons + first),
        present_(first < last),
        low_(arena.take<V>(job.n * kLow + 1)),
        high_(arena.take<V>(job.n * 2 * kHigh)) {
    if (!present_) return;
    unit_.prepare(job.weights + at_ * job.n, job.n, job.q[at_], arena.take<uint32_t>(Threshold::capacity(job.n)));
  }

  void draw(Chunk& chunk, int64_t s) {
    if (!deferred_) return chunk.draw(s);
    deferred_ = false;
    switch (waiting_) {
      case 0: return chunk.draw(s, Gradient<0>(*this));
      case 1: return chunk.draw(s, Gradient<1>(*this));
      case 2: return chunk.draw(s, Gradient<2>(*this));
      default: return chunk.draw(s, Gradient<kHigh>(*this));
    }
  }

  void fire(const Chunk& chunk, int64_t) {
    if (present_) unit_.run(chunk.x, fires_);
  }

  // Adds the samples lo .. hi - 1 of the chunk, on which fire() has been called; the gradient waits for the next draw.
  PARITY_NOINLINE void add(const Chunk& chunk, int64_t lo, int64_t hi) {
    settle(chunk);
    V active = zero(), labelled = zero();
    for (int h = 0; h < kPer; ++h) {
      const V fires = lo == 0 && hi == kSub ? fires_[h] : fires_[h] & sample_mask(h, lo, hi);
      counted_[h] = fires & chunk.present[h];
      negative_[h] = chunk.negative[h];
      active += count_ones(fires);
      if (!chunk.complete[0]) labelled += count_ones(counted_[h]);
    }
    active_ += active;
    labelled_ += chunk.complete[0] ? active : labelled;
    waiting_ = __builtin_ctzll(~uint64_t(rounds_));
    deferred_ = true;
    ++rounds_;
  }

  // The vertical counters must be emptied before another chunk would overflow them.
  bool full() const { return rounds_ == (int64_t{1} << kHigh) - 1; }

  // Moves everything counted so far into the record's sums.
  PARITY_NOINLINE void flush(const Chunk& chunk, int64_t record) {
    if (!present_) return;
    settle(chunk);
    const int64_t at = record * job_.streams * job_.neurons + at_;
    __atomic_fetch_add(job_.active + at, int64_t(total(active_)), __ATOMIC_RELAXED);
    const int64_t labelled = int64_t(total(labelled_));
    for (int64_t i = 0; i < job_.n; ++i) {
      // label * x = -1 on the counted samples, +1 on the other active ones
      __atomic_fetch_add(job_.sums + at * job_.n + i, labelled - 2 * read(i), __ATOMIC_RELAXED);
    }
    active_ = labelled_ = zero();
    rounds_ = 0;
  }

 private:
  // A counter: bits of weight below kPer, then for each higher weight a bit and one that waits for its partner, which
  // every second carry finds. All these lie apart, as the higher ones are touched rarely.
  static constexpr int kLow = log2_of(kPer);
  static constexpr int kHigh = 12;

  // Adds one row of inputs to the counter of its coordinate. Depth: the levels at which a partner waits; kHigh stands
  // for waiting_.
  template <int Depth>
  struct Gradient {
    V counted[kPer], negative[kPer];
    V *low, *high;
    int64_t level;
    int depth;

    PARITY_INLINE explicit Gradient(const Solo& solo)
        : low(solo.low_), high(solo.high_), level(solo.job_.n), depth(Depth < kHigh ? Depth : solo.waiting_) {
      for (int h = 0; h < kPer; ++h) counted[h] = solo.counted_[h], negative[h] = solo.negative_[h];
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

  // Takes the gradient that was left for the next draw.
  PARITY_NOINLINE void settle(const Chunk& chunk) {
    if (!deferred_) return;
    const Gradient<kHigh> gradient(*this);
    for (int64_t i = 0; i < job_.n; ++i) gradient(i, chunk.x + i * kPer);
    deferred_ = false;
  }

  // The number in the counter of a coordinate, which is emptied.
  int64_t read(int64_t i) {
    V count = zero();
    for (int l = 0; l < kLow; ++l) {
      V& bits = low_[i * kLow + l];
      count += count_ones(bits) << l;
      bits = zero();
    }
    for (int l = 0; l < kHigh && rounds_ >> l; ++l) {
      V &bits = high_[2 * l * job_.n + i], &partner = high_[(2 * l + 1) * job_.n + i];
      count += count_ones(bits) << (kLow + l);
      if (rounds_ >> l & 1) count += count_ones(partner) << (kLow + l);
      bits = partner = zero();
    }
    return int64_t(total(count));
  }

  const Job& job_;
  int64_t at_;  // of the neuron among those of all streams
  bool present_;
  Threshold unit_{};
  V* low_;   // [n][kLow]
  V* high_;  // [kHigh][bits, partners][n]
  V fires_[kPer] = {}, active_ = {}, labelled_ = {};  // the counts are spread over the elements
  int64_t rounds_ = 0;                                // of adding, since the last flush
  bool deferred_ = false;                             // whether the last round still lacks its gradient, with:
  int waiting_ = 0;                                   // the levels at which a partner waits
  V counted_[kPer] = {}, negative_[kPer] = {};
};

}  // namespace PARITY_LEVEL
