// Everything that depends on the instruction set. Compiled once per level with PARITY_LEVEL naming the
// namespace; exports one function.
#include "sliced.h"
#include "wide.h"

namespace PARITY_LEVEL {

// Which neurons are worth a vector of their own: those of full tiles, and a rest of at least kWorth.
constexpr int64_t kWorth = kLanes * 3 / 8;

void run_item(const Job& job, const parity::Item& item) {
  const int64_t rest = job.neurons % kLanes;
  const int64_t wide = job.neurons - (rest < kWorth ? rest : 0);
  Arena arena;
  Block block(job, wide > 0 ? Wide::extra_rows(job.n) : 0, arena);
  Wide many(job, item.stream, 0, wide, arena);
  Sliced few(job, item.stream, wide, job.neurons, arena);
  const int64_t stop = job.records[job.record_count - 1];
  int64_t record = 0;
  bool pending = false;
  for (int64_t number = item.first; number < item.last; ++number) {
    const int64_t origin = number * kBlock;
    int64_t at = origin > job.start ? origin : job.start;
    const int64_t end = origin + kBlock < stop ? origin + kBlock : stop;
    if (at >= end) continue;
    block.draw(job.stream_numbers[item.stream], number, (end - origin + kSub - 1) / kSub);
    while (at < end) {
      while (job.records[record] <= at) ++record;
      const int64_t next = job.records[record] < end ? job.records[record] : end;
      if (wide > 0) many.add(block, at - origin, next - origin);
      if (wide < job.neurons) few.add(block, at - origin, next - origin);
      pending = true;
      if (next == job.records[record] || many.full()) {
        many.flush(record);
        few.flush(record);
        pending = false;
      }
      at = next;
    }
  }
  if (!pending) return;
  many.flush(record);
  few.flush(record);
}

}  // namespace PARITY_LEVEL
