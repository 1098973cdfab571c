// One block of samples of one stream: inputs as rows of bits, labels, and which samples count.
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

constexpr int kVectors = int(kSubs) * kPer;  // vectors of one coordinate in a block

// All ones at the samples lo .. hi - 1 of a block, for vector v of the block.
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

struct Block {
  const Job& job;
  int64_t row_vectors;  // vectors from one sub-block to the next
  V* x;                 // [kSubs][n + 1 + extra][kPer]; row n holds zeros, the extra rows belong to the engine
  V* negative;          // [classes][kVectors]
  V* present;           // [classes][kVectors]
  V* slots;

  Block(const Job& j, int64_t extra_rows, Arena& arena)
      : job(j),
        row_vectors((j.n + 1 + extra_rows) * kPer),
        x(arena.take<V>(kSubs * row_vectors)),
        negative(arena.take<V>(j.classes * kVectors)),
        present(arena.take<V>(j.classes * kVectors)),
        slots(arena.take<V>(kMaxSlots)) {}

  V* sub(int64_t s) const { return x + s * row_vectors; }

  // Draws the sub-blocks 0 .. subs - 1 of a block.
  void draw(int64_t stream, int64_t number, int64_t subs) {
    Lanes inputs, mixture;
    inputs.seed(job.key, uint64_t(stream), uint64_t(number), 0);
    if (job.mixed) mixture.seed(job.key, uint64_t(stream), uint64_t(number), 16);
    for (int64_t s = 0; s < subs; ++s) {
      inputs.fill(sub(s), job.n);
      V pick[kPer] = {};
      if (job.mixed) bernoulli(mixture, job.probability, pick);
      for (int64_t c = 0; c < job.classes; ++c) {
        V* neg = negative + c * kVectors + s * kPer;
        V* pre = present + c * kVectors + s * kPer;
        evaluate(job.main[size_t(c)].negative, sub(s), job.support, slots, neg);
        evaluate(job.main[size_t(c)].present, sub(s), job.support, slots, pre);
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
  }
};

}  // namespace PARITY_LEVEL
