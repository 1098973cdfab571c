// Bindings of training and forward passes. Arguments are checked by kernels/training.py; the checks here only keep
// memory safe.
#include "bindings.h"

#include <nanobind/stl/string.h>

#include <string>

#include "training.h"

namespace {

using bindings::Array;
using bindings::interrupted;
using bindings::require;

parity::Loss loss_of(const std::string& name) {
  if (name == "logistic") return parity::Loss::logistic;
  if (name == "hinge") return parity::Loss::hinge;
  if (name == "correlation") return parity::Loss::correlation;
  require(name == "squared", "loss");
  return parity::Loss::squared;
}

template <class F>
void check_network(const Array<F, 3>& W, const Array<F, 2>& b, const Array<F, 2>& a, const Array<F, 1>& c) {
  const size_t students = W.shape(0), width = W.shape(1);
  require(students >= 1 && width >= 1 && W.shape(2) >= 1 && W.shape(2) <= 4095, "W");
  require(b.shape(0) == students && b.shape(1) == width, "b");
  require(a.shape(0) == students && a.shape(1) == width, "a");
  require(c.shape(0) == students, "c");
}

template <class F, class Run>
void run(int64_t threads, const Run& work) {
  require(threads >= 1, "threads");
  bool finished = false;
  {
    nb::gil_scoped_release release;
    finished = parity::run_team(threads, work, interrupted);
  }
  if (!finished) throw nb::python_error();
}

template <class F>
void sgd(uint64_t key, uint64_t stream, int64_t start, int64_t steps, int64_t batch, Array<F, 3> W, Array<F, 2> b,
         Array<F, 2> a, Array<F, 1> c, Array<const F, 2> targets, Array<const int64_t, 1> target_of,
         Array<const F, 2> rates, Array<const F, 2> factors, double hidden_rate, double output_rate,
         const std::string& loss, int64_t block, int64_t threads, const std::string& level, Array<F, 2> logits) {
  check_network(W, b, a, c);
  const size_t students = W.shape(0);
  require(start >= 0 && steps >= 0 && batch >= 1 && block >= 0 && block <= parity::kMaxRows, "start, steps or block");
  const size_t samples = size_t(steps) * size_t(batch);
  require(targets.shape(1) == samples, "targets");
  require(target_of.shape(0) == students, "target_of");
  for (size_t r = 0; r < students; ++r) {
    require(target_of.data()[r] >= 0 && size_t(target_of.data()[r]) < targets.shape(0), "target_of");
  }
  require((rates.shape(0) == 1 || rates.shape(0) == students) && rates.shape(1) == size_t(steps), "rates");
  const bool decays = factors.shape(0) != 0;
  require(!decays || ((factors.shape(0) == 1 || factors.shape(0) == students) && factors.shape(1) == size_t(steps)),
          "factors");
  require(logits.shape(0) == students && logits.shape(1) == samples, "logits");
  const parity::Training<F> job{key, stream, start, steps, batch, int64_t(students), int64_t(W.shape(1)),
                                int64_t(W.shape(2)), W.data(), b.data(), a.data(), c.data(), targets.data(),
                                target_of.data(), rates.data(), int64_t(rates.shape(0)),
                                decays ? factors.data() : nullptr, int64_t(factors.shape(0)), F(hidden_rate),
                                F(output_rate), loss_of(loss), block == 0 ? parity::kDefaultRows : block,
                                logits.data()};
  if (samples == 0) return;
  const parity::TrainingLevel& functions = parity::training_level(level);
  run<F>(threads, [&](const parity::Member& me) {
    if constexpr (sizeof(F) == 4) {
      functions.train32(job, me);
    } else {
      functions.train64(job, me);
    }
  });
}

template <class F>
void logits(uint64_t key, uint64_t stream, int64_t start, int64_t stop, Array<F, 3> W, Array<F, 2> b, Array<F, 2> a,
            Array<F, 1> c, int64_t threads, const std::string& level, Array<F, 2> out) {
  check_network(W, b, a, c);
  require(start >= 0 && stop >= start, "start or stop");
  require(out.shape(0) == W.shape(0) && out.shape(1) == size_t(stop - start), "out");
  const parity::Forward<F> job{key, stream, start, stop, int64_t(W.shape(0)), int64_t(W.shape(1)),
                               int64_t(W.shape(2)), W.data(), b.data(), a.data(), c.data(), out.data()};
  if (start == stop) return;
  const parity::TrainingLevel& functions = parity::training_level(level);
  run<F>(threads, [&](const parity::Member& me) {
    if constexpr (sizeof(F) == 4) {
      functions.forward32(job, me);
    } else {
      functions.forward64(job, me);
    }
  });
}

void parity_labels(uint64_t key, uint64_t stream, int64_t start, int64_t stop, int64_t n,
                   Array<const int64_t, 1> support, const std::string& level, Array<int8_t, 1> out) {
  require(n >= 1 && n <= 4095, "n");
  require(start >= 0 && stop >= start && out.shape(0) == size_t(stop - start), "out");
  for (size_t i = 0; i < support.shape(0); ++i) {
    require(support.data()[i] >= 0 && support.data()[i] < n, "support");
  }
  nb::gil_scoped_release release;
  parity::training_level(level).labels(key, stream, start, stop, n, support.data(), int64_t(support.shape(0)),
                                       out.data());
}

template <class F>
void define(nb::module_& m) {
  m.def("sgd", &sgd<F>, nb::arg("key"), nb::arg("stream"), nb::arg("start"), nb::arg("steps"), nb::arg("batch"),
        nb::arg("W").noconvert(), nb::arg("b").noconvert(), nb::arg("a").noconvert(), nb::arg("c").noconvert(),
        nb::arg("targets").noconvert(), nb::arg("target_of").noconvert(), nb::arg("rates").noconvert(),
        nb::arg("factors").noconvert(), nb::arg("hidden_rate"), nb::arg("output_rate"), nb::arg("loss"),
        nb::arg("block"), nb::arg("threads"), nb::arg("level"), nb::arg("logits").noconvert());
  m.def("logits", &logits<F>, nb::arg("key"), nb::arg("stream"), nb::arg("start"), nb::arg("stop"),
        nb::arg("W").noconvert(), nb::arg("b").noconvert(), nb::arg("a").noconvert(), nb::arg("c").noconvert(),
        nb::arg("threads"), nb::arg("level"), nb::arg("out").noconvert());
}

}  // namespace

void bind_training(nb::module_& m) {
  define<float>(m);
  define<double>(m);
  m.def("parity_labels", &parity_labels, nb::arg("key"), nb::arg("stream"), nb::arg("start"), nb::arg("stop"),
        nb::arg("n"), nb::arg("support"), nb::arg("level"), nb::arg("out"));
}
