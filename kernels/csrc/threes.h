// Sums of many "bit xor weight" terms, shared between the terms of a group of three.
//
// Wanted, in every lane, is sum_i (p_i ^ s_i), where the planes p_i hold one bit a lane and the selectors s_i are one
// bit for all lanes. For a group (a, b, c), p_a ^ s_a, p_b ^ s_b and p_c ^ s_c sum to 2 * majority + parity. The
// majority takes 8 values, one for each selector of three bits: a table that all users of the planes share. The
// parity is (p_a ^ p_b ^ p_c) ^ (s_a ^ s_b ^ s_c): again a plane xor a selector, so it joins the next round of groups.
// In the end count = 2 * (sum of about N / 2 table entries) + at most two leftover terms: half of the full adders.
#pragma once

#include "simd.h"

namespace PARITY_LEVEL {

constexpr int kEntries = 8;              // of a group's table, by selector
constexpr int kUnit = kBytes / 8;        // a selector s is stored as the byte s * kUnit ..
constexpr int kLanes = kBytes * 8;

// .. so that 8 times it is the offset of the entry in bytes.
PARITY_INLINE V entry(const V* table, uint8_t selector) {
  return load(reinterpret_cast<const char*>(table) + size_t(selector) * 8);
}

// Yields the entries of consecutive tables, fetched before they are needed: a full adder that waits for its load blocks
// one of the few slots in which vector operations wait (4 to 6 % of the whole loop on Zen 3; further ahead is no better).
template <int Stride>
class Reader {
 public:
  static constexpr int kAhead = 1;  // tables and selectors must be readable this far beyond their end

  PARITY_INLINE Reader(const V* table, const uint8_t* selector)
      : table_(table), selector_(selector), next_(fetch()) {}
  PARITY_INLINE V operator()() {
    const V v = next_;
    next_ = fetch();
    return v;
  }

 private:
  PARITY_INLINE V fetch() {
    V v = entry(table_, *selector_);
    table_ += kEntries;
    selector_ += Stride;
    PARITY_PIN(v);
    return v;
  }
  const V* table_;
  const uint8_t* selector_;
  V next_;
};

// Selectors out[i] = (bit i of a) + 2 (bit i of b) + 4 (bit i of c), times kUnit, for 64 bits of each row.
#if PARITY_AVX512
PARITY_INLINE void spread(const void* a, const void* b, const void* c, uint8_t* out) {
  __mmask64 bits[3];
  std::memcpy(bits + 0, a, 8), std::memcpy(bits + 1, b, 8), std::memcpy(bits + 2, c, 8);
  const __m512i one = _mm512_maskz_set1_epi8(bits[0], kUnit), two = _mm512_maskz_set1_epi8(bits[1], 2 * kUnit);
  store(out, from(one) | from(two) | from(_mm512_maskz_set1_epi8(bits[2], 4 * kUnit)));
}
#elif PARITY_AVX2
PARITY_INLINE __m256i spread_mask(const void* bits) {  // 32 bits to 32 bytes, 0 or 255
  uint32_t word;
  std::memcpy(&word, bits, 4);
  const __m256i byte = _mm256_setr_epi64x(0, 0x0101010101010101, 0x0202020202020202, 0x0303030303030303);
  const __m256i bit = _mm256_set1_epi64x(int64_t(0x8040201008040201u));
  const __m256i all = _mm256_shuffle_epi8(_mm256_set1_epi32(int32_t(word)), byte);
  return _mm256_cmpeq_epi8(_mm256_and_si256(all, bit), bit);
}
PARITY_INLINE void spread(const void* a, const void* b, const void* c, uint8_t* out) {
  for (int half = 0; half < 2; ++half) {
    const V one = (V)_mm256_and_si256(spread_mask((const char*)a + 4 * half), _mm256_set1_epi8(kUnit));
    const V two = (V)_mm256_and_si256(spread_mask((const char*)b + 4 * half), _mm256_set1_epi8(2 * kUnit));
    const V four = (V)_mm256_and_si256(spread_mask((const char*)c + 4 * half), _mm256_set1_epi8(4 * kUnit));
    store(out + 32 * half, one | two | four);
  }
}
#else
struct SpreadTable {
  uint64_t word[256];
  constexpr SpreadTable() : word() {
    for (int byte = 0; byte < 256; ++byte) {
      for (int bit = 0; bit < 8; ++bit) word[byte] |= uint64_t(byte >> bit & 1 ? kUnit : 0) << (8 * bit);
    }
  }
};
constexpr SpreadTable kSpread;
PARITY_INLINE void spread(const void* a, const void* b, const void* c, uint8_t* out) {
  for (int k = 0; k < 8; ++k) {
    const uint8_t x = ((const uint8_t*)a)[k], y = ((const uint8_t*)b)[k], z = ((const uint8_t*)c)[k];
    const uint64_t eight = kSpread.word[x] + (kSpread.word[y] << 1) + (kSpread.word[z] << 2);
    std::memcpy(out + 8 * k, &eight, 8);
  }
}
#endif

PARITY_INLINE V majority(V a, V b, V c) {
  V carry;
  full_add(a, b, c, carry);
  return carry;
}

// Writes the table of (a, b, c), returns the parity plane.
PARITY_INLINE V fill_table(V a, V b, V c, V* table) {
  for (int s = 0; s < 4; ++s) {
    const V value = majority(s & 1 ? ~a : a, s & 2 ? ~b : b, c);
    table[s] = value;
    table[7 - s] = ~value;  // the majority of complements
  }
  return xor3(a, b, c);
}

// Which planes form the groups for any number of inputs: planes 0 .. n - 1 are the inputs, plane n is all zeros, and
// plane n + 1 + g is the parity of group g. The last group is made of the leftovers, padded with plane n.
struct Groups {
  struct Group {
    int32_t a, b, c;
  };
  Group* group;
  int32_t count;  // the last one is the leftovers

