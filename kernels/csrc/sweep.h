// The sequential part of a block: one step of SGD after another on its rows of H.
//
// H holds <w_j, x_t> + b_j as of the start of the block. Step t reads row t, turns it into c_t, by which the weights of
// the first layer move (w_j += c_tj x_t), and adds gram[t][s] c_t to the later rows: in sub-blocks of kSub rows,
// within which a step and the next one share a pass over the neurons ("right-looking"), while a new sub-block first
// collects all earlier c ("left-looking"). One reduction, over chunks of kChunk neurons in a fixed order, per step.
#pragma once

#include <algorithm>
#include <cmath>

#include "reals.h"
#include "samples.h"

namespace PARITY_LEVEL {

using parity::Loss;
using parity::Member;

template <class F>
F slope(Loss loss, F z, F y) {
  switch (loss) {
    case Loss::logistic: return 1 / (1 + std::exp(-z)) - y;
    case Loss::hinge: return y * z < 1 ? -y : F(0);
    case Loss::correlation: return -y;
    default: return z - y;
  }
}

// Rows past the last one of a block are computed, and not used.
constexpr int64_t kSubRows = 8;
static_assert(kSubRows % kSums == 0, "products write as many rows");
constexpr int64_t kChunkNeurons = 512;

// What a member of a team needs to go through a block.
template <class F>
struct Part {
  F* h;            // [kMaxRows][stride]
  int64_t stride;  // of rows, in numbers
  F* a;            // [vectors * lanes]
  int64_t vectors, chunks, chunk_begin, chunk_end;
  F* partial;  // [2][kMaxRows][chunk_stride]: sums of each chunk; two halves take turns
  int64_t chunk_stride;
  int64_t* turn;  // 0 or 1, of the member: which half is next
  Member member;
};

// Rates of the rows of a block; keep[t] scales row t of H from the start of the block to its step.
template <class F>
struct Steps {
  const F* targets;  // of each row
  F* logits;
  const F* rates;    // of each step
  const F* factors;  // of each step, or null
  const F* keep;     // of each row, or null with factors
  F hidden_rate, output_rate;
  Loss loss;
  int64_t batch;
};

template <class F>
class Sweep {
  using Vec = VecOf<F>;
  static constexpr int64_t kLane = kLanesOf<F>;
  static constexpr int64_t kChunkVectors = kChunkNeurons / kLane;
#if PARITY_AVX512
  static constexpr int kWide = 2;  // vectors side by side: 8 rows of two are 16 of the 32 registers
#else
  static constexpr int kWide = 1;
#endif

 public:
  Sweep(const Part<F>& part, const Steps<F>& steps, const F* gram) : part_(part), steps_(steps), gram_(gram) {}

  // Batch size 1: students side by side, each with its own sweep and output bias, so that one's reductions, which are a
  // chain of dependent operations, go on beside the others' passes.
  template <int kStudents>
  static void single(Sweep* sweeps, int64_t rows, F* c) {
    Move moves[kStudents] = {};
    for (int64_t first = 0; first < rows; first += kSubRows) {
      for (int s = 0; s < kStudents; ++s) {
        if (first == 0) {
          sweeps[s].template collect<false>(first, moves[s]);
        } else {
          sweeps[s].template collect<true>(first, moves[s]);
        }
      }
      for (int64_t t = first;; ++t) {
        for (int s = 0; s < kStudents; ++s) {
          const F z = c[s] + sweeps[s].reduce(0);
          moves[s] = sweeps[s].moved(t, t, z);
          c[s] = moves[s].keep * c[s] + moves[s].output;
          if (sweeps[s].part_.member.first()) sweeps[s].steps_.logits[t] = z;
        }
        if (t + 1 == rows) {
          for (int s = 0; s < kStudents; ++s) sweeps[s].finish(t, moves[s]);
          return;
        }
        if (t + 1 == first + kSubRows) break;
        for (int s = 0; s < kStudents; ++s) sweeps[s].pass(t, t - first, moves[s]);
      }
    }
  }

  // Several steps of batch size > 1 that lie in one block whole. Returns the output bias after the block.
  F batches(int64_t rows, F c) {
    const int64_t batch = steps_.batch;
    for (int64_t first = 0; first < rows; first += batch) {
      int64_t row = first;
      for (; row + 8 <= first + batch; row += 8) collect_rows<8>(row, first);
      for (; row + 4 <= first + batch; row += 4) collect_rows<4>(row, first);
      for (; row < first + batch; ++row) collect_rows<1>(row, first);
      c = batch_step(first, batch, first / batch, c, part_.a);
    }
    return c;
  }

