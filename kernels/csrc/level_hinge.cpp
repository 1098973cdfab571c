// Online SGD on the hinge loss at one instruction-set level. Compiled once per level, as level.cpp is, but without
// contraction of products and sums (CMakeLists.txt), so that all levels round alike.
//
// An inner product has eight partial sums: product i goes to sum i % 8, in the order of i, and the sums are then added
// by halves. Products beyond the width are zeros, which change no sum.
#include <algorithm>

#include "hinge.h"
#include "memory.h"
#include "reals.h"

namespace PARITY_LEVEL {
namespace {

using Vec = VecOf<double>;
typedef double Loose __attribute__((vector_size(kBytes), aligned(8), may_alias));
typedef int64_t Mask __attribute__((vector_size(kBytes), may_alias));
typedef int64_t LooseMask __attribute__((vector_size(kBytes), aligned(8), may_alias));

constexpr int kEight = 8;
constexpr int kLane = kLanesOf<double>;
constexpr int kParts = kEight / kLane;
constexpr int kTogether = 4;  // narrow replicates that step in turns, to hide latencies

// Eight numbers, whatever the size of a vector.
struct Eight {
  Vec part[kParts];
};

PARITY_INLINE Eight load_eight(const double* p) {
  Eight out;
  for (int i = 0; i < kParts; ++i) out.part[i] = *reinterpret_cast<const Loose*>(p + i * kLane);
  return out;
}

PARITY_INLINE void store_eight(double* p, const Eight& x) {
  for (int i = 0; i < kParts; ++i) *reinterpret_cast<Loose*>(p + i * kLane) = x.part[i];
}

PARITY_INLINE Eight splat_eight(double x) {
  Eight out;
  for (int i = 0; i < kParts; ++i) out.part[i] = splat_of(x);
  return out;
}

PARITY_INLINE Eight operator+(const Eight& x, const Eight& y) {
  Eight out;
  for (int i = 0; i < kParts; ++i) out.part[i] = x.part[i] + y.part[i];
  return out;
}

PARITY_INLINE Eight operator*(const Eight& x, const Eight& y) {
  Eight out;
  for (int i = 0; i < kParts; ++i) out.part[i] = x.part[i] * y.part[i];
  return out;
}

// x where the mask is all ones; 0 where it is zero, even for NaN.
PARITY_INLINE Eight keep(const Eight& x, const int64_t* mask) {
  Eight out;
  for (int i = 0; i < kParts; ++i) {
    const Mask which = *reinterpret_cast<const LooseMask*>(mask + i * kLane);
    out.part[i] = (Vec)((Mask)x.part[i] & which);
  }
  return out;
}

PARITY_INLINE Eight choose(Mask which, const Eight& one, const Eight& other) {
  Eight out;
  for (int i = 0; i < kParts; ++i) out.part[i] = which ? one.part[i] : other.part[i];
  return out;
}

// By halves: numbers i and i + half are added until one is left.
PARITY_INLINE double sum_eight(Eight x) {
  for (int half = kParts / 2; half > 0; half /= 2) {
    for (int i = 0; i < half; ++i) x.part[i] += x.part[i + half];
  }
  return sum_lanes<double>(x.part[0]);
}

// Where a replicate stands. The arrays are padded to a multiple of eight, with zeros.
struct State {
  double *weights, *total;
  double step_size, loss;
  int64_t updates;
};

// Steps of one replicate. Rows of features are `stride` apart; up to a multiple of eight they can be read, and what
// stands there beyond the width is masked out.
struct Steps {
  const double* features;
  const int8_t* labels;
  int64_t stride, count;
};

// A step learns unless its margin is at least 1: with a NaN it does, so that a run gone astray does not look alive.
//
// Width of at most eight: everything stays in registers, and nothing branches on the data.
template <int kCount>
void narrow(const Steps* steps, const int64_t* mask, State* states) {
  const Vec one = splat_of(1.0);
  Eight a[kCount], total[kCount];
  Vec loss[kCount];
  Mask updates[kCount];
  for (int s = 0; s < kCount; ++s) {
    a[s] = load_eight(states[s].weights);
    total[s] = load_eight(states[s].total);
    loss[s] = splat_of(states[s].loss);
    updates[s] = Mask{} + states[s].updates;
  }
  for (int64_t t = 0; t < steps->count; ++t) {
    for (int s = 0; s < kCount; ++s) {
      const Eight x = keep(load_eight(steps[s].features + t * steps[s].stride), mask);
      const double y = steps[s].labels[t];
      const Vec margin = splat_of(y * sum_eight(a[s] * x));
      const Mask learns = ~(margin >= one);
      total[s] = total[s] + a[s];
      a[s] = choose(learns, a[s] + splat_eight(states[s].step_size * y) * x, a[s]);
      loss[s] += learns ? one - margin : Vec{};
      updates[s] -= learns;
    }
  }
  for (int s = 0; s < kCount; ++s) {
    store_eight(states[s].weights, a[s]);
    store_eight(states[s].total, total[s]);
    states[s].loss = loss[s][0];
    states[s].updates = updates[s][0];
  }
}

// Adds the weights to their total; returns their inner product with x. The mask is that of the last eight.
PARITY_INLINE double look(const double* x, int64_t last, const int64_t* mask, const State& state) {
  Eight sums = splat_eight(0);
  const auto add = [&](int64_t i, const Eight& features) {
    const Eight weights = load_eight(state.weights + i);
    store_eight(state.total + i, load_eight(state.total + i) + weights);
    sums = sums + weights * features;
  };
  for (int64_t i = 0; i < last; i += kEight) add(i, load_eight(x + i));
  add(last, keep(load_eight(x + last), mask));
  return sum_eight(sums);
}

// weights += scale x
PARITY_INLINE void learn(const double* x, int64_t last, const int64_t* mask, double scale, const State& state) {
  const Eight factor = splat_eight(scale);
  const auto add = [&](int64_t i, const Eight& features) {
    store_eight(state.weights + i, load_eight(state.weights + i) + factor * features);
  };
  for (int64_t i = 0; i < last; i += kEight) add(i, load_eight(x + i));
  add(last, keep(load_eight(x + last), mask));
}

// Any width; the last eight coordinates begin at `last`.
void wide(const Steps& steps, int64_t last, const int64_t* mask, State& state) {
  for (int64_t t = 0; t < steps.count; ++t) {
    const double* x = steps.features + t * steps.stride;
    const double y = steps.labels[t];
    const double margin = y * look(x, last, mask, state);
    if (margin >= 1) continue;
    state.loss += 1 - margin;
    ++state.updates;
    learn(x, last, mask, state.step_size * y, state);
  }
}

// All steps of up to kTogether neighbouring replicates.
class Runner {
 public:
  explicit Runner(const parity::Hinge& job)
      : job_(job), last_((job.width - 1) / kEight * kEight), padded_(last_ + kEight),
        // the last rows, whose last eight numbers would reach beyond the replicate, are copied
        direct_(std::max<int64_t>(0, job.steps - (padded_ - 1) / job.width)),
        mask_(arena_.take<int64_t>(kEight)) {
    for (int64_t i = 0; i < kEight; ++i) mask_[i] = -int64_t(last_ + i < job.width);
    for (int s = 0; s < kTogether; ++s) {
      states_[s].weights = arena_.take<double>(padded_);
      states_[s].total = arena_.take<double>(padded_);
      copies_[s] = arena_.take<double>((job.steps - direct_) * padded_);
    }
  }

