// Training and forward passes at one instruction-set level; compiled once per level, as level.cpp is.
#include "forward.h"
#include "train.h"

namespace PARITY_LEVEL {

void train32(const parity::Training<float>& job, const Member& me) { run_shared<Run<float>>(job, me); }
void train64(const parity::Training<double>& job, const Member& me) { run_shared<Run<double>>(job, me); }
void forward32(const parity::Forward<float>& job, const Member& me) { run_shared<Pass<float>>(job, me); }
void forward64(const parity::Forward<double>& job, const Member& me) { run_shared<Pass<double>>(job, me); }

void labels(uint64_t key, uint64_t stream, int64_t start, int64_t stop, int64_t n, const int64_t* support, int64_t k,
            int8_t* out) {
  constexpr int64_t kCount = 4096, kWords = kCount / 64 + 2;
  Arena arena;
  uint64_t* rows = arena.take<uint64_t>(n * kWords);
  V* drawn = arena.take<V>(n * kPer);
  for (int64_t at = start; at < stop; at += kCount) {
    const int64_t count = std::min(kCount, stop - at);
    draw_rows(key, stream, n, at, count, rows, kWords, drawn);
    for (int64_t word = 0; word * 64 < count; ++word) {
      uint64_t parity = 0;
      for (int64_t i = 0; i < k; ++i) parity ^= rows[support[i] * kWords + word];
      for (int64_t t = word * 64; t < std::min(count, word * 64 + 64); ++t) {
        out[at - start + t] = int8_t(1 - 2 * int(parity >> t % 64 & 1));
      }
    }
  }
}

}  // namespace PARITY_LEVEL