  // Rows of a batch that is larger than a block: nothing moves but the sums.
  void frozen(int64_t rows, F c, F& c_sum, F* a_sum) {
    for (int64_t row = 0; row < rows; ++row) dot(row);
    F zs[parity::kMaxRows];
    wait_and_sum(0, rows, c, zs);
    Move moves[parity::kMaxRows];
    for (int64_t t = 0; t < rows; ++t) {
      moves[t] = moved(t, 0, zs[t]);
      c_sum += moves[t].output;
    }
    each_vector([&](int64_t j) {
      const Vec a = at(part_.a + j);
      Vec sum = at(a_sum + j);
      for (int64_t t = 0; t < rows; ++t) {
        F* h = part_.h + t * part_.stride + j;
        const Vec x = at(h);
        at(h) = where_active<F>(x, moves[t].hidden * a);
        sum += moves[t].output * relu<F>(x);
      }
      at(a_sum + j) = sum;
    });
  }

 private:
  // A step: c_t = hidden * a where active; a = keep * a + output * relu(h).
  struct Move {
    F hidden, output, keep;
  };

  Move moved(int64_t row, int64_t step, F z) const {
    const F delta = slope(steps_.loss, z, steps_.targets[row]);
    const F rate = steps_.rates[step] / F(steps_.batch);
    return {-(rate * steps_.hidden_rate) * delta, -(rate * steps_.output_rate) * delta,
            steps_.factors == nullptr ? F(1) : steps_.factors[step]};
  }

  F* slot(int64_t row) const { return part_.partial + (*part_.turn * parity::kMaxRows + row) * part_.chunk_stride; }

  F sum_chunks(const F* sums) const {
    if (part_.chunks == 1) return sums[0];
    Vec total{};
    for (int64_t i = 0; i < part_.chunk_stride; i += kLane) total += at(sums + i);
    return sum_lanes<F>(total);
  }

  F reduce(int64_t row) {
    part_.member.wait();
    const F sum = sum_chunks(slot(row));
    *part_.turn ^= 1;
    return sum;
  }

  void wait_and_sum(int64_t first, int64_t rows, F c, F* zs) {
    part_.member.wait();
    for (int64_t t = 0; t < rows; ++t) {
      zs[t] = c + sum_chunks(slot(t));
      if (part_.member.first()) steps_.logits[first + t] = zs[t];
    }
    *part_.turn ^= 1;
  }

  template <class Body>
  PARITY_INLINE void each_vector(const Body& body) const {
    const int64_t begin = part_.chunk_begin * kChunkVectors;
    const int64_t end = std::min(part_.vectors, part_.chunk_end * kChunkVectors);
    for (int64_t v = begin; v < end; ++v) body(v * kLane);
  }

  // Calls body(first vector, one past the last) for each of the member's chunks and keeps the sum it returns.
  template <class Body>
  PARITY_INLINE void each_chunk(F* sums, const Body& body) const {
    for (int64_t chunk = part_.chunk_begin; chunk < part_.chunk_end; ++chunk) {
      const int64_t begin = chunk * kChunkVectors;
      sums[chunk] = sum_lanes<F>(body(begin, std::min(part_.vectors, begin + kChunkVectors)));
    }
  }

  // Finishes step t on neurons j .. of one vector: returns the new a, leaves c in row t.
  PARITY_INLINE Vec finish_at(int64_t t, int64_t j, const Move& move, Vec& c) const {
    F* h = part_.h + t * part_.stride + j;
    const Vec x = at(h), a = at(part_.a + j);
    c = where_active<F>(x, move.hidden * a);
    at(h) = c;
    const Vec next = move.keep * a + move.output * relu<F>(x);
    at(part_.a + j) = next;
    return next;
  }

  void finish(int64_t t, const Move& move) const {
    each_vector([&](int64_t j) {
      Vec c;
      finish_at(t, j, move, c);
    });
  }

  // Finishes step t and completes row t + 1 of the same sub-block, whose first `inner` rows lie before t.
  void pass(int64_t t, int64_t inner, const Move& move) {
    switch (inner) {
      case 0: return pass_of<0>(t, move);
      case 1: return pass_of<1>(t, move);
      case 2: return pass_of<2>(t, move);
      case 3: return pass_of<3>(t, move);
      case 4: return pass_of<4>(t, move);
      case 5: return pass_of<5>(t, move);
      default: return pass_of<6>(t, move);
    }
  }

  template <int kInner>
  void pass_of(int64_t t, const Move& move) {
    F weights[kInner + 1];
    for (int s = 0; s <= kInner; ++s) weights[s] = gram_[(t - kInner + s) * parity::kMaxRows + t + 1];
    const int64_t stride = part_.stride;
    each_chunk(slot(0), [&](int64_t begin, int64_t end) {
      Vec sum{};
      F* row = part_.h + (t - kInner) * stride;
      for (int64_t j = begin * kLane; j < end * kLane; j += kLane) {
        Vec c;
        const Vec a = finish_at(t, j, move, c);
        Vec x = at(row + (kInner + 1) * stride + j) + weights[kInner] * c;
        for (int s = 0; s < kInner; ++s) x += weights[s] * at(row + s * stride + j);
        at(row + (kInner + 1) * stride + j) = x;
        sum += relu<F>(x) * a;
      }
      return sum;
    });
  }