  void run(int64_t first, int64_t count) {
    const int64_t left = job_.steps - direct_;
    Steps direct[kTogether], copied[kTogether];
    for (int64_t s = 0; s < count; ++s) {
      const int64_t r = first + s;
      const double* features = job_.features + r * job_.steps * job_.width;
      const int8_t* labels = job_.labels + r * job_.steps;
      for (int64_t t = 0; t < left; ++t) {
        std::copy_n(features + (direct_ + t) * job_.width, job_.width, copies_[s] + t * padded_);
      }
      direct[s] = {features, labels, job_.width, direct_};
      copied[s] = {copies_[s], labels + direct_, padded_, left};
      begin(r, states_[s]);
    }
    take(direct, count);
    take(copied, count);
    for (int64_t s = 0; s < count; ++s) end(first + s, states_[s]);
  }

 private:
  void begin(int64_t r, State& state) const {
    std::copy_n(job_.weights + r * job_.width, job_.width, state.weights);
    std::copy_n(job_.total + r * job_.width, job_.width, state.total);
    state.step_size = job_.step_size[r];
    state.loss = 0;
    state.updates = 0;
  }

  void end(int64_t r, const State& state) const {
    std::copy_n(state.weights, job_.width, job_.weights + r * job_.width);
    std::copy_n(state.total, job_.width, job_.total + r * job_.width);
    job_.loss[r] = state.loss;
    job_.updates[r] = state.updates;
  }

  void take(const Steps* steps, int64_t count) {
    if (job_.width > kEight) {
      for (int64_t s = 0; s < count; ++s) wide(steps[s], last_, mask_, states_[s]);
      return;
    }
    switch (count) {
      case 1: return narrow<1>(steps, mask_, states_);
      case 2: return narrow<2>(steps, mask_, states_);
      case 3: return narrow<3>(steps, mask_, states_);
      default: return narrow<4>(steps, mask_, states_);
    }
  }

  const parity::Hinge& job_;
  Arena arena_;
  int64_t last_, padded_, direct_;
  int64_t* mask_;
  State states_[kTogether];
  double* copies_[kTogether];
};

}  // namespace

void hinge(const parity::Hinge& job, const parity::Member& me) {
  // few replicates are rather spread over the team than stepped in turns
  const int64_t most = job.width <= kEight ? kTogether : 1;
  const int64_t together = std::clamp<int64_t>(job.replicates / me.team->size(), 1, most);
  const int64_t units = (job.replicates + together - 1) / together;
  Runner runner(job);
  for (int64_t u = me.team->take(); u < units && !me.team->halted(); u = me.team->take()) {
    const int64_t first = u * together;
    runner.run(first, std::min(together, job.replicates - first));
  }
}

}  // namespace PARITY_LEVEL
