// From a table of labels to a decision diagram.
#pragma once

#include "job.h"

namespace parity {

// values: 2^k entries, entry p belongs to the pattern whose bit t says that support position t is -1.
LabelCircuit build_circuit(const std::vector<bool>& values);

// table: 2^k labels in {-1, 0, 1}.
Labels build_labels(const int8_t* table, int64_t size);

}  // namespace parity
