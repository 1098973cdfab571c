// Scratch of one work item: one aligned allocation, handed out piece by piece.
#pragma once

#include <cstdlib>
#include <new>

#include "simd.h"

namespace PARITY_LEVEL {

class Arena {
 public:
  Arena() = default;
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;
  ~Arena() {
    for (int i = 0; i < used_; ++i) std::free(pieces_[i]);
  }

  // Zeroed, aligned to a cache line.
  template <class T>
  T* take(int64_t count) {
    if (used_ == kPieces) throw std::bad_alloc();
    const size_t bytes = (size_t(count) * sizeof(T) + 63) / 64 * 64 + 64;
    void* p = std::aligned_alloc(64, bytes);
    if (p == nullptr) throw std::bad_alloc();
    std::memset(p, 0, bytes);
    pieces_[used_++] = p;
    return static_cast<T*>(p);
  }

 private:
  static constexpr int kPieces = 32;
  void* pieces_[kPieces];
  int used_ = 0;
};

}  // namespace PARITY_LEVEL
