// A training segment: tiles of samples, prepared once for all students; students one after the other, or side by side.
#pragma once

#include <exception>
#include <list>
#include <vector>

#include "products.h"
#include "sweep.h"

namespace PARITY_LEVEL {

using parity::Training;

// A wide network is shared by the team, neuron by neuron; small students go to one member each. Which of the two is
// chosen changes no result.
constexpr int64_t kSharedWidth = 2048;
constexpr int64_t kTileBlocks = 16;
constexpr int64_t kNear = 1 << 19;  // bytes of weights that stay in a processor's own cache

template <class F>
class Run {
  using Vec = VecOf<F>;
  static constexpr int64_t kLane = kLanesOf<F>;

 public:
  Run(const Training<F>& job, int64_t members)
      : job_(job),
        shape_(job.n),
        members_(members),
        shared_(job.width >= kSharedWidth && job.students % members != 0 && job.students < 4 * members),
        vectors_(ceil_div(job.width, kLane)),
        chunks_(ceil_div(job.width, kChunkNeurons)),
        weights_size_(vectors_ * shape_.padded * kLane),
        split_(job.batch > job.block),
        words_((kTileBlocks * job.block) / 64 + 3) {
    stride_ = vectors_ * kLane;
    if (stride_ * int64_t(sizeof(F)) / 64 % 2 == 0) stride_ += 64 / int64_t(sizeof(F));  // rows in different sets
    const int64_t rows = ceil_div(job.block, kSubRows) * kSubRows;
    const int64_t copies = split_ ? 2 : 1;
    weights_ = arena_.take<F>(copies * job.students * weights_size_);
    a_ = arena_.take<F>(copies * job.students * vectors_ * kLane);
    c_ = arena_.take<F>(copies * job.students);
    bits_ = arena_.take<uint64_t>(job.n * words_);
    drawn_ = arena_.take<V>(job.n * kPer);
    blocks_.resize(kTileBlocks);
    for (Block<F>& block : blocks_) Preparation<F>::allocate(block, shape_, rows, true, arenas_.emplace_back());
    const int64_t chunk_stride = ceil_div(chunks_, kLane) * kLane;
    F* common = shared_ ? arena_.take<F>(rows * stride_) : nullptr;
    F* partial = shared_ ? arena_.take<F>(2 * parity::kMaxRows * chunk_stride) : nullptr;
    scratch_.reserve(size_t(members));
    for (int64_t i = 0; i < members; ++i) {
      Arena& arena = arenas_.emplace_back();
      scratch_.push_back({Products<F>(shape_, arena), Preparation<F>(shape_, rows, arena),
                          shared_ ? common : arena.take<F>(rows * stride_),
                          shared_ ? partial : arena.take<F>(2 * parity::kMaxRows * chunk_stride), chunk_stride,
                          arena.take<F>(parity::kMaxRows * parity::kMaxRows), arena.take<F>(parity::kMaxRows),
                          arena.take<F>(parity::kMaxRows), 0});
    }
  }

  void work(const Member& me) {
    copy(me, true);
    const int64_t samples = job_.steps * job_.batch;
    for (int64_t done = 0; done < samples;) {
      if (me.team->stopped(me.number)) return;
      if (me.first()) draw_tile(done);
      me.wait();
      const Scratch& scratch = scratch_[size_t(me.number)];
      for (int64_t b = me.number; b < count_; b += members_) {
        scratch.preparation.prepare(blocks_[size_t(b)], bits_, words_, begins_[size_t(b)] - done,
                                    lengths_[size_t(b)]);
      }
      if (me.first()) me.team->restart();
      me.wait();
      if (shared_) {
        for (int64_t r = 0; r < job_.students; ++r) tile(r, me);
      } else {
        for (int64_t r = me.team->take(); r < job_.students; r = me.team->take()) tile(r, {&solo_, 0, nullptr}, me);
      }
      const int64_t last = count_ - 1;
      done = begins_[size_t(last)] + lengths_[size_t(last)];
      me.wait();
    }
    copy(me, false);
  }

