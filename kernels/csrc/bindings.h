// What the bindings share.
#pragma once

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include <stdexcept>
#include <string>

namespace nb = nanobind;

namespace bindings {

template <class T, int Dimensions>
using Array = nb::ndarray<T, nb::ndim<Dimensions>, nb::c_contig, nb::device::cpu>;

inline void require(bool condition, const char* what) {
  if (!condition) throw std::invalid_argument(std::string("parity_kernels: inconsistent argument: ") + what);
}

// Whether Python has a signal to handle, such as Ctrl-C; for use without the interpreter's lock.
inline bool interrupted() {
  nb::gil_scoped_acquire acquire;
  return PyErr_CheckSignals() != 0;
}

}  // namespace bindings

void bind_training(nb::module_& m);
void bind_hinge(nb::module_& m);
void bind_calibration(nb::module_& m);
