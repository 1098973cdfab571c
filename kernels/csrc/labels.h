// Labels of 512 samples by the decision diagram of each class (see circuit.cpp, which builds it).
#pragma once

#include "job.h"
#include "simd.h"

namespace PARITY_LEVEL {

constexpr int kMaxSlots = 1025;  // a reduced diagram on 10 variables has fewer nodes than 2^10

inline bool constant(const parity::LabelCircuit& circuit) { return circuit.root == 0; }

// x: rows of this sub-block; out: kPer vectors. `slots` is scratch of kMaxSlots rows, the first of which holds zeros.
inline void evaluate(const parity::LabelCircuit& circuit, const V* x, const int64_t* support, V* slots, V* out) {
  const parity::LabelStep* step = circuit.steps.data();
  const size_t length = circuit.steps.size();
  const V complement = circuit.flip ? ones() : zero();
  if (circuit.affine) {
    V sum[kPer];
    for (int h = 0; h < kPer; ++h) sum[h] = complement;
    for (size_t i = 0; i < length; ++i, ++step) {
      const V* bit = x + support[step->variable] * kPer;
      for (int h = 0; h < kPer; ++h) sum[h] ^= bit[h];
    }
    for (int h = 0; h < kPer; ++h) out[h] = sum[h];
    return;
  }
  V* slot = slots;
  for (size_t i = 0; i < length; ++i, ++step) {
    slot += kPer;
    const V *bit = x + support[step->variable] * kPer, *low = slots + step->low * kPer, *high = slots + step->high * kPer;
    if (step->low == step->high) {
      for (int h = 0; h < kPer; ++h) slot[h] = low[h] ^ bit[h];
    } else {
      const V flip = step->flip ? ones() : zero();
      for (int h = 0; h < kPer; ++h) slot[h] = select(bit[h], high[h] ^ flip, low[h]);
    }
  }
  for (int h = 0; h < kPer; ++h) out[h] = slots[circuit.root * kPer + h] ^ complement;
}

}  // namespace PARITY_LEVEL
