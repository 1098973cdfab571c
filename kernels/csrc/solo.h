// First-step sums for one neuron and one class per stream: the grid's main work. Samples are in the bits of a vector.
// Inputs stay in the first-level cache and only counters persist. The gradient of a sub-block is taken in the same loop
// that draws the next one over it: the generator's shifts and the counters' logic keep different units busy.
#pragma once

#include "chunk.h"
#include "tally.h"
#include "threshold.h"

namespace PARITY_LEVEL {

class Solo {
 public:
  static constexpr int64_t kChunk = 1;  // sub-blocks of the chunks it takes

  // Neuron first of the stream; none if first == last.
  Solo(const Job& job, int64_t stream, int64_t first, int64_t last, Arena& arena)
      : job_(job), at_(stream * job.neurons + first), present_(first < last), tally_(job.n, arena) {
    if (!present_) return;
    unit_.prepare(job.weights + at_ * job.n, job.n, job.q[at_], arena.take<uint32_t>(Threshold::capacity(job.n)));
  }

  void draw(Chunk& chunk, int64_t s) {
    if (!deferred_) return chunk.draw(s);
    deferred_ = false;
    tally_.round([&](const auto& adder) { chunk.draw(s, gradient(adder)); });
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
    deferred_ = true;
  }

  // The tally must be emptied before another chunk would overflow it; the gradient that waits still fits.
  bool full() const { return tally_.full(); }

  // Moves everything counted so far into the record's sums.
  PARITY_NOINLINE void flush(const Chunk& chunk, int64_t record) {
    if (!present_) return;
    settle(chunk);
    const int64_t at = record * job_.streams * job_.neurons + at_;
    __atomic_fetch_add(job_.active + at, int64_t(total(active_)), __ATOMIC_RELAXED);
    const int64_t labelled = int64_t(total(labelled_));
    for (int64_t i = 0; i < job_.n; ++i) {
      // label * x = -1 on the counted samples, +1 on the other active ones
      __atomic_fetch_add(job_.sums + at * job_.n + i, labelled - 2 * tally_.take(i), __ATOMIC_RELAXED);
    }
    active_ = labelled_ = zero();
    tally_.restart();
  }

 private:
  // What is to be done with the row of inputs of coordinate i, in a round of the tally.
  template <class Adder>
  PARITY_INLINE auto gradient(const Adder& adder) const {
    struct Rows {
      V counted[kPer], negative[kPer];
      Adder adder;

      PARITY_INLINE void operator()(int64_t i, const V* x) const {
        int h = 0;
        auto next = [&] {
          const V bits = and_xor(counted[h], negative[h], x[h]);
          ++h;
          return bits;
        };
        adder(i, next);
      }
    };
    Rows rows{{}, {}, adder};
    for (int h = 0; h < kPer; ++h) rows.counted[h] = counted_[h], rows.negative[h] = negative_[h];
    return rows;
  }

  // Takes the gradient that was left for the next draw.
  PARITY_NOINLINE void settle(const Chunk& chunk) {
    if (!deferred_) return;
    deferred_ = false;
    tally_.round([&](const auto& adder) {
      const auto add = gradient(adder);
      for (int64_t i = 0; i < job_.n; ++i) add(i, chunk.x + i * kPer);
    });
  }

  const Job& job_;
  int64_t at_;  // of the neuron among those of all streams
  bool present_;
  Threshold unit_{};
  Tally tally_;
  V fires_[kPer] = {}, active_ = {}, labelled_ = {};  // the counts are spread over the elements
  bool deferred_ = false;                             // whether the last round still lacks its gradient, with:
  V counted_[kPer] = {}, negative_[kPer] = {};
};

}  // namespace PARITY_LEVEL
