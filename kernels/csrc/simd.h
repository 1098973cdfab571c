// The vector layer: one type `V` and a handful of primitives, chosen by the flags this translation unit is
// compiled with. Every algorithm header is written against these names only, so that the same source is
// exercised at every level. Included by level.cpp alone.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#if defined(__AVX2__)
#include <immintrin.h>
#endif

namespace PARITY_LEVEL {

#if defined(__AVX512F__) && defined(__AVX512BW__) && defined(__AVX512VPOPCNTDQ__)
#define PARITY_AVX512 1
constexpr int kBytes = 64;
#elif defined(__AVX2__)
#define PARITY_AVX2 1
constexpr int kBytes = 32;
#else
constexpr int kBytes = 16;
#endif

// GCC and Clang vectors: `^ & | ~ + << >>` act on 64-bit elements; 16 bytes map to SSE2 or NEON.
typedef uint64_t V __attribute__((vector_size(kBytes), may_alias));
typedef uint8_t VB __attribute__((vector_size(kBytes), may_alias));

constexpr int kWords = kBytes / 8;  // 64-bit words of one vector
constexpr int kPer = 64 / kBytes;   // vectors of one row of 512 samples

// Whether the ones of a vector are counted by one instruction: adding up counts then costs no more than full adders.
// The tests ask for what follows from it at other levels too.
#if PARITY_AVX512 || PARITY_FAST_COUNT
constexpr bool kFastCount = true;
#else
constexpr bool kFastCount = false;
#endif

#define PARITY_INLINE inline __attribute__((always_inline))
#define PARITY_NOINLINE __attribute__((noinline))  // large and called rarely: one copy compiles faster

// Keeps the compiler from moving the computation of v past this point.
#if !defined(PARITY_PIN)
#if defined(__x86_64__)
#define PARITY_PIN(v) asm volatile("" : "+x"(v))
#else
#define PARITY_PIN(v) (void)(v)
#endif
#endif

PARITY_INLINE V load(const void* p) { return *static_cast<const V*>(p); }
PARITY_INLINE void store(void* p, V v) { *static_cast<V*>(p) = v; }
PARITY_INLINE V zero() { return V{} ; }
PARITY_INLINE V ones() { return ~V{}; }
PARITY_INLINE V splat(uint64_t x) { return V{} + x; }

#if PARITY_AVX512
PARITY_INLINE V from(__m512i x) { V v; std::memcpy(&v, &x, sizeof v); return v; }
PARITY_INLINE __m512i raw(V v) { __m512i x; std::memcpy(&x, &v, sizeof x); return x; }
PARITY_INLINE V xor3(V a, V b, V c) { return from(_mm512_ternarylogic_epi64(raw(a), raw(b), raw(c), 0x96)); }
PARITY_INLINE V select(V s, V one, V other) {  // s ? one : other, bit by bit
  return from(_mm512_ternarylogic_epi64(raw(s), raw(one), raw(other), 0xCA));
}
// t & (a ^ b)
PARITY_INLINE V and_xor(V t, V a, V b) { return from(_mm512_ternarylogic_epi64(raw(t), raw(a), raw(b), 0x60)); }
PARITY_INLINE V rotate_left_24(V v) { return from(_mm512_rol_epi64(raw(v), 24)); }
// Full adder: returns the sum bit of a + b + c, sets the carry.
PARITY_INLINE V full_add(V a, V b, V c, V& carry) {
  carry = from(_mm512_ternarylogic_epi64(raw(a), raw(b), raw(c), 0xE8));
  return xor3(a, b, c);
}
// Number of ones of each 64-bit element.
PARITY_INLINE V count_ones(V v) { return from(_mm512_popcnt_epi64(raw(v))); }
#else
PARITY_INLINE V xor3(V a, V b, V c) { return a ^ b ^ c; }
PARITY_INLINE V select(V s, V one, V other) { return other ^ (s & (one ^ other)); }
PARITY_INLINE V and_xor(V t, V a, V b) { return t & (a ^ b); }
PARITY_INLINE V full_add(V a, V b, V c, V& carry) {
  const V u = a ^ b;
  carry = (a & b) | (u & c);
  return u ^ c;
}
#if PARITY_AVX2
PARITY_INLINE V rotate_left_24(V v) {  // three whole bytes: one shuffle instead of two shifts and an or
  const __m256i order = _mm256_setr_epi8(5, 6, 7, 0, 1, 2, 3, 4, 13, 14, 15, 8, 9, 10, 11, 12,
                                         5, 6, 7, 0, 1, 2, 3, 4, 13, 14, 15, 8, 9, 10, 11, 12);
  return (V)_mm256_shuffle_epi8((__m256i)v, order);
}
PARITY_INLINE V count_ones(V v) {  // of each 64-bit element; nibble look-up (Mula), bytes summed by vpsadbw
  const __m256i table = _mm256_setr_epi8(0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4,
                                         0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4);
  const __m256i low = _mm256_set1_epi8(15);
  const __m256i x = (__m256i)v;
  const __m256i a = _mm256_shuffle_epi8(table, _mm256_and_si256(x, low));
  const __m256i b = _mm256_shuffle_epi8(table, _mm256_and_si256(_mm256_srli_epi16(x, 4), low));
  return (V)_mm256_sad_epu8(_mm256_add_epi8(a, b), _mm256_setzero_si256());
}
#else
PARITY_INLINE V rotate_left_24(V v) { return (v << 24) | (v >> 40); }
PARITY_INLINE V count_ones(V v) {
  v = v - ((v >> 1) & splat(0x5555555555555555u));
  v = (v & splat(0x3333333333333333u)) + ((v >> 2) & splat(0x3333333333333333u));
  v = (v + (v >> 4)) & splat(0x0F0F0F0F0F0F0F0Fu);
  v = v + (v >> 8);
  v = v + (v >> 16);
  return (v + (v >> 32)) & splat(0xFFu);
}
#endif
#endif

// The first two words of kWords rows of 512 bits.
PARITY_INLINE void load_columns(const uint64_t* rows, V& first, V& second) {
#if PARITY_AVX2 && !PARITY_AVX512
  const __m128i* row = reinterpret_cast<const __m128i*>(rows);
  const __m256i even = _mm256_inserti128_si256(_mm256_castsi128_si256(row[0]), row[8], 1);
  const __m256i odd = _mm256_inserti128_si256(_mm256_castsi128_si256(row[4]), row[12], 1);
  first = (V)_mm256_unpacklo_epi64(even, odd);
  second = (V)_mm256_unpackhi_epi64(even, odd);
#else
  for (int i = 0; i < kWords; ++i) first[i] = rows[8 * i], second[i] = rows[8 * i + 1];
#endif
}

PARITY_INLINE uint64_t total(V v) {
  uint64_t sum = 0;
  for (int i = 0; i < kWords; ++i) sum += v[i];
  return sum;
}

}  // namespace PARITY_LEVEL
