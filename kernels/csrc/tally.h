// Counts of ones, one for each coordinate, to which one row of kPer vectors is added in each round.
#pragma once

#include <type_traits>

#include "adders.h"
#include "memory.h"

namespace PARITY_LEVEL {

// One vector of counts a coordinate. With kFastCount a full adder for each vector of bits would be no cheaper, and the
// memory that a round touches stays in the first-level cache.
class CountTally {
 public:
  CountTally(int64_t n, Arena& arena) : counts_(arena.take<V>(n)) {}

  struct Adder {
    V* counts;
    template <class Next>
    PARITY_INLINE void operator()(int64_t i, Next& next) const {
      V count = counts[i];
      for (int h = 0; h < kPer; ++h) count += count_ones(next());
      counts[i] = count;
    }
  };

  // Calls use(adder) once; for each coordinate i it calls adder(i, next), and next() yields the row's vectors.
  template <class Use>
  PARITY_INLINE void round(const Use& use) {
    use(Adder{counts_});
  }

  bool full() const { return false; }

  // The count of a coordinate, which becomes 0; restart() after those of all.
  int64_t take(int64_t i) {
    const int64_t count = int64_t(total(counts_[i]));
    counts_[i] = zero();
    return count;
  }

  void restart() {}

 private:
  V* counts_;
};

// Vertical counters: bits of weight below kPer, then for each higher weight a bit and one that waits for its partner,
// which every second carry finds. All these lie apart, as the higher ones are touched rarely.
class CarryTally {
 public:
  CarryTally(int64_t n, Arena& arena)
      : n_(n), low_(arena.take<V>(n * kLow + 1)), high_(arena.take<V>(n * 2 * kHigh)) {}

  // Depth: the levels at which a partner waits; kHigh stands for the number in `depth`.
  template <int Depth>
  struct Adder {
    V *low, *high;
    int64_t n;
    int depth;

    PARITY_INLINE Adder(const CarryTally& tally, int waiting)
        : low(tally.low_), high(tally.high_), n(tally.n_), depth(Depth < kHigh ? Depth : waiting) {}

    template <class Next>
    PARITY_INLINE void operator()(int64_t i, Next& next) const {
      V p[kLow + 1];
      for (int l = 0; l < kLow; ++l) p[l] = low[i * kLow + l];
      V carry = add_tree<kPer>(p, next);
      for (int l = 0; l < kLow; ++l) low[i * kLow + l] = p[l];
      V* at = high + i;
      for (int l = 0; l < depth; ++l, at += 2 * n) at[0] = full_add(carry, at[n], at[0], carry);
      at[n] = carry;
    }
  };

  template <class Use>
  PARITY_INLINE void round(const Use& use) {
    const int waiting = __builtin_ctzll(~uint64_t(rounds_++));
    switch (waiting) {
      case 0: return use(Adder<0>(*this, waiting));
      case 1: return use(Adder<1>(*this, waiting));
      case 2: return use(Adder<2>(*this, waiting));
      default: return use(Adder<kHigh>(*this, waiting));
    }
  }

  // Whether there is room for one more round only.
  bool full() const { return rounds_ >= (int64_t{1} << kHigh) - 2; }

  int64_t take(int64_t i) {
    V count = zero();
    for (int l = 0; l < kLow; ++l) {
      V& bits = low_[i * kLow + l];
      count += count_ones(bits) << l;
      bits = zero();
    }
    for (int l = 0; l < kHigh && rounds_ >> l; ++l) {
      V &bits = high_[2 * l * n_ + i], &partner = high_[(2 * l + 1) * n_ + i];
      count += count_ones(bits) << (kLow + l);
      if (rounds_ >> l & 1) count += count_ones(partner) << (kLow + l);
      bits = partner = zero();
    }
    return int64_t(total(count));
  }

  void restart() { rounds_ = 0; }

 private:
  static constexpr int kLow = log2_of(kPer);
  static constexpr int kHigh = 12;

  int64_t n_;
  int64_t rounds_ = 0;  // since the last restart
  V* low_;              // [n][kLow]
  V* high_;             // [kHigh][bits, partners][n]
};

using Tally = std::conditional_t<kFastCount, CountTally, CarryTally>;

}  // namespace PARITY_LEVEL
