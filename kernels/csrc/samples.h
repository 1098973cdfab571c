// Samples as bits, and what a block of them is to the products: indices into tables of signed sums, and inner products.
//
// Inputs are signs, so a sum over 4 coordinates (or over 4 samples) has only 16 values: they are tabulated once and
// looked up ("four Russians"), one addition where a matrix product has four multiply-adds.
#pragma once

#include <algorithm>

#include "memory.h"
#include "random.h"
#include "training.h"

namespace PARITY_LEVEL {

using parity::kBlock;
using parity::kSub;
using parity::kSubs;

constexpr int64_t kGroup = 4;     // signs of one look-up
constexpr int64_t kEntries = 16;  // of its table
constexpr int64_t kSums = 8;      // of a product, that look-ups add to side by side; rows go up to a multiple of it
constexpr int64_t kSlab = kBytes == 64 ? 13 : 26;  // tables in use at once, so that they stay in the first-level cache

inline int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

// The 64 bits of a row of bits from position `at` on; the row must have a word to spare.
PARITY_INLINE uint64_t bits_from(const uint64_t* row, int64_t at) {
  const int64_t word = at / 64, shift = at % 64;
  return shift == 0 ? row[word] : row[word] >> shift | row[word + 1] << (64 - shift);
}

// Draws the sub-blocks of kSub samples that samples start .. stop - 1 of a stream lie in, and calls body(first sample,
// rows): n rows of kPer vectors in `scratch`, a one being x = -1.
template <class Body>
PARITY_INLINE void each_sub(uint64_t key, uint64_t stream, int64_t n, int64_t start, int64_t stop, V* scratch,
                            const Body& body) {
  for (int64_t block = start / kBlock; block * kBlock < stop; ++block) {
    Lanes lanes;
    lanes.seed(key, stream, uint64_t(block), 0);
    for (int64_t first = block * kBlock; first < std::min(stop, (block + 1) * kBlock); first += kSub) {
      lanes.fill(scratch, n, [](int64_t, const V*) {});
      if (first + kSub > start) body(first, reinterpret_cast<const uint64_t*>(scratch));
    }
  }
}

// Samples start .. start + count - 1 of a stream as rows of bits, one row a coordinate. Rows have `words` words, at least
// count / 64 + 1, rounded up. `scratch` has room for n * kPer vectors.
inline void draw_rows(uint64_t key, uint64_t stream, int64_t n, int64_t start, int64_t count, uint64_t* rows,
                      int64_t words, V* scratch) {
  std::memset(rows, 0, size_t(n * words) * sizeof(uint64_t));
  each_sub(key, stream, n, start, start + count, scratch, [=](int64_t first, const uint64_t* drawn) {
    const int64_t shift = first - start;  // may be negative
    for (int64_t i = 0; i < n; ++i) {
      for (int64_t word = 0; word < kSub / 64; ++word) {
        const int64_t position = shift + word * 64;
        if (position <= -64 || position >= count) continue;
        const uint64_t bits = drawn[i * (kSub / 64) + word];
        uint64_t* row = rows + i * words;
        if (position < 0) {
          row[0] |= bits >> -position;
        } else {
          row[position / 64] |= bits << position % 64;
          if (position % 64 != 0) row[position / 64 + 1] |= bits >> (64 - position % 64);
        }
      }
    }
  });
}

// Transposes 64 x 64 bits in place: bit j of word i becomes bit i of word j (Hacker's Delight, 7-3).
inline void transpose64(uint64_t a[64]) {
  uint64_t mask = 0x00000000FFFFFFFFu;
  for (int j = 32; j != 0; j >>= 1, mask ^= mask << j) {
    for (int k = 0; k < 64; k = (k + j + 1) & ~j) {
      const uint64_t t = (a[k] >> j ^ a[k + j]) & mask;
      a[k] ^= t << j;
      a[k + j] ^= t;
    }
  }
}

// How the coordinates of a network are laid out: n of them and the bias, a coordinate that is always 1, in groups.
struct Shape {
  int64_t n, coordinates, groups, padded, slabs, sample_words;

  explicit Shape(int64_t n_)
      : n(n_),
        coordinates(n_ + 1),
        groups(ceil_div(n_ + 1, kGroup)),
        padded(groups * kGroup),
        slabs(ceil_div(groups, kSlab)),
        sample_words(ceil_div(n_ + 1, 64)) {}