  static int64_t capacity(int64_t n) { return (n + 1) / 2 + 1; }

  // queue: scratch for 2 n numbers
  void plan(int64_t n, Group* storage, int32_t* queue) {
    group = storage;
    count = 0;
    int64_t head = 0, tail = 0;
    for (int64_t i = 0; i < n; ++i) queue[tail++] = int32_t(i);
    while (tail - head > 2) {
      group[count] = {queue[head], queue[head + 1], queue[head + 2]};
      queue[tail++] = int32_t(n) + 1 + count;
      head += 3;
      ++count;
    }
    group[count++] = {queue[head], tail - head == 2 ? queue[head + 1] : int32_t(n), int32_t(n)};
  }
};

// The same for 128 samples as inputs, laid out so that the selectors of all groups are three words of 64 bits: group
// g has bit g of each. Rounds of 42, 14, 5 and 2 groups; position 63 is the pair of leftovers.
struct Tile {
  static constexpr int kSamples = 128;
  static constexpr int kGroups = 64;
  static constexpr int kPair = kGroups - 1;
  static constexpr int kRounds = 4;
  static constexpr int kSize[kRounds] = {42, 14, 5, 2};

  // Word: uint64_t, or V for kWords coordinates at once.
  template <class Word>
  static PARITY_INLINE void selectors(Word low, Word high, Word& a, Word& b, Word& c) {
    constexpr uint64_t mask0 = (uint64_t{1} << 42) - 1;
    Word x = low & mask0, y = (low >> 42 | high << 22) & mask0, z = high >> 20 & mask0;
    a = x, b = y, c = z;
    Word rest = high >> 62;  // inputs that no group of the round takes
    Word parity = x ^ y ^ z;
    int at = 42;
    int width = 42;
    for (int round = 1; round < kRounds; ++round) {
      const Word inputs = parity | rest << width;
      const int size = kSize[round];
      const uint64_t mask = (uint64_t{1} << size) - 1;
      x = inputs & mask, y = inputs >> size & mask, z = inputs >> (2 * size) & mask;
      rest = inputs >> (3 * size);
      a |= x << at, b |= y << at, c |= z << at;
      parity = x ^ y ^ z;
      at += size;
      width = size;
    }
    a |= parity << 63;             // the two leftovers: the last round's parities
    b |= (parity >> 1 & 1) << 63;
  }

  // planes: the 128 inputs; scratch for as many more. table: [kGroups][kEntries]; for the pair, entries 0 .. 3 hold the
  // carry of the two leftovers and 4 .. 7 their exclusive or, by the two selector bits.
  static void tables(V* planes, V* table) {
    V* in = planes;
    int inputs = kSamples;
    for (int round = 0; round < kRounds; ++round) {
      const int size = kSize[round];
      V* out = in + inputs;
      for (int g = 0; g < size; ++g, table += kEntries) {
        out[g] = fill_table(in[g], in[size + g], in[2 * size + g], table);
      }
      const int left = inputs - 3 * size;
      for (int i = 0; i < left; ++i) out[size + i] = in[3 * size + i];
      in = out;
      inputs = size + left;
    }
    for (int s = 0; s < 4; ++s) {
      const V a = s & 1 ? ~in[0] : in[0], b = s & 2 ? ~in[1] : in[1];
      table[s] = a & b;
      table[4 + s] = a ^ b;
    }
  }
};

}  // namespace PARITY_LEVEL
