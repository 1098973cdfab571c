// What online SGD of output weights on the hinge loss is: plain data, shared by the bindings and all levels.
#pragma once

#include <cstdint>
#include <string>

#include "team.h"

namespace parity {

// Replicates are independent. weights, total, loss and updates are updated in place; see kernels/hinge.py for the step.
struct Hinge {
  int64_t replicates, steps, width;
  const double* features;   // [replicates][steps][width]
  const int8_t* labels;     // [replicates][steps], +-1
  const double* step_size;  // [replicates]
  double *weights, *total;  // [replicates][width]
  double* loss;             // [replicates]
  int64_t* updates;         // [replicates]
};

// Run by all members of a team, who share out the replicates and never wait for each other; the team's stop flag is
// looked at between replicates. All levels give the same bits.
using HingeRun = void (*)(const Hinge&, const Member&);

HingeRun hinge_level(const std::string& name);

}  // namespace parity
