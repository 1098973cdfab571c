// What one call computes, shared by the scheduler and the level-specific code. Plain data, no templates: these
// types are the only ones that cross between translation units compiled for different instruction sets.
#pragma once

#include <cstdint>
#include <vector>

namespace parity {

constexpr int64_t kSub = 512;           // samples of a sub-block: one row of bits
constexpr int64_t kSubs = 8;            // sub-blocks of a block
constexpr int64_t kBlock = kSub * kSubs;  // samples of a block, the unit that is seeded afresh

// A Boolean function of the support as a reduced decision diagram, written as straight-line code.
// Slot 0 is the constant 0; instruction i computes slot i + 1 = select(x[variable], high ^ high_flip, low).
struct LabelStep {
  int32_t variable;  // position in the support
  int32_t low, high;  // slots
  bool flip;          // complement `high`; low == high means an exclusive or
};

struct LabelCircuit {
  std::vector<LabelStep> steps;
  int32_t root = 0;   // slot
  bool flip = false;  // complement the result
  bool affine = false;  // every step is an exclusive or with the one before: a parity, the commonest label
};

struct Labels {
  LabelCircuit negative;  // 1: the label is -1
  LabelCircuit present;   // 1: the label is not 0
};

struct Job {
  uint64_t key = 0;
  int64_t streams = 0, neurons = 0, n = 0, classes = 0, record_count = 0;
  const int64_t* stream_numbers = nullptr;  // [streams]
  const int8_t* weights = nullptr;          // [streams, neurons, n], +-1
  const int64_t* q = nullptr;               // [streams, neurons]
  const int64_t* support = nullptr;         // [k]
  const int64_t* records = nullptr;         // [record_count], increasing
  int64_t start = 0;
  bool mixed = false;
  uint64_t probability = 0;         // of the alternative labels, in units of 2^-64
  std::vector<Labels> main, other;  // [classes]
  int64_t* sums = nullptr;    // [record_count, streams, classes, neurons, n]
  int64_t* active = nullptr;  // [record_count, streams, neurons]
  const bool* stop = nullptr;  // set (atomically) when the result is no longer wanted
};

// A piece of work: blocks [first, last) of one stream, all neurons.
struct Item {
  int64_t stream, first, last;
};

// Adds to job.sums and job.active, under each record, the part of the item between the previous record and it.
using RunItem = void (*)(const Job&, const Item&);

}  // namespace parity
