// Reduced ordered binary decision diagram with complement edges (Bryant 1986; Brace, Rudell, Bryant 1990).
// A sub-function is stored complemented if its first value is 1, so the parity of k bits costs k steps, each an
// exclusive or; a symmetric function costs O(k^2) steps; nothing costs more than 2^k.
#include "circuit.h"

#include <cstddef>
#include <map>
#include <utility>

namespace parity {
namespace {

struct Edge {
  int32_t slot;
  bool flip;
};

struct Builder {
  LabelCircuit circuit;
  std::map<std::vector<bool>, int32_t> known;

  Edge build(std::vector<bool> f) {
    const bool flip = f[0];
    if (flip) f.flip();
    bool constant = true;
    for (const bool bit : f) constant = constant && !bit;
    if (constant) return {0, flip};
    const auto found = known.find(f);
    if (found != known.end()) return {found->second, flip};
    // The last variable splits the table in two halves.
    const std::size_t half = f.size() / 2;
    const auto middle = f.begin() + static_cast<std::ptrdiff_t>(half);
    const Edge low = build({f.begin(), middle});
    const Edge high = build({middle, f.end()});
    int32_t slot = low.slot;
    if (low.slot != high.slot || low.flip != high.flip) {
      int32_t variable = 0;
      while ((std::size_t{2} << variable) < f.size()) ++variable;
      // f[0] is 0, hence low is never complemented.
      circuit.steps.push_back({variable, low.slot, high.slot, high.flip});
      slot = static_cast<int32_t>(circuit.steps.size());
    }
    known.emplace(std::move(f), slot);
    return {slot, flip};
  }
};

}  // namespace

LabelCircuit build_circuit(const std::vector<bool>& values) {
  Builder builder;
  const Edge root = builder.build(values);
  builder.circuit.root = root.slot;
  builder.circuit.flip = root.flip;
  builder.circuit.affine = true;
  int32_t before = 0;
  for (const LabelStep& step : builder.circuit.steps) {
    builder.circuit.affine = builder.circuit.affine && step.low == before && step.high == before;
    ++before;
  }
  return builder.circuit;
}

Labels build_labels(const int8_t* table, int64_t size) {
  std::vector<bool> negative, present;
  for (int64_t p = 0; p < size; ++p) {
    negative.push_back(table[p] < 0);
    present.push_back(table[p] != 0);
  }
  return {build_circuit(negative), build_circuit(present)};
}

}  // namespace parity