  // Finishes step first - 1 if kFinish, then brings the rows first .. first + 7 up to it.
  template <bool kFinish>
  void collect(int64_t first, const Move& move) {
    each_chunk(slot(0), [&](int64_t begin, int64_t end) {
      Vec sum{};
      int64_t v = begin;
      for (; v + kWide <= end; v += kWide) collect_at<kFinish, kWide>(first, v * kLane, move, sum);
      for (; v < end; ++v) collect_at<kFinish, 1>(first, v * kLane, move, sum);
      return sum;
    });
  }

  template <bool kFinish, int kVectors>
  PARITY_INLINE void collect_at(int64_t first, int64_t j, const Move& move, Vec& sum) const {
    Vec a[kVectors], c[kVectors];
    for (int p = 0; p < kVectors; ++p) {
      if (kFinish) {
        a[p] = finish_at(first - 1, j + p * kLane, move, c[p]);
      } else {
        a[p] = at(part_.a + j + p * kLane);
      }
    }
    gather<kSubRows, kVectors>(first, first, j);
    for (int p = 0; p < kVectors; ++p) sum += relu<F>(at(part_.h + first * part_.stride + j + p * kLane)) * a[p];
  }

  // Adds gram[s][row ..] c_s for all rows s < past to kRows rows from `row` on: a step does not see its own batch.
  template <int kRows, int kVectors>
  PARITY_INLINE void gather(int64_t row, int64_t past, int64_t j) const {
    if (past == 0 && steps_.keep == nullptr) return;
    const int64_t stride = part_.stride;
    F* h = part_.h + row * stride + j;
    Vec x[kRows][kVectors];
    for (int i = 0; i < kRows; ++i) {
      for (int p = 0; p < kVectors; ++p) {
        x[i][p] = at(h + i * stride + p * kLane);
        if (steps_.keep != nullptr) x[i][p] *= steps_.keep[row + i];
      }
    }
    const F* c = part_.h + j;
    const F* gram = gram_ + row;
    for (int64_t s = 0; s < past; ++s, c += stride, gram += parity::kMaxRows) {
      Vec before[kVectors];
      for (int p = 0; p < kVectors; ++p) before[p] = at(c + p * kLane);
      __builtin_prefetch(c + 2 * kVectors * kLane);
      if (kVectors > 1) __builtin_prefetch(c + 2 * kVectors * kLane + kLane);
      for (int i = 0; i < kRows; ++i) {
        for (int p = 0; p < kVectors; ++p) x[i][p] += gram[i] * before[p];
      }
    }
    for (int i = 0; i < kRows; ++i) {
      for (int p = 0; p < kVectors; ++p) at(h + i * stride + p * kLane) = x[i][p];
    }
  }

  // Batches: kRows rows see the c of all rows before `past`; their dot products go to the slots of the batch.
  template <int kRows>
  void collect_rows(int64_t row, int64_t past) {
    each_vector([&](int64_t j) { gather<kRows, 1>(row, past, j); });
    for (int i = 0; i < kRows; ++i) dot(row + i, row + i - past);
  }

  void dot(int64_t row, int64_t place) const {
    const F* h = part_.h + row * part_.stride;
    each_chunk(slot(place), [&](int64_t begin, int64_t end) {
      Vec sum{};
      for (int64_t j = begin * kLane; j < end * kLane; j += kLane) sum += relu<F>(at(h + j)) * at(part_.a + j);
      return sum;
    });
  }
  void dot(int64_t row) const { dot(row, row); }

  F batch_step(int64_t first, int64_t batch, int64_t step, F c, F* a_all) {
    F zs[parity::kMaxRows];
    wait_and_sum(first, batch, c, zs);
    Move moves[parity::kMaxRows];
    for (int64_t t = 0; t < batch; ++t) {
      moves[t] = moved(first + t, step, zs[t]);
      c = (t == 0 ? moves[0].keep * c : c) + moves[t].output;
    }
    each_vector([&](int64_t j) {
      const Vec a = at(a_all + j);
      Vec next = moves[0].keep * a;
      for (int64_t t = 0; t < batch; ++t) {
        F* h = part_.h + (first + t) * part_.stride + j;
        const Vec x = at(h);
        at(h) = where_active<F>(x, moves[t].hidden * a);
        next += moves[t].output * relu<F>(x);
      }
      at(a_all + j) = next;
    });
    return c;
  }

  Part<F> part_;
  Steps<F> steps_;
  const F* gram_;
};

}  // namespace PARITY_LEVEL
