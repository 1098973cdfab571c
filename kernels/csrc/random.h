// Randomness, bit for bit as in kernels/randomness.py, where the layout is described.
// Philox4x32-10 (Salmon et al. 2011) seeds 8 lanes of SFC64 (Doty-Humphrey, as in numpy) for each block.
#pragma once

#include "job.h"
#include "simd.h"

namespace PARITY_LEVEL {

inline void philox(const uint32_t key[2], const uint32_t counter[4], uint32_t out[4]) {
  uint32_t k0 = key[0], k1 = key[1];
  uint32_t c0 = counter[0], c1 = counter[1], c2 = counter[2], c3 = counter[3];
  for (int round = 0; round < 10; ++round) {
    const uint64_t p0 = uint64_t{0xD2511F53u} * c0, p1 = uint64_t{0xCD9E8D57u} * c2;
    c0 = uint32_t(p1 >> 32) ^ c1 ^ k0;
    c1 = uint32_t(p1);
    c2 = uint32_t(p0 >> 32) ^ c3 ^ k1;
    c3 = uint32_t(p0);
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
  out[0] = c0, out[1] = c1, out[2] = c2, out[3] = c3;
}

// 8 lanes of SFC64, as kPer vectors. The counter is the same in every lane.
struct Lanes {
  V a[kPer] = {}, b[kPer] = {}, c[kPer] = {}, counter = {};

  // Philox call indices first_call .. first_call + 11 give six words to each lane; 12 outputs are discarded.
  void seed(uint64_t key, uint64_t stream, uint64_t block, uint32_t first_call) {
    const uint32_t philox_key[2] = {uint32_t(key), uint32_t(key >> 32)};
    alignas(64) uint32_t words[48];
    for (uint32_t call = 0; call < 12; ++call) {
      const uint32_t c[4] = {first_call + call, uint32_t(block), uint32_t(stream), uint32_t(stream >> 32)};
      philox(philox_key, c, words + 4 * call);
    }
    for (int lane = 0; lane < 8; ++lane) {
      const uint32_t* w = words + 6 * lane;
      a[lane / kWords][lane % kWords] = w[0] | uint64_t{w[1]} << 32;
      b[lane / kWords][lane % kWords] = w[2] | uint64_t{w[3]} << 32;
      c[lane / kWords][lane % kWords] = w[4] | uint64_t{w[5]} << 32;
    }
    counter = splat(1);
    V discarded[kPer];
    for (int i = 0; i < 12; ++i) step(discarded);
  }

  PARITY_INLINE void step(V out[kPer]) {
    for (int h = 0; h < kPer; ++h) {
      const V tmp = a[h] + b[h] + counter;
      a[h] = b[h] ^ (b[h] >> 11);
      b[h] = c[h] + (c[h] << 3);
      c[h] = rotate_left_24(c[h]) + tmp;
      out[h] = tmp;
    }
    counter += splat(1);
  }

  // rows x 512 bits, stored over rows that before(i, row) may still read.
  template <class Before>
  PARITY_INLINE void fill(V* out, int64_t rows, const Before& before) {
    Lanes s = *this;  // a copy that stays in registers
    for (int64_t i = 0; i < rows; ++i, out += kPer) {
      before(i, out);
      s.step(out);
    }
    *this = s;
  }
};

// One Bernoulli(p / 2^64) bit for each of 512 samples: compare a 64-bit fraction with p digit by digit, most
// significant first, drawing a digit for all samples as long as one of them is undecided.
inline void bernoulli(Lanes& lanes, uint64_t p, V out[kPer]) {
  V undecided[kPer];
  for (int h = 0; h < kPer; ++h) out[h] = zero(), undecided[h] = ones();
  for (int digit = 63; digit >= 0; --digit) {
    V u[kPer];
    lanes.step(u);
    V any = zero();
    for (int h = 0; h < kPer; ++h) {
      if (p >> digit & 1) {
        out[h] |= undecided[h] & ~u[h];
        undecided[h] &= u[h];
      } else {
        undecided[h] &= ~u[h];
      }
      any |= undecided[h];
    }
    uint64_t rest = 0;
    for (int i = 0; i < kWords; ++i) rest |= any[i];
    if (rest == 0) return;
  }
}

}  // namespace PARITY_LEVEL