 private:
  struct Scratch {
    Products<F> products;
    Preparation<F> preparation;
    F *h, *partial;
    int64_t chunk_stride;
    F *gram, *keep, *share;
    int64_t turn;
  };

  // Between the caller's tensors and vectors of neurons, students shared out among the members.
  void copy(const Member& me, bool in) {
    for (int64_t r = me.number; r < job_.students; r += members_) {
      F* a = job_.a + r * job_.width;
      F* b = job_.b + r * job_.width;
      for (int64_t j = 0; j < job_.width; ++j) {
        F* W = job_.W + (r * job_.width + j) * job_.n;
        F* packed = weights_ + r * weights_size_ + j / kLane * shape_.padded * kLane + j % kLane;
        for (int64_t i = 0; i < job_.n; ++i) move(W[i], packed[i * kLane], in);
        move(b[j], packed[job_.n * kLane], in);
        move(a[j], a_[r * vectors_ * kLane + j], in);
      }
      move(job_.c[r], c_[r], in);
    }
    me.wait();
  }

  static void move(F& outside, F& inside, bool in) {
    if (in) {
      inside = outside;
    } else {
      outside = inside;
    }
  }

  // Lays out the blocks of the next tile and draws its samples. Blocks hold whole steps, or parts of one.
  void draw_tile(int64_t done) {
    const int64_t samples = job_.steps * job_.batch;
    int64_t at = done;
    for (count_ = 0; count_ < kTileBlocks && at < samples; ++count_) {
      int64_t length = job_.block / job_.batch * job_.batch;
      if (split_) length = std::min(job_.block, job_.batch - at % job_.batch);
      begins_[size_t(count_)] = at;
      lengths_[size_t(count_)] = std::min(length, samples - at);
      at += lengths_[size_t(count_)];
    }
    draw_rows(job_.key, job_.stream, job_.n, job_.start + done, at - done, bits_, words_, drawn_);
  }

  void tile(int64_t r, const Member& team, const Member& me) {
    const int64_t size = team.team->size();
    Scratch& scratch = scratch_[size_t(me.number)];
    F* a = a_ + r * vectors_ * kLane;
    F* a_sum = a + job_.students * vectors_ * kLane;
    F* weights = weights_ + r * weights_size_;
    F* weights_sum = weights + job_.students * weights_size_;
    Part<F> part{scratch.h, stride_, a, vectors_, chunks_, chunks_ * team.number / size,
                 chunks_ * (team.number + 1) / size, scratch.partial, scratch.chunk_stride, &scratch.turn, team};
    const int64_t per_chunk = kChunkNeurons / kLane, per_vector = shape_.padded * kLane;
    const int64_t begin = part.chunk_begin * per_chunk, end = std::min(vectors_, part.chunk_end * per_chunk);
    const bool far = (end - begin) * per_vector * int64_t(sizeof(F)) > kNear;
    F c = c_[r], c_sum = split_ ? c_[job_.students + r] : F(0);

    for (int64_t v = begin; v < end; ++v) {
      scratch.products.forward(weights + v * per_vector, blocks_[0], part.h + v * kLane, stride_);
    }
    for (int64_t b = 0; b < count_; ++b) {
      const Block<F>& block = blocks_[size_t(b)];
      const int64_t at_sample = begins_[size_t(b)], step = at_sample / job_.batch, samples = job_.steps * job_.batch;
      Steps<F> steps{job_.targets + job_.target_of[r] * samples + at_sample,
                     job_.logits + r * samples + at_sample,
                     job_.rates + (job_.rate_rows > 1 ? r : 0) * job_.steps + step,
                     job_.factors == nullptr ? nullptr
                                             : job_.factors + (job_.factor_rows > 1 ? r : 0) * job_.steps + step,
                     nullptr,
                     job_.hidden_rate,
                     job_.output_rate,
                     job_.loss,
                     job_.batch};
      const F* share = nullptr;
      const F* gram = block.gram;
      F keep = 1;
      if (steps.factors != nullptr && !split_) {
        keep = decay(block, steps, scratch);
        gram = scratch.gram, share = scratch.share;
        steps.keep = scratch.keep;
      }
      Sweep<F> sweep(part, steps, gram);
      if (split_) {
        sweep.frozen(block.rows, c, c_sum, a_sum);
      } else if (job_.batch == 1) {
        c = sweep.single(block.rows, c);
      } else {
        c = sweep.batches(block.rows, c);
      }
      const bool ends = split_ && (at_sample + block.rows) % job_.batch == 0;
      const F factor = steps.factors == nullptr ? F(1) : steps.factors[0];
      if (ends) c = factor * c + c_sum, c_sum = 0;
      for (int64_t v = begin; v < end; ++v) {
        F* h = part.h + v * kLane;
        if (far) {  // what does not fit the cache is asked for in time: the next neurons' weights and rows
          for (int64_t t = 0; t < block.rows; ++t) __builtin_prefetch(h + t * stride_ + kLane, 1);
          for (int64_t i = 0; i < per_vector; i += kLane) __builtin_prefetch(weights + (v + 1) * per_vector + i, 1);
        }
        F* w = weights + v * per_vector;
        scratch.products.update(split_ ? weights_sum + v * per_vector : w, block, h, stride_, share, keep);
        if (ends) {
          add_sums(w, weights_sum + v * per_vector, shape_.coordinates, factor);
          add_sums(a + v * kLane, a_sum + v * kLane, 1, factor);
        }
        if (b + 1 < count_) scratch.products.forward(w, blocks_[size_t(b) + 1], h, stride_);
      }
    }
    if (team.first()) {
      c_[r] = c;
      if (split_) c_[job_.students + r] = c_sum;
    }
  }
  void tile(int64_t r, const Member& me) { tile(r, me, me); }

