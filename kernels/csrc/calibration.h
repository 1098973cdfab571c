// How fast the processor does what the kernels are made of, at each level: loops of nothing but one operation.
#pragma once

#include <cstdint>
#include <string>

namespace parity {

// Each runs its loop `rounds` times and returns how many operations that were.
struct Calibration {
  int64_t (*logic)(int64_t rounds);         // exclusive ors of vectors in registers
  int64_t (*popcount)(int64_t rounds);      // count_ones of vectors in registers
  int64_t (*multiply_add)(int64_t rounds);  // float32 operations in registers, two a lane and multiply-add
  int64_t (*read)(int64_t rounds, const void* buffer, int64_t bytes);  // bytes, of an aligned multiple of 1,024
  int64_t width;                            // bytes of a vector
};

const Calibration& calibration(const std::string& level);

}  // namespace parity
