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
constexpr int64_t kTogether = 2;  // small students that a member takes at once; this changes no result either

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
        together_(!shared_ && chunks_ == 1 && job.batch == 1 && job.students >= kTogether * members ? kTogether : 1),
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
      scratch_.push_back({Products<F>(shape_, arena), Preparation<F>(shape_, rows, arena), {}});
      for (int64_t s = 0; s < together_; ++s) {
        scratch_.back().places[s] = {shared_ ? common : arena.take<F>(rows * stride_),
                                     shared_ ? partial : arena.take<F>(2 * parity::kMaxRows * chunk_stride),
                                     chunk_stride,
                                     arena.take<F>(parity::kMaxRows * parity::kMaxRows),
                                     arena.take<F>(parity::kMaxRows),
                                     arena.take<F>(parity::kMaxRows),
                                     0};
      }
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
        for (int64_t r = 0; r < job_.students; ++r) tile<1>(r, me, me);
      } else {
        const int64_t units = job_.students / together_ + job_.students % together_;
        for (int64_t u = me.team->take(); u < units; u = me.team->take()) unit(u, me);
      }
      const int64_t last = count_ - 1;
      done = begins_[size_t(last)] + lengths_[size_t(last)];
      me.wait();
    }
    copy(me, false);
  }

 private:
  // What one student needs while it is trained.
  struct Place {
    F *h, *partial;
    int64_t chunk_stride;
    F *gram, *keep, *share;
    int64_t turn;
  };

  struct Scratch {
    Products<F> products;
    Preparation<F> preparation;
    Place places[kTogether];
  };

  // A student in a tile, as far as a member sees it.
  struct Student {
    Place& place;
    Part<F> part;
    F *weights, *weights_sum, *a_sum;
    F c, c_sum;
  };

  // How a student goes through a block.
  struct Course {
    Steps<F> steps;
    const F* gram;
    const F* share;
    F keep;
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

  // Small students: some at once, then what is left of them.
  void unit(int64_t u, const Member& me) {
    const int64_t whole = job_.students / together_;
    const Member alone{&solo_, 0, nullptr};
    if (together_ > 1 && u < whole) {
      tile<kTogether>(u * together_, alone, me);
    } else {
      tile<1>(whole * (together_ - 1) + u, alone, me);
    }
  }

  template <int64_t kStudents>
  void tile(int64_t r, const Member& team, const Member& me) {
    Scratch& scratch = scratch_[size_t(me.number)];
    std::vector<Student> students;
    std::vector<Course> courses;  // through the block at hand, as the sweeps are
    std::vector<Sweep<F>> sweeps;
    F c[kStudents];
    for (int64_t s = 0; s < kStudents; ++s) {
      students.push_back(student(r + s, scratch.places[s], team));
      forward(students.back(), scratch);
    }
    for (int64_t b = 0; b < count_; ++b) {
      const Block<F>& block = blocks_[size_t(b)];
      courses.clear(), sweeps.clear();
      for (int64_t s = 0; s < kStudents; ++s) {
        courses.push_back(course(r + s, b, students[s].place));
        sweeps.emplace_back(students[s].part, courses.back().steps, courses.back().gram);
        c[s] = students[s].c;
      }
      if (split_) {
        sweeps[0].frozen(block.rows, c[0], students[0].c_sum, students[0].a_sum);
      } else if (job_.batch == 1) {
        Sweep<F>::template single<kStudents>(sweeps.data(), block.rows, c);
      } else {
        c[0] = sweeps[0].batches(block.rows, c[0]);
      }
      for (int64_t s = 0; s < kStudents; ++s) {
        students[s].c = c[s];
        finish_block(students[s], courses[s], b, scratch);
      }
    }
    if (!team.first()) return;
    for (int64_t s = 0; s < kStudents; ++s) {
      c_[r + s] = students[s].c;
      if (split_) c_[job_.students + r + s] = students[s].c_sum;
    }
  }

  Student student(int64_t r, Place& place, const Member& team) {
    const int64_t size = team.team->size();
    F* a = a_ + r * vectors_ * kLane;
    F* weights = weights_ + r * weights_size_;
    return {place,
            {place.h, stride_, a, vectors_, chunks_, chunks_ * team.number / size,
             chunks_ * (team.number + 1) / size, place.partial, place.chunk_stride, &place.turn, team},
            weights,
            weights + job_.students * weights_size_,
            a + job_.students * vectors_ * kLane,
            c_[r],
            split_ ? c_[job_.students + r] : F(0)};
  }

  Course course(int64_t r, int64_t b, Place& place) const {
    const Block<F>& block = blocks_[size_t(b)];
    const int64_t at_sample = begins_[size_t(b)], step = at_sample / job_.batch, samples = job_.steps * job_.batch;
    Course course{{job_.targets + job_.target_of[r] * samples + at_sample,
                   job_.logits + r * samples + at_sample,
                   job_.rates + (job_.rate_rows > 1 ? r : 0) * job_.steps + step,
                   job_.factors == nullptr ? nullptr
                                           : job_.factors + (job_.factor_rows > 1 ? r : 0) * job_.steps + step,
                   nullptr,
                   job_.hidden_rate,
                   job_.output_rate,
                   job_.loss,
                   job_.batch},
                  block.gram,
                  nullptr,
                  1};
    if (course.steps.factors != nullptr && !split_) {
      course.keep = decay(block, course.steps, place);
      course.gram = place.gram, course.share = place.share;
      course.steps.keep = place.keep;
    }
    return course;
  }

  // A member's vectors of neurons: the first, and one past the last.
  int64_t begin_of(const Student& student) const { return student.part.chunk_begin * (kChunkNeurons / kLane); }
  int64_t end_of(const Student& student) const {
    return std::min(vectors_, student.part.chunk_end * (kChunkNeurons / kLane));
  }

  void forward(const Student& student, const Scratch& scratch) const {
    const int64_t per_vector = shape_.padded * kLane;
    for (int64_t v = begin_of(student); v < end_of(student); ++v) {
      scratch.products.forward(student.weights + v * per_vector, blocks_[0], student.part.h + v * kLane, stride_);
    }
  }

  // Moves the weights, once all steps of block b are done, and begins the next block.
  void finish_block(Student& student, const Course& course, int64_t b, const Scratch& scratch) const {
    const Block<F>& block = blocks_[size_t(b)];
    const int64_t begin = begin_of(student), end = end_of(student), per_vector = shape_.padded * kLane;
    const bool more = b + 1 < count_;
    const bool ends = split_ && (begins_[size_t(b)] + block.rows) % job_.batch == 0;
    const F factor = course.steps.factors == nullptr ? F(1) : course.steps.factors[0];
    if (ends) student.c = factor * student.c + student.c_sum, student.c_sum = 0;
    for (int64_t v = begin; v < end; ++v) {
      F* h = student.part.h + v * kLane;
      F* w = student.weights + v * per_vector;
      if (!split_ && more) {
        scratch.products.advance(w, block, blocks_[size_t(b) + 1], h, stride_, course.share, course.keep);
        continue;
      }
      F* w_sum = student.weights_sum + v * per_vector;
      scratch.products.update(split_ ? w_sum : w, block, h, stride_, course.share, course.keep);
      if (ends) {
        add_sums(w, w_sum, shape_.coordinates, factor);
        add_sums(student.part.a + v * kLane, student.a_sum + v * kLane, 1, factor);
      }
      if (more) scratch.products.forward(w, blocks_[size_t(b) + 1], h, stride_);
    }
  }

  static void add_sums(F* to, F* sums, int64_t vectors, F factor) {
    for (int64_t i = 0; i < vectors * kLane; i += kLane) {
      at(to + i) = factor * at(to + i) + at(sums + i);
      at(sums + i) = Vec{};
    }
  }

  // Weight decay: what a step adds shrinks by the factors of the steps after it. Fills the student's gram, keep (of the
  // start of the block, by row) and share (of each row, at the end of the block); returns the start's share there.
  F decay(const Block<F>& block, const Steps<F>& steps, Place& place) const {
    const int64_t batch = job_.batch;
    F from_start = 1;
    for (int64_t t = 0; t < parity::kMaxRows; ++t) {
      place.keep[t] = from_start;
      if (t < block.rows && (t + 1) % batch == 0) from_start *= steps.factors[t / batch];
    }
    for (int64_t s = 0; s < block.rows; ++s) {
      F left = 1;
      for (int64_t t = (s / batch + 1) * batch; t < block.rows; ++t) {
        place.gram[s * parity::kMaxRows + t] = left * block.gram[s * parity::kMaxRows + t];
        if ((t + 1) % batch == 0) left *= steps.factors[t / batch];
      }
      place.share[s] = left;
    }
    return from_start;
  }

  const Training<F>& job_;
  Shape shape_;
  int64_t members_;
  bool shared_;
  int64_t vectors_, chunks_, weights_size_, stride_ = 0;
  bool split_;  // a batch takes several blocks
  int64_t together_;
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
