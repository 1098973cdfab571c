// The loops of calibration.h at one instruction-set level; compiled once per level, as level.cpp is.
#include "calibration.h"
#include "reals.h"

namespace PARITY_LEVEL {

constexpr int kChains = 10;  // independent ones: a multiply-add takes 4 cycles, and 2 begin in each

template <class Vec, class Step>
PARITY_INLINE int64_t chains(int64_t rounds, Vec start, const Step& step) {
  Vec v[kChains];
  for (int i = 0; i < kChains; ++i) v[i] = start;
  for (int64_t r = 0; r < rounds; ++r) {
#pragma GCC unroll 16
    for (int i = 0; i < kChains; ++i) {
      Vec x = step(v[i]);
      PARITY_PIN(x);  // or the compiler would see through the loop
      v[i] = x;
    }
  }
  return rounds * kChains;
}

namespace {

int64_t logic(int64_t rounds) {
  V mask = splat(0x0123456789ABCDEFu);
  PARITY_PIN(mask);
  return chains(rounds, ones(), [&](V v) { return v ^ mask; });
}

int64_t popcount(int64_t rounds) { return chains(rounds, ones(), [](V v) { return count_ones(v); }); }

int64_t multiply_add(int64_t rounds) {
  using Vec = VecOf<float>;
  Vec factor = splat_of(0.5f), term = splat_of(1.0f);
  PARITY_PIN(factor);
  PARITY_PIN(term);
  return 2 * kLanesOf<float> * chains(rounds, term, [&](Vec v) { return v * factor + term; });
}

int64_t read(int64_t rounds, const void* buffer, int64_t bytes) {
  constexpr int kAtOnce = 1024 / kBytes < 16 ? 1024 / kBytes : 8;
  const char* begin = static_cast<const char*>(buffer);
  V v[kAtOnce] = {};
  for (int64_t r = 0; r < rounds; ++r) {
    for (const char* p = begin; p < begin + bytes; p += kAtOnce * kBytes) {
#pragma GCC unroll 16
      for (int i = 0; i < kAtOnce; ++i) {
        V x = v[i] | load(p + i * kBytes);
        PARITY_PIN(x);
        v[i] = x;
      }
    }
  }
  return rounds * bytes;
}

constexpr parity::Calibration kCalibration{logic, popcount, multiply_add, read, kBytes};

}  // namespace

const parity::Calibration& calibration() { return kCalibration; }

}  // namespace PARITY_LEVEL
