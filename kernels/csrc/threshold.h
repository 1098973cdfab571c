// Activation of one threshold unit on a sub-block of samples, by counting disagreements vertically.
#pragma once

#include "adders.h"
#include "job.h"

namespace PARITY_LEVEL {

// T(x) = 1 iff at most q of the w_i x_i are -1. The ones among coordinates with w = -1 enter negatively: the
// counter is complemented after them, instead of complementing every input. It starts so that its top bit,
// worth 2^Planes, ends up as [disagreements > q]; all arithmetic is modulo 2^(Planes + 1).
struct Threshold {
  static constexpr int kMaxPlanes = 12;
  static constexpr int kPad = 4;  // both lists are padded to a multiple of this with the row of zeros

  uint32_t* rows;  // byte offsets of the rows with w = -1, padded, then those with w = +1, padded
  int32_t minus, plus;  // padded lengths
  int32_t planes;
  uint64_t initial;

  static int64_t capacity(int64_t n) { return n + 2 * kPad; }

  void prepare(const int8_t* weights, int64_t n, int64_t q, uint32_t* storage) {
    rows = storage;
    const uint32_t zeros = uint32_t(n) * 64;
    int32_t count = 0;
    int64_t negative = 0;
    for (int64_t i = 0; i < n; ++i) {
      if (weights[i] < 0) rows[count++] = uint32_t(i) * 64;
    }
    negative = count;
    while (count % kPad) rows[count++] = zeros;
    minus = count;
    for (int64_t i = 0; i < n; ++i) {
      if (weights[i] > 0) rows[count++] = uint32_t(i) * 64;
    }
    while (count % kPad) rows[count++] = zeros;
    plus = count - minus;
    const int64_t reach = q + 1 > n - q ? q + 1 : n - q;
    planes = 5;  // those of the largest tree
    while ((int64_t{1} << planes) < reach) ++planes;
    if (planes > 8) planes = kMaxPlanes;  // so large an n is rare, and not worth its own code
    initial = ~uint64_t(negative + (int64_t{1} << planes) - 1 - q);
  }

  template <int Planes>
  PARITY_INLINE static void count(const V* x, const uint32_t* row, int32_t length, V* planes) {
    const char* base = reinterpret_cast<const char*>(x);
    auto next = [&] { return load(base + *row++); };
    for (; length >= 32; length -= 32) ripple<5, Planes>(planes, add_tree<32>(planes, next));
    if (length & 16) ripple<4, Planes>(planes, add_tree<16>(planes, next));
    if (length & 8) ripple<3, Planes>(planes, add_tree<8>(planes, next));
    if (length & 4) ripple<2, Planes>(planes, add_tree<4>(planes, next));
  }

  template <int Planes>
  PARITY_NOINLINE void run_planes(const V* x, V* fires) const {
    for (int h = 0; h < kPer; ++h) {
      V p[Planes + 1];
      for (int i = 0; i <= Planes; ++i) p[i] = initial >> i & 1 ? ones() : zero();
      count<Planes>(x + h, rows, minus, p);
      for (int i = 0; i <= Planes; ++i) p[i] = ~p[i];
      count<Planes>(x + h, rows + minus, plus, p);
      fires[h] = ~p[Planes];
    }
  }

  // x: rows of a sub-block, of which row n holds zeros; fires: kPer vectors.
  void run(const V* x, V* fires) const {
    switch (planes) {
      case 5: return run_planes<5>(x, fires);
      case 6: return run_planes<6>(x, fires);
      case 7: return run_planes<7>(x, fires);
      case 8: return run_planes<8>(x, fires);
      default: return run_planes<kMaxPlanes>(x, fires);
    }
  }
};

}  // namespace PARITY_LEVEL
