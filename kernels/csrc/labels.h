// Labels of 512 samples by the decision diagram of each class (see circuit.cpp, which builds it).
#pragma once

#include "job.h"
#include "simd.h"

namespace PARITY_LEVEL {

constexpr int kMaxSlots = 1025;  // a reduced diagram on 10 variables has fewer nodes than 2^10

// x: rows of this sub-block; out: kPer vectors. `slots` is scratch of kMaxSlots vectors.
inline void evaluate(const parity::LabelCircuit& circuit, const V* x, const int64_t* support, V* slots, V* out) {
  const V flip = circuit.flip ? ones() : zero();
  const size_t length = circuit.steps.size();
  for (int h = 0; h < kPer; ++h) {
    slots[0] = zero();
    for (size_t i = 0; i < length; ++i) {
      const parity::LabelStep& s = circuit.steps[i];
      const V bit = x[support[s.variable] * kPer + h];
      const V low = slots[s.low];
      if (s.low == s.high) {
        slots[i + 1] = low ^ bit;
      } else {
        const V high = s.flip ? ~slots[s.high] : slots[s.high];
        slots[i + 1] = select(bit, high, low);
      }
    }
    out[h] = slots[circuit.root] ^ flip;
  }
}

}  // namespace PARITY_LEVEL
