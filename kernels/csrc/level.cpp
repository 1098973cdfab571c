// Everything that depends on the instruction set. Compiled once per level with PARITY_LEVEL naming the
// namespace; exports one function.
#include "sliced.h"
#include "solo.h"
#include "wide.h"

namespace PARITY_LEVEL {

// Which neurons are worth a vector of their own: those of full tiles, and a rest of at least kWorth.
constexpr int64_t kWorth = kLanes / 2;

template <class Few>
void run_with(const Job& job, const parity::Item& item, int64_t wide) {
  Arena arena;
  Chunk chunk(job, Few::kChunk, wide > 0 ? Wide::extra_rows(job.n) : 0, arena);
  Wide many(job, item.stream, 0, wide, arena);
  Few few(job, item.stream, wide, job.neurons, arena);
  const int64_t stop = job.records[job.record_count - 1];
  const int64_t length = Few::kChunk * kSub;
  int64_t record = 0;
  bool pending = false;
  for (int64_t number = item.first; number < item.last; ++number) {
    if (__atomic_load_n(job.stop, __ATOMIC_RELAXED)) return;
    chunk.seed(job.stream_numbers[item.stream], number);
    for (int64_t origin = number * kBlock; origin < (number + 1) * kBlock && origin < stop; origin += length) {
      const int64_t end = origin + length < stop ? origin + length : stop;
      int64_t at = origin > job.start ? origin : job.start;
      for (int64_t s = 0; s < Few::kChunk && origin + s * kSub < end; ++s) {
        few.draw(chunk, s);
        few.fire(chunk, s);
      }
      while (at < end) {
        while (job.records[record] <= at) ++record;
        const int64_t next = job.records[record] < end ? job.records[record] : end;
        if (wide > 0) many.add(chunk, at - origin, next - origin);
        if (wide < job.neurons) few.add(chunk, at - origin, next - origin);
        pending = true;
        if (next == job.records[record] || many.full() || few.full()) {
          many.flush(record);
          few.flush(chunk, record);
          pending = false;
        }
        at = next;
      }
    }
  }
  if (!pending) return;
  many.flush(record);
  few.flush(chunk, record);
}

void run_item(const Job& job, const parity::Item& item) {
  const int64_t rest = job.neurons % kLanes;
  const int64_t few = rest < kWorth ? rest : 0;
  if (few * job.classes <= 1) return run_with<Solo>(job, item, job.neurons - few);
  run_with<Sliced>(job, item, job.neurons - few);
}

}  // namespace PARITY_LEVEL