  // Groups are shared out evenly among the slabs.
  int64_t slab_begin(int64_t slab) const { return groups * slab / slabs; }
};

// What the products need to know of some samples. An offset is that of a table's entry, in bytes: 16 bits hold it, as
// kSlab tables and kMaxRows / 4 tables have fewer than 2^16 bytes. Four of them are read as one little-endian word.
template <class F>
struct Block {
  int64_t rows;
  uint16_t* forward;  // [rows / 4][groups][4]: of a sample in the tables of its slab
  uint16_t* update;   // [padded / 4][sample groups][4]: of a coordinate in the tables over samples
  F* gram;            // [rows][kMaxRows]: <x_s, x_t> + 1 where s < t, else 0; null in a forward pass

  int64_t sample_groups() const { return ceil_div(rows, kGroup); }
};

// Prepares blocks from rows of bits.
template <class F>
struct Preparation {
  const Shape& shape;
  uint64_t* bits;  // [sample_words][rows]: coordinates of each sample

  Preparation(const Shape& s, int64_t max_rows, Arena& arena)
      : shape(s), bits(arena.take<uint64_t>(s.sample_words * (max_rows + 64))) {}

  static void allocate(Block<F>& block, const Shape& shape, int64_t rows, bool training, Arena& arena) {
    const int64_t quads = ceil_div(rows, kSums) * kSums / kGroup;
    block.forward = arena.take<uint16_t>(quads * shape.groups * kGroup);
    block.update = training ? arena.take<uint16_t>(shape.padded * quads) : nullptr;
    block.gram = training ? arena.take<F>(rows * parity::kMaxRows) : nullptr;
  }

  // Samples at .. at + count - 1 of `rows`, whose rows have `words` words.
  void prepare(Block<F>& block, const uint64_t* rows, int64_t words, int64_t at, int64_t count) const {
    block.rows = count;
    const int64_t stride = ceil_div(count, 64) * 64;
    for (int64_t w = 0; w < shape.sample_words; ++w) {
      for (int64_t s = 0; s < stride; s += 64) {
        uint64_t square[64];
        for (int64_t i = 0; i < 64; ++i) {
          square[i] = 64 * w + i < shape.n ? bits_from(rows + (64 * w + i) * words, at + s) : 0;
        }
        transpose64(square);
        std::memcpy(bits + w * stride + s, square, sizeof square);
      }
    }
    for (int64_t slab = 0; slab < shape.slabs; ++slab) {
      const int64_t begin = shape.slab_begin(slab);
      for (int64_t g = begin; g < shape.slab_begin(slab + 1); ++g) {
        const uint64_t* word = bits + g / 16 * stride;
        const int64_t shift = g % 16 * kGroup, base = (g - begin) * kEntries;
        for (int64_t t = 0; t < ceil_div(count, kSums) * kSums; ++t) {
          block.forward[(t / kGroup * shape.groups + g) * kGroup + t % kGroup] =
              uint16_t((base + int64_t(word[t] >> shift & (kEntries - 1))) * kBytes);
        }
      }
    }
    if (block.gram == nullptr) return;
    const int64_t groups = block.sample_groups();
    for (int64_t i = 0; i < shape.padded; ++i) {
      uint16_t* entry = block.update + i / kGroup * groups * kGroup + i % kGroup;
      for (int64_t g = 0; g < groups; ++g) {
        const uint64_t word = i < shape.n ? bits_from(rows + i * words, at + g * kGroup) : 0;
        entry[g * kGroup] = uint16_t((g * kEntries + int64_t(word & (kEntries - 1))) * kBytes);
      }
    }
    inner_products(block, stride);
  }

 private:
  void inner_products(Block<F>& block, int64_t stride) const {
    for (int64_t s = 0; s < block.rows; ++s) {
      int64_t differ[parity::kMaxRows] = {};
      for (int64_t w = 0; w < shape.sample_words; ++w) {
        const uint64_t* word = bits + w * stride;
        for (int64_t t = 0; t < block.rows; ++t) differ[t] += __builtin_popcountll(word[s] ^ word[t]);
      }
      F* gram = block.gram + s * parity::kMaxRows;
      for (int64_t t = 0; t < parity::kMaxRows; ++t) {
        gram[t] = t > s && t < block.rows ? F(shape.coordinates - 2 * differ[t]) : F(0);
      }
    }
  }
};

}  // namespace PARITY_LEVEL
