// Training and forward passes at one instruction-set level; compiled once per level, as level.cpp is.
#include "forward.h"
#include "train.h"

namespace PARITY_LEVEL {

void train32(const parity::Training<float>& job, const Member& me) { run_shared<Run<float>>(job, me); }
void train64(const parity::Training<double>& job, const Member& me) { run_shared<Run<double>>(job, me); }
void forward32(const parity::Forward<float>& job, const Member& me) { run_shared<Pass<float>>(job, me); }
void forward64(const parity::Forward<double>& job, const Member& me) { run_shared<Pass<double>>(job, me); }

// Eight bits as eight labels: 1 for a bit that is 0, -1 for one that is 1; the first in the lowest byte.
static uint64_t signs(uint64_t byte) {
  constexpr uint64_t kOnes = 0x0101010101010101u;
  const uint64_t own = byte * kOnes & 0x8040201008040201u;  // byte i: bit i of all eight, where it stands
  const uint64_t bits = (own + 0x7F * kOnes) >> 7 & kOnes;  // byte i: 0 or 1
  return kOnes | bits * 0xFF;
}

void labels(uint64_t key, uint64_t stream, int64_t start, int64_t stop, int64_t n, const int64_t* support, int64_t k,
            int8_t* out) {
  Arena arena;
  each_sub(key, stream, n, start, stop, arena.take<V>(n * kPer), [=](int64_t first, const uint64_t* drawn) {
    uint64_t parity[kSub / 64] = {};
    for (int64_t i = 0; i < k; ++i) {
      for (int64_t word = 0; word < kSub / 64; ++word) parity[word] ^= drawn[support[i] * (kSub / 64) + word];
    }
    uint64_t eights[kSub / 8];
    for (int64_t t = 0; t < kSub; t += 8) eights[t / 8] = signs(parity[t / 64] >> t % 64 & 0xFF);
    const int64_t from = std::max(start, first), to = std::min(stop, first + kSub);
    std::memcpy(out + (from - start), reinterpret_cast<const char*>(eights) + (from - first), size_t(to - from));
  });
}

}  // namespace PARITY_LEVEL
