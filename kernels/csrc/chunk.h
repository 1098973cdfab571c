// A chunk of a block of samples of one stream: inputs as rows of bits, labels, and which samples count.
#pragma once

#include "job.h"
#include "labels.h"
#include "memory.h"
#include "random.h"

namespace PARITY_LEVEL {

using parity::Job;
using parity::kBlock;
using parity::kSub;
using parity::kSubs;

// All ones at the samples lo .. hi - 1 of a chunk, for vector v of the chunk.
inline V sample_mask(int v, int64_t lo, int64_t hi) {
  V mask = zero();
  for (int i = 0; i < kWords; ++i) {
    const int64_t at = (int64_t(v) * kWords + i) * 64;
    const int64_t from = lo > at ? lo - at : 0, to = hi - at < 64 ? hi - at : 64;
    if (from >= to) continue;
    const uint64_t upper = to == 64 ? ~uint64_t{0} : (uint64_t{1} << to) - 1;
    mask[i] = upper & ~((uint64_t{1} << from) - 1);
  }
  return mask;
}

struct Chunk {
  const Job& job;
  int64_t subs;         // sub-blocks in it
  int64_t vectors;      // of one coordinate
  int64_t row_vectors;  // vectors from one sub-block to the next
  V* x;                 // [subs][n + 1 + extra][kPer]; row n holds zeros, the extra rows belong to the engine
  V* negative;          // [classes][vectors]
  V* present;           // [classes][vectors]
  V* slots;
  bool* complete;       // [classes]: whether all samples have labels, of -1 or 1

  Chunk(const Job& j, int64_t sub_blocks, int64_t extra_rows, Arena& arena)
      : job(j),
        subs(sub_blocks),
        vectors(sub_blocks * kPer),
        row_vectors((j.n + 1 + extra_rows) * kPer),
        x(arena.take<V>(subs * row_vectors)),
        negative(arena.take<V>(j.classes * vectors)),
        present(arena.take<V>(j.classes * vectors)),
        slots(arena.take<V>(kMaxSlots * kPer)),
        complete(arena.take<bool>(j.classes)) {
    for (int64_t c = 0; c < j.classes; ++c) {  // constants stay; the rest is drawn over them
      const parity::LabelCircuit& circuit = j.main[size_t(c)].present;
      complete[c] = !j.mixed && constant(circuit) && circuit.flip;
      for (int64_t v = 0; v < vectors; ++v) present[c * vectors + v] = circuit.flip ? ones() : zero();
    }
  }

  V* sub(int64_t s) const { return x + s * row_vectors; }

  PARITY_NOINLINE void seed(int64_t stream, int64_t number) {
    inputs_.seed(job.key, uint64_t(stream), uint64_t(number), 0);
    if (job.mixed) mixture_.seed(job.key, uint64_t(stream), uint64_t(number), 16);
  }

  // Draws the next sub-block of the block as number s of the chunk: inputs and labels. before(i, row) is called while
  // the row still holds what it did before.
  template <class Before>
  PARITY_INLINE void draw(int64_t s, const Before& before) {
    inputs_.fill(sub(s), job.n, before);
    label(s);
  }

  void draw(int64_t s) {
    draw(s, [](int64_t, const V*) {});
  }

 private:
  PARITY_NOINLINE void label(int64_t s) {
    V pick[kPer] = {};
    if (job.mixed) bernoulli(mixture_, job.probability, pick);
    for (int64_t c = 0; c < job.classes; ++c) {
      V* neg = negative + c * vectors + s * kPer;
      V* pre = present + c * vectors + s * kPer;
      const parity::Labels& labels = job.main[size_t(c)];
      evaluate(labels.negative, sub(s), job.support, slots, neg);
      if (!job.mixed && constant(labels.present)) continue;
      evaluate(labels.present, sub(s), job.support, slots, pre);
      if (!job.mixed) continue;
      V neg2[kPer], pre2[kPer];
      evaluate(job.other[size_t(c)].negative, sub(s), job.support, slots, neg2);
      evaluate(job.other[size_t(c)].present, sub(s), job.support, slots, pre2);
      for (int h = 0; h < kPer; ++h) {
        neg[h] = select(pick[h], neg2[h], neg[h]);
        pre[h] = select(pick[h], pre2[h], pre[h]);
      }
    }
  }

  Lanes inputs_, mixture_;
};

}  // namespace PARITY_LEVEL
