// Binding of the calibration loops, which the benchmarks time to know the machine's limits.
#include "bindings.h"

#include <nanobind/stl/string.h>

#include <cstdint>
#include <string>

#include "calibration.h"

namespace {

using bindings::Array;
using bindings::require;

int64_t calibrate(const std::string& level, const std::string& what, int64_t rounds,
                  Array<const uint8_t, 1> buffer) {
  const parity::Calibration& loops = parity::calibration(level);
  const int64_t bytes = int64_t(buffer.shape(0));
  require(rounds >= 0, "rounds");
  nb::gil_scoped_release release;
  if (what == "logic") return loops.logic(rounds);
  if (what == "popcount") return loops.popcount(rounds);
  if (what == "multiply_add") return loops.multiply_add(rounds);
  require(what == "read", "what");
  require(bytes % 1024 == 0 && reinterpret_cast<uintptr_t>(buffer.data()) % 64 == 0, "buffer");
  return loops.read(rounds, buffer.data(), bytes);
}

}  // namespace

void bind_calibration(nb::module_& m) {
  m.def("calibrate", &calibrate, nb::arg("level"), nb::arg("what"), nb::arg("rounds"),
        nb::arg("buffer").noconvert());
  m.def("vector_bytes", [](const std::string& level) { return parity::calibration(level).width; }, nb::arg("level"));
}
