// Everything that depends on the instruction set. Compiled once per level with PARITY_LEVEL naming the
// namespace; exports one function.
#include "sliced.h"

namespace PARITY_LEVEL {

template <class Engine>
void run_with(const Job& job, const parity::Item& item) {
  Arena arena;
  Block block(job, arena);
  Engine engine(job, item.stream, arena);
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
      engine.add(block, at - origin, next - origin);
      pending = true;
      if (next == job.records[record]) {
        engine.flush(record);
        pending = false;
      }
      at = next;
    }
  }
  if (pending) engine.flush(record);
}

void run_item(const Job& job, const parity::Item& item) { run_with<Sliced>(job, item); }

}  // namespace PARITY_LEVEL
