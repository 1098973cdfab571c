// Vertical counters: many vectors of bits are summed position by position with full adders, so that plane p of
// the result holds bit p of 64 * kWords sums at once (Harley and Seal's scheme).
#pragma once

#include "simd.h"

namespace PARITY_LEVEL {

constexpr int log2_of(int count) { return count <= 1 ? 0 : 1 + log2_of(count / 2); }

// Adds Count = 2^p inputs to planes 0 .. p-1 and returns the carry, of weight 2^p. next() yields the inputs.
template <int Count, class Next>
PARITY_INLINE V add_tree(V* planes, Next& next) {
  if constexpr (Count == 1) {
    return next();
  } else {
    const V first = add_tree<Count / 2>(planes, next);
    const V second = add_tree<Count / 2>(planes, next);
    V carry;
    V& plane = planes[log2_of(Count) - 1];
    plane = full_add(first, second, plane, carry);  // the plane last: one operation on its chain
    return carry;
  }
}

// Adds a bit of weight 2^First to planes First .. Last - 1; what leaves them is added to plane Last modulo 2.
template <int First, int Last>
PARITY_INLINE void ripple(V* planes, V carry) {
  for (int p = First; p < Last; ++p) {
    const V next = planes[p] & carry;
    planes[p] ^= carry;
    carry = next;
  }
  planes[Last] ^= carry;
}

}  // namespace PARITY_LEVEL
