// Vectors of floating-point numbers at this level, written against GCC and Clang vector types.
#pragma once

#include "simd.h"

namespace PARITY_LEVEL {

template <class F>
struct Reals {
  typedef F V __attribute__((vector_size(kBytes), may_alias));
  static constexpr int kLanes = kBytes / int(sizeof(F));
};

template <class F, int kCount>
struct Some {
  typedef F V __attribute__((vector_size(kCount * sizeof(F)), may_alias));
};

template <class F>
using VecOf = typename Reals<F>::V;

template <class F>
constexpr int kLanesOf = Reals<F>::kLanes;

template <class F>
PARITY_INLINE VecOf<F> splat_of(F x) { return VecOf<F>{} + x; }

template <class F>
PARITY_INLINE VecOf<F>& at(F* p) { return *reinterpret_cast<VecOf<F>*>(p); }
template <class F>
PARITY_INLINE const VecOf<F>& at(const F* p) { return *reinterpret_cast<const VecOf<F>*>(p); }

// max(x, 0), and NaN for NaN, so that a run that diverged does not look alive.
template <class F>
PARITY_INLINE VecOf<F> relu(VecOf<F> x) {
  const VecOf<F> none{};
  return none > x ? none : x;
}

// where h > 0: x, else 0
template <class F>
PARITY_INLINE VecOf<F> where_active(VecOf<F> h, VecOf<F> x) {
  const VecOf<F> none{};
  return h > none ? x : none;
}

// Sum of the lanes, by halves: lanes i and i + half are added until one is left.
template <class F, int kCount>
PARITY_INLINE F sum_halves(typename Some<F, kCount>::V v) {
  if constexpr (kCount == 1) {
    return v[0];
  } else {
    typedef typename Some<F, kCount / 2>::V Half;
    Half low, high;
    std::memcpy(&low, &v, sizeof low);
    std::memcpy(&high, reinterpret_cast<const char*>(&v) + sizeof low, sizeof high);
    return sum_halves<F, kCount / 2>(low + high);
  }
}

template <class F>
PARITY_INLINE F sum_lanes(VecOf<F> v) {
  return sum_halves<F, kLanesOf<F>>(v);
}

}  // namespace PARITY_LEVEL
