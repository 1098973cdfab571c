// Python bindings. Knows nanobind and numpy-like arrays, not torch. Arguments are checked by kernels/ops.py;
// the checks here only keep memory safe.
#include "bindings.h"

#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <string>

#include "circuit.h"
#include "schedule.h"

#ifndef PARITY_SOURCE_HASH
#define PARITY_SOURCE_HASH "unknown"
#endif

namespace {

using bindings::Array;
using bindings::require;

std::vector<parity::Labels> read_tables(const Array<const int8_t, 2>& tables) {
  std::vector<parity::Labels> labels;
  for (size_t c = 0; c < tables.shape(0); ++c) {
    labels.push_back(parity::build_labels(tables.data() + c * tables.shape(1), int64_t(tables.shape(1))));
  }
  return labels;
}

void first_step(uint64_t key, Array<const int64_t, 1> streams, Array<const int8_t, 3> weights,
                Array<const int64_t, 2> q, Array<const int64_t, 1> support, Array<const int8_t, 2> tables,
                Array<const int64_t, 1> records, int64_t start, uint64_t probability,
                Array<const int8_t, 2> alternative, int64_t threads, const std::string& level_name,
                Array<int64_t, 5> sums, Array<int64_t, 3> active) {
  parity::Job job;
  job.key = key;
  job.streams = int64_t(streams.shape(0));
  job.neurons = int64_t(weights.shape(1));
  job.n = int64_t(weights.shape(2));
  job.classes = int64_t(tables.shape(0));
  job.record_count = int64_t(records.shape(0));
  job.stream_numbers = streams.data();
  job.weights = weights.data();
  job.q = q.data();
  job.support = support.data();
  job.records = records.data();
  job.start = start;
  job.mixed = probability != 0;
  job.probability = probability;
  job.sums = sums.data();
  job.active = active.data();

  const size_t r = streams.shape(0), m = weights.shape(1), n = weights.shape(2), c = tables.shape(0);
  const size_t p = records.shape(0), k = support.shape(0);
  require(threads >= 1, "threads");
  require(r >= 1 && m >= 1 && c >= 1 && p >= 1, "an empty dimension");
  require(n >= 1 && n <= 4095 && k <= 10 && k <= n, "n or k");
  require(weights.shape(0) == r && q.shape(0) == r && q.shape(1) == m, "weights or q");
  require(tables.shape(1) == size_t{1} << k, "tables");
  require(!job.mixed || (alternative.shape(0) == c && alternative.shape(1) == size_t{1} << k), "alternative");
  require(sums.shape(0) == p && sums.shape(1) == r && sums.shape(2) == c && sums.shape(3) == m &&
              sums.shape(4) == n, "sums");
  require(active.shape(0) == p && active.shape(1) == r && active.shape(2) == m, "active");
  for (size_t i = 0; i < k; ++i) require(job.support[i] >= 0 && job.support[i] < job.n, "support");
  for (size_t i = 0; i < r * m; ++i) require(job.q[i] >= -1 && job.q[i] <= job.n, "q");
  require(start >= 0 && job.records[0] > start, "start");
  for (size_t i = 1; i < p; ++i) require(job.records[i] > job.records[i - 1], "records");

  job.main = read_tables(tables);
  if (job.mixed) job.other = read_tables(alternative);

  const parity::Level* level = nullptr;
  for (const parity::Level& candidate : parity::levels()) {
    if (candidate.name == level_name && candidate.supported()) level = &candidate;
  }
  require(level != nullptr, "level");

  std::fill_n(job.sums, sums.size(), int64_t{0});
  std::fill_n(job.active, active.size(), int64_t{0});
  bool finished = false;
  {
    nb::gil_scoped_release release;
    finished = parity::run_job(job, *level, threads, bindings::interrupted);
  }
  if (!finished) throw nb::python_error();
}

}  // namespace

NB_MODULE(_core, m) {
  m.doc() = "Compiled part of the package kernels of the parity verification suite.";
  m.attr("project") = "parity-kernels";
  m.attr("source_hash") = PARITY_SOURCE_HASH;
  m.attr("compiler") = PARITY_COMPILER;
  m.def("levels", [] {
    std::vector<std::string> names;
    for (const parity::Level& level : parity::levels()) {
      if (level.supported()) names.emplace_back(level.name);
    }
    return names;
  });
  m.def("compiled_levels", [] {
    std::vector<std::string> names;
    for (const parity::Level& level : parity::levels()) names.emplace_back(level.name);
    return names;
  });
  m.def("first_step", &first_step, nb::arg("key"), nb::arg("streams"), nb::arg("weights"), nb::arg("q"),
        nb::arg("support"), nb::arg("tables"), nb::arg("records"), nb::arg("start"), nb::arg("probability"),
        nb::arg("alternative"), nb::arg("threads"), nb::arg("level"), nb::arg("sums"), nb::arg("active"));
  bind_training(m);
  bind_hinge(m);
  bind_calibration(m);
}
