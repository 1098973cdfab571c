// First-step sums with neurons in the bits of a vector: kLanes neurons at once, one sample after the other. Best for
// many neurons per stream. Both halves of the work are sums of "plane xor selector" (threes.h):
//
//   activation: planes are the weights of a coordinate (tables made once), selectors the bits of a sample;
//   gradient:   planes are the activations of a sample (tables made for 128 samples), selectors the bits
//               z = x ^ label of a coordinate. With T in {0, 1} and z = 1 for label * x = -1,
//               sum T * label * x = sum (T ^ z) - sum z.
//
// Each costs about n / 2 full adders per sample and vector of neurons.
#pragma once

#include "chunk.h"
#include "threes.h"

namespace PARITY_LEVEL {

class Wide {
 public:
  // Neurons first .. last - 1 of the stream.
  Wide(const Job& job, int64_t stream, int64_t first, int64_t last, Arena& arena);

  // Parities of the groups of coordinates, to be kept behind the n + 1 rows of each sub-block.
  static int64_t extra_rows(int64_t n) { return Groups::capacity(n) + kWords; }

  // Adds the samples lo .. hi - 1 of the chunk.
  void add(const Chunk& chunk, int64_t lo, int64_t hi);

  // The vertical counters must be emptied before another chunk would overflow them.
  bool full() const { return tiles_ + kBlock / Tile::kSamples > kMaxTiles; }

  void flush(int64_t record);

 private:
  // A counter: bits of weight 1 .. 64, then for each higher weight a bit and one that waits for its partner.
  static constexpr int kLow = 7;
  static constexpr int kHigh = 13;
  static constexpr int kStored = kLow + 2 * kHigh;
  static constexpr int64_t kMaxTiles = (int64_t{1} << kHigh) - 1;
  static constexpr int kMaxPlanes = 11;
  static constexpr int kAhead = Reader<1>::kAhead;

  void prepare(int64_t tile, V* planes);
  void derive(const Chunk& chunk, int64_t s) const;
  void select_samples(const Chunk& chunk, int64_t s, int64_t at);
  void select_coordinates(const Chunk& chunk, int64_t s, int64_t at);
  template <int Planes>
  void fire_planes(int64_t tile, int64_t lo, int64_t hi);
  void fire(int64_t tile, int64_t lo, int64_t hi);
  void count(const uint8_t* selectors, int64_t rows, V* counters) const;
  void read(V* counter, int64_t (&values)[kLanes]) const;

