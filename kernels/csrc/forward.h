// Logits of fixed networks on many samples: the tables of a vector of neurons serve a whole tile of samples.
#pragma once

#include <list>

#include "products.h"
#include "train.h"

namespace PARITY_LEVEL {

template <class F>
class Pass {
  using Vec = VecOf<F>;
  static constexpr int64_t kLane = kLanesOf<F>;
  static constexpr int64_t kRows = 1024;

 public:
  Pass(const parity::Forward<F>& job, int64_t members)
      : job_(job),
        shape_(job.n),
        vectors_(ceil_div(job.width, kLane)),
        weights_size_(vectors_ * shape_.padded * kLane),
        rows_(std::min(kRows, ceil_div(ceil_div(job.stop - job.start, members), 64) * 64)),
        weights_(arena_.take<F>(job.students * weights_size_)),
        a_(arena_.take<F>(job.students * vectors_ * kLane)) {
    for (int64_t i = 0; i < members; ++i) {
      Arena& arena = arenas_.emplace_back();
      scratch_.push_back({Products<F>(shape_, arena), Preparation<F>(shape_, rows_, arena), {},
                          arena.take<uint64_t>(shape_.n * (rows_ / 64 + 2)), arena.take<V>(shape_.n * kPer),
                          arena.take<F>(rows_ * kLane), arena.take<F>(rows_ * kLane)});
      Preparation<F>::allocate(scratch_.back().block, shape_, rows_, false, arena);
    }
  }

  void work(const Member& me) {
    for (int64_t r = me.number; r < job_.students; r += me.team->size()) {
      for (int64_t j = 0; j < job_.width; ++j) {
        F* packed = weights_ + r * weights_size_ + j / kLane * shape_.padded * kLane + j % kLane;
        const F* W = job_.W + (r * job_.width + j) * shape_.n;
        for (int64_t i = 0; i < shape_.n; ++i) packed[i * kLane] = W[i];
        packed[shape_.n * kLane] = job_.b[r * job_.width + j];
        a_[r * vectors_ * kLane + j] = job_.a[r * job_.width + j];
      }
    }
    me.wait();
    const int64_t samples = job_.stop - job_.start;
    for (int64_t at = me.team->take() * rows_; at < samples && !me.team->halted(); at = me.team->take() * rows_) {
      tile(at, std::min(rows_, samples - at), scratch_[size_t(me.number)]);
    }
  }

 private:
  struct Scratch {
    Products<F> products;
    Preparation<F> preparation;
    Block<F> block;
    uint64_t* bits;
    V* drawn;
    F *h, *z;  // [rows][lanes]
  };

  void tile(int64_t at_sample, int64_t count, Scratch& s) {
    const int64_t words = rows_ / 64 + 2, samples = job_.stop - job_.start;
    draw_rows(job_.key, job_.stream, shape_.n, job_.start + at_sample, count, s.bits, words, s.drawn);
    s.preparation.prepare(s.block, s.bits, words, 0, count);
    for (int64_t r = 0; r < job_.students; ++r) {
      for (int64_t t = 0; t < ceil_div(count, kSums) * kSums; ++t) at(s.z + t * kLane) = Vec{};
      for (int64_t v = 0; v < vectors_; ++v) {
        vector(weights_ + r * weights_size_ + v * shape_.padded * kLane, at(a_ + (r * vectors_ + v) * kLane), s);
      }
      F* out = job_.out + r * samples + at_sample;
      for (int64_t t = 0; t < count; ++t) out[t] = job_.c[r] + sum_lanes<F>(at(s.z + t * kLane));
    }
  }

  void vector(const F* weights, Vec a, Scratch& s) const {
    for (int64_t slab = 0; slab < shape_.slabs; ++slab) {
      const int64_t begin = shape_.slab_begin(slab), groups = shape_.slab_begin(slab + 1) - begin;
      const bool last = slab + 1 == shape_.slabs;
      s.products.tabulate_slab(weights, slab);
      for (int64_t t = 0; t < s.block.rows; t += kSums) {
        Vec sums[kSums] = {};
        if (slab > 0) {
          for (int64_t u = 0; u < kSums; ++u) sums[u] = at(s.h + (t + u) * kLane);
        }
        s.products.template look_up<kSums>(s.products.tables, s.block.forward + (t * shape_.groups + begin * 4),
                                           shape_.groups * 4, groups, sums);
        for (int64_t u = 0; u < kSums; ++u) {
          if (last) {
            at(s.z + (t + u) * kLane) += relu<F>(sums[u]) * a;
          } else {
            at(s.h + (t + u) * kLane) = sums[u];
          }
        }
      }
    }
  }

  const parity::Forward<F>& job_;
  Shape shape_;
  int64_t vectors_, weights_size_, rows_;
  Arena arena_;
  std::list<Arena> arenas_;
  F *weights_, *a_;
  std::vector<Scratch> scratch_;
};

}  // namespace PARITY_LEVEL
