// Binding of online SGD on the hinge loss. Arguments are checked by kernels/hinge.py; the checks here only keep memory
// safe.
#include "bindings.h"

#include <nanobind/stl/string.h>

#include <algorithm>
#include <string>

#include "hinge.h"

namespace {

using bindings::Array;
using bindings::interrupted;
using bindings::require;

void hinge_sgd(Array<const double, 3> features, Array<const int8_t, 2> labels, Array<double, 2> weights,
               Array<double, 2> total, Array<const double, 1> step_size, int64_t threads, const std::string& level,
               Array<double, 1> loss, Array<int64_t, 1> updates) {
  const size_t replicates = features.shape(0), steps = features.shape(1), width = features.shape(2);
  require(replicates >= 1 && width >= 1, "features");
  require(labels.shape(0) == replicates && labels.shape(1) == steps, "labels");
  require(weights.shape(0) == replicates && weights.shape(1) == width, "weights");
  require(total.shape(0) == replicates && total.shape(1) == width, "total");
  require(step_size.shape(0) == replicates, "step_size");
  require(loss.shape(0) == replicates && updates.shape(0) == replicates, "loss or updates");
  require(threads >= 1, "threads");
  const parity::Hinge job{int64_t(replicates), int64_t(steps), int64_t(width), features.data(), labels.data(),
                          step_size.data(), weights.data(), total.data(), loss.data(), updates.data()};
  const parity::HingeRun run = parity::hinge_level(level);
  bool finished = false;
  {
    nb::gil_scoped_release release;
    finished = parity::run_team(std::min(threads, job.replicates),
                                [&](const parity::Member& me) { run(job, me); }, interrupted);
  }
  if (!finished) throw nb::python_error();
}

}  // namespace

void bind_hinge(nb::module_& m) {
  m.def("hinge_sgd", &hinge_sgd, nb::arg("features").noconvert(), nb::arg("labels").noconvert(),
        nb::arg("weights").noconvert(), nb::arg("total").noconvert(), nb::arg("step_size").noconvert(),
        nb::arg("threads"), nb::arg("level"), nb::arg("loss").noconvert(), nb::arg("updates").noconvert());
}