  const Job& job_;
  int64_t stream_, first_, last_, tiles_of_neurons_;
  int64_t padded_;  // n, rounded up to kWords
  int64_t tiles_ = 0;  // of samples, since the last flush
  int planes_ = 4;
  Groups groups_;
  V* weights_;            // [neuron tiles][groups][kEntries]
  V* initial_;            // [neuron tiles][kMaxPlanes + 1]
  uint8_t* of_samples_;   // [groups][128]
  uint8_t* of_coordinates_;  // [classes][padded n][64]
  uint8_t* none_;         // [64] zeros: selectors that count T itself
  V* fires_;              // [128], then scratch
  V* labelled_;           // the same, of one class
  V* tables_;             // [64][kEntries]
  V* counters_;           // [neuron tiles][classes][n][kStored]
  V* active_;             // [neuron tiles][kStored]
  V* negatives_;          // [classes][padded n / kWords]: sum of z, by element
};

PARITY_NOINLINE inline Wide::Wide(const Job& job, int64_t stream, int64_t first, int64_t last, Arena& arena)
    : job_(job),
      stream_(stream),
      first_(first),
      last_(last),
      tiles_of_neurons_((last - first + kLanes - 1) / kLanes),
      padded_((job.n + kWords - 1) / kWords * kWords) {
  const int64_t n = job.n;
  groups_.plan(n, arena.take<Groups::Group>(Groups::capacity(n)), arena.take<int32_t>(2 * n + 2));
  weights_ = arena.take<V>((tiles_of_neurons_ * groups_.count + kAhead) * kEntries);
  initial_ = arena.take<V>(tiles_of_neurons_ * (kMaxPlanes + 1));
  of_samples_ = arena.take<uint8_t>((groups_.count + kAhead) * Tile::kSamples);
  of_coordinates_ = arena.take<uint8_t>((job.classes * padded_ + 1) * Tile::kGroups);
  none_ = arena.take<uint8_t>(2 * Tile::kGroups);
  fires_ = arena.take<V>(3 * Tile::kSamples);
  labelled_ = arena.take<V>(3 * Tile::kSamples);
  tables_ = arena.take<V>((Tile::kGroups + kAhead) * kEntries);
  counters_ = arena.take<V>(tiles_of_neurons_ * job.classes * n * kStored);
  active_ = arena.take<V>(tiles_of_neurons_ * kStored);
  negatives_ = arena.take<V>(job.classes * padded_ / kWords);
  const int64_t* q = job.q + stream * job.neurons;
  for (int64_t j = first; j < last; ++j) {
    const int64_t reach = q[j] + 1 > n - q[j] ? q[j] + 1 : n - q[j];
    while ((int64_t{2} << planes_) < reach) ++planes_;
    if (planes_ > 8) planes_ = kMaxPlanes;  // so large an n is rare, and not worth its own code
  }
  V* planes = arena.take<V>(n + 1 + groups_.count);
  for (int64_t t = 0; t < tiles_of_neurons_; ++t) prepare(t, planes);
}

// Tables of the weights of a tile of neurons, and the initial counters, such that bit 2^(planes + 1) of the whole sum
// is [disagreements > q]. Its lowest bit and the leftovers yield one carry, the entry of the last group.
PARITY_NOINLINE inline void Wide::prepare(int64_t tile, V* planes) {
  const int64_t n = job_.n, base = first_ + tile * kLanes;
  const int lanes = int(last_ - base < kLanes ? last_ - base : kLanes);
  for (int64_t i = 0; i <= n; ++i) planes[i] = zero();
  V start[kMaxPlanes + 2] = {};
  for (int lane = 0; lane < lanes; ++lane) {
    const int64_t j = stream_ * job_.neurons + base + lane;
    const uint64_t bit = uint64_t{1} << (lane % 64);
    for (int64_t i = 0; i < n; ++i) {
      if (job_.weights[j * n + i] < 0) planes[i][lane / 64] |= bit;
    }
    const uint64_t constant = (uint64_t{2} << planes_) - 1 - uint64_t(job_.q[j]);
    for (int p = 0; p <= planes_ + 1; ++p) {
      if (constant >> p & 1) start[p][lane / 64] |= bit;
    }
  }
  for (int p = 0; p <= planes_; ++p) initial_[tile * (kMaxPlanes + 1) + p] = start[p + 1];
  V* table = weights_ + tile * groups_.count * kEntries;
  for (int32_t g = 0; g < groups_.count; ++g, table += kEntries) {
    const Groups::Group& of = groups_.group[g];
    const bool leftovers = g == groups_.count - 1;
    planes[n + 1 + g] = fill_table(planes[of.a], planes[of.b], leftovers ? start[0] : planes[of.c], table);
  }
}

// Parity rows of the groups of coordinates, behind the inputs of sub-block s.
PARITY_NOINLINE inline void Wide::derive(const Chunk& chunk, int64_t s) const {
  V* x = chunk.sub(s);
  for (int32_t g = 0; g < groups_.count - 1; ++g) {
    const Groups::Group& of = groups_.group[g];
    V* out = x + (job_.n + 1 + g) * kPer;
    for (int h = 0; h < kPer; ++h) out[h] = xor3(x[of.a * kPer + h], x[of.b * kPer + h], x[of.c * kPer + h]);
  }
}

// Selectors of the activation for the 128 samples from `at` of sub-block s.
PARITY_NOINLINE inline void Wide::select_samples(const Chunk& chunk, int64_t s, int64_t at) {
  const V* x = chunk.sub(s);
  const uint8_t* rows = reinterpret_cast<const uint8_t*>(x) + at / 8;
  for (int32_t g = 0; g < groups_.count; ++g) {
    const Groups::Group& of = groups_.group[g];
    const uint8_t *a = rows + of.a * 64, *b = rows + of.b * 64, *c = rows + of.c * 64;
    uint8_t* out = of_samples_ + g * Tile::kSamples;
    for (int k = 0; k < Tile::kSamples / 64; ++k) spread(a + 8 * k, b + 8 * k, c + 8 * k, out + 64 * k);
  }
}

// Selectors of the gradient for the same samples.
PARITY_NOINLINE inline void Wide::select_coordinates(const Chunk& chunk, int64_t s, int64_t at) {
  const uint64_t* x = reinterpret_cast<const uint64_t*>(chunk.sub(s)) + at / 64;
  uint8_t* out = of_coordinates_;
  for (int64_t c = 0; c < job_.classes; ++c) {
    const uint64_t* y = reinterpret_cast<const uint64_t*>(chunk.negative + c * chunk.vectors) + s * 8 + at / 64;
    const V y0 = splat(y[0]), y1 = splat(y[1]);
    V* negatives = negatives_ + c * padded_ / kWords;
    for (int64_t i = 0; i < padded_; i += kWords, ++negatives) {
      V low, high;
      load_columns(x + i * 8, low, high);
      low ^= y0, high ^= y1;
      *negatives += count_ones(low) + count_ones(high);
      V a, b, d;
      Tile::selectors(low, high, a, b, d);
      const uint64_t *p = reinterpret_cast<const uint64_t*>(&a), *q = reinterpret_cast<const uint64_t*>(&b),
                     *r = reinterpret_cast<const uint64_t*>(&d);
      for (int k = 0; k < kWords; ++k, out += Tile::kGroups) spread(p + k, q + k, r + k, out);
    }
  }
}

// Activations of a tile of neurons on the samples lo .. hi - 1 of the 128; the others count as not active.
template <int Planes>
PARITY_NOINLINE void Wide::fire_planes(int64_t tile, int64_t lo, int64_t hi) {
  const V* initial = initial_ + tile * (kMaxPlanes + 1);
  for (int64_t b = 0; b < Tile::kSamples; ++b) {
    if (b < lo || b >= hi) {
      fires_[b] = zero();
      continue;
    }
    V p[Planes + 1];
    for (int i = 0; i <= Planes; ++i) p[i] = initial[i];
    Reader<Tile::kSamples> next(weights_ + tile * groups_.count * kEntries, of_samples_ + b);
    int32_t left = groups_.count;
    for (; left >= 16; left -= 16) ripple<4, Planes>(p, add_tree<16>(p, next));
    if (left & 8) ripple<3, Planes>(p, add_tree<8>(p, next));
    if (left & 4) ripple<2, Planes>(p, add_tree<4>(p, next));
    if (left & 2) ripple<1, Planes>(p, add_tree<2>(p, next));
    if (left & 1) ripple<0, Planes>(p, next());
    fires_[b] = ~p[Planes];
  }
}

PARITY_NOINLINE inline void Wide::fire(int64_t tile, int64_t lo, int64_t hi) {
  switch (planes_) {
    case 4: return fire_planes<4>(tile, lo, hi);
    case 5: return fire_planes<5>(tile, lo, hi);
    case 6: return fire_planes<6>(tile, lo, hi);
    case 7: return fire_planes<7>(tile, lo, hi);
    case 8: return fire_planes<8>(tile, lo, hi);
    default: return fire_planes<kMaxPlanes>(tile, lo, hi);
  }
}

// Adds sum_b (T_b ^ z_b) over the 128 samples to the counters of some rows of selectors.
PARITY_NOINLINE inline void Wide::count(const uint8_t* selectors, int64_t rows, V* counters) const {
  const int waiting = __builtin_ctzll(~uint64_t(tiles_));
  for (int64_t i = 0; i < rows; ++i, selectors += Tile::kGroups, counters += kStored) {
    V p[kLow];
    for (int l = 0; l < kLow; ++l) p[l] = counters[l];
    const V* pair = tables_ + Tile::kPair * kEntries;
    const V both = entry(pair, selectors[Tile::kPair]), one = entry(pair + 4, selectors[Tile::kPair]);
    V carry = both | (one & p[0]);
    p[0] ^= one;
    Reader<1> reader(tables_, selectors);
    bool first = true;
    auto next = [&] {
      if (!first) return reader();
      first = false;
      return carry;
    };
    carry = add_tree<Tile::kGroups>(p + 1, next);
    for (int l = 0; l < kLow; ++l) counters[l] = p[l];
    V* high = counters + kLow;
    for (int l = 0; l < waiting; ++l, high += 2) high[0] = full_add(high[1], carry, high[0], carry);
    high[1] = carry;
  }
}

PARITY_NOINLINE inline void Wide::add(const Chunk& chunk, int64_t lo, int64_t hi) {
  for (int64_t from = lo / Tile::kSamples * Tile::kSamples; from < hi; from += Tile::kSamples) {
    const int64_t s = from / kSub, at = from % kSub;
    if (at == 0 || from <= lo) derive(chunk, s);
    select_samples(chunk, s, at);
    select_coordinates(chunk, s, at);
    for (int64_t t = 0; t < tiles_of_neurons_; ++t) {
      fire(t, lo - from, hi - from);
      bool counted = false;
      for (int64_t c = 0; c < job_.classes; ++c) {
        const V* present = chunk.present + c * chunk.vectors;
        const uint64_t* words = reinterpret_cast<const uint64_t*>(present) + from / 64;
        const bool all = (words[0] & words[1]) == ~uint64_t{0};
        for (int b = 0; !all && b < Tile::kSamples; ++b) {
          labelled_[b] = words[b / 64] >> (b % 64) & 1 ? fires_[b] : zero();
        }
        Tile::tables(all ? fires_ : labelled_, tables_);
        if (all && !counted) {
          count(none_, 1, active_ + t * kStored);
          counted = true;
        }
        const int64_t at_class = (t * job_.classes + c) * job_.n;
        count(of_coordinates_ + c * padded_ * Tile::kGroups, job_.n, counters_ + at_class * kStored);
      }
      if (!counted) {
        Tile::tables(fires_, tables_);
        count(none_, 1, active_ + t * kStored);
      }
    }
    ++tiles_;
  }
}

// The numbers of a counter, which is emptied.
PARITY_NOINLINE inline void Wide::read(V* counter, int64_t (&values)[kLanes]) const {
  constexpr int kPlanes = 24;
  V p[kPlanes + 1] = {};
  for (int l = 0; l < kLow; ++l) p[l] = counter[l];
  for (int l = 0; l < kHigh; ++l) p[kLow + l] = counter[kLow + 2 * l];
  for (int l = 0; l < kHigh; ++l) {
    if (!(tiles_ >> l & 1)) continue;
    V carry = counter[kLow + 2 * l + 1];
    for (int r = kLow + l; r < kPlanes; ++r) {
      const V next = p[r] & carry;
      p[r] ^= carry;
      carry = next;
    }
  }
  for (int l = 0; l < kStored; ++l) counter[l] = zero();
  const uint8_t* bytes = reinterpret_cast<const uint8_t*>(p);
  for (int k = 0; k < kBytes; ++k) {  // eight lanes
    uint64_t part[kPlanes / 8];
    for (int r = 0; r < kPlanes / 8; ++r) {
      uint64_t x = 0;
      for (int l = 0; l < 8; ++l) x |= uint64_t(bytes[(8 * r + l) * kBytes + k]) << (8 * l);
      // transpose 8 x 8 bits (Warren, Hacker's Delight, section 7-3)
      uint64_t t = (x ^ (x >> 7)) & 0x00AA00AA00AA00AAu;
      x ^= t ^ (t << 7);
      t = (x ^ (x >> 14)) & 0x0000CCCC0000CCCCu;
      x ^= t ^ (t << 14);
      t = (x ^ (x >> 28)) & 0x00000000F0F0F0F0u;
      part[r] = x ^ t ^ (t << 28);
    }
    for (int b = 0; b < 8; ++b) {
      int64_t value = 0;
      for (int r = 0; r < kPlanes / 8; ++r) value |= int64_t(part[r] >> (8 * b) & 0xFF) << (8 * r);
      values[8 * k + b] = value;
    }
  }
}

PARITY_NOINLINE inline void Wide::flush(int64_t record) {
  int64_t values[kLanes];
  const int64_t base = record * job_.streams + stream_;
  for (int64_t t = 0; t < tiles_of_neurons_; ++t) {
    const int64_t from = first_ + t * kLanes;
    const int lanes = int(last_ - from < kLanes ? last_ - from : kLanes);
    read(active_ + t * kStored, values);
    for (int j = 0; j < lanes; ++j) {
      __atomic_fetch_add(job_.active + base * job_.neurons + from + j, values[j], __ATOMIC_RELAXED);
    }
    for (int64_t c = 0; c < job_.classes; ++c) {
      int64_t* out = job_.sums + ((base * job_.classes + c) * job_.neurons + from) * job_.n;
      for (int64_t i = 0; i < job_.n; ++i) {
        read(counters_ + ((t * job_.classes + c) * job_.n + i) * kStored, values);
        const int64_t negatives = int64_t(negatives_[(c * padded_ + i) / kWords][i % kWords]);
        for (int j = 0; j < lanes; ++j) {
          __atomic_fetch_add(out + j * job_.n + i, values[j] - negatives, __ATOMIC_RELAXED);
        }
      }
    }
  }
  for (int64_t i = 0; i < job_.classes * padded_ / kWords; ++i) negatives_[i] = zero();
  tiles_ = 0;
}

}  // namespace PARITY_LEVEL