  static void add_sums(F* to, F* sums, int64_t vectors, F factor) {
    for (int64_t i = 0; i < vectors * kLane; i += kLane) {
      at(to + i) = factor * at(to + i) + at(sums + i);
      at(sums + i) = Vec{};
    }
  }

  // Weight decay: what a step adds shrinks by the factors of the steps after it. Fills the member's gram, keep (of the
  // start of the block, by row) and share (of each row, at the end of the block); returns the start's share there.
  F decay(const Block<F>& block, const Steps<F>& steps, Scratch& scratch) const {
    const int64_t batch = job_.batch;
    F from_start = 1;
    for (int64_t t = 0; t < parity::kMaxRows; ++t) {
      scratch.keep[t] = from_start;
      if (t < block.rows && (t + 1) % batch == 0) from_start *= steps.factors[t / batch];
    }
    for (int64_t s = 0; s < block.rows; ++s) {
      F left = 1;
      for (int64_t t = (s / batch + 1) * batch; t < block.rows; ++t) {
        scratch.gram[s * parity::kMaxRows + t] = left * block.gram[s * parity::kMaxRows + t];
        if ((t + 1) % batch == 0) left *= steps.factors[t / batch];
      }
      scratch.share[s] = left;
    }
    return from_start;
  }

  const Training<F>& job_;
  Shape shape_;
  int64_t members_;
  bool shared_;
  int64_t vectors_, chunks_, weights_size_, stride_ = 0;
  bool split_;  // a batch takes several blocks
  int64_t words_;
  Arena arena_;
  std::list<Arena> arenas_;
  F *weights_, *a_, *c_;
  uint64_t* bits_;
  V* drawn_;
  std::vector<Block<F>> blocks_;
  std::vector<Scratch> scratch_;
  int64_t count_ = 0;  // blocks of this tile
  int64_t begins_[kTileBlocks], lengths_[kTileBlocks];
  parity::Team solo_{1};
};

// All members call this; the first one makes what they share.
template <class Shared, class Job>
void run_shared(const Job& job, const Member& me) {
  std::exception_ptr failure;
  if (me.first()) {
    try {
      *me.shared = new Shared(job, me.team->size());
    } catch (...) {
      failure = std::current_exception();
    }
  }
  me.wait();
  Shared* shared = static_cast<Shared*>(*me.shared);
  if (shared != nullptr) shared->work(me);
  me.wait();
  if (me.first()) delete shared;
  if (failure) std::rethrow_exception(failure);
}

}  // namespace PARITY_LEVEL
