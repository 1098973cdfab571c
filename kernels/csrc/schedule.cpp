#include "schedule.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <thread>

namespace baseline { void run_item(const parity::Job&, const parity::Item&); }
#ifdef PARITY_X86
namespace avx2 { void run_item(const parity::Job&, const parity::Item&); }
namespace avx512 { void run_item(const parity::Job&, const parity::Item&); }
#endif

namespace parity {
namespace {

// Blocks of an item: enough that making its tables and emptying its counters is not felt, few enough that the threads
// end together. Each thread gets the same number of items, as far as streams allow.
constexpr int64_t kShortest = 64, kLongest = 1024, kItemsPerThread = 8;

std::vector<Item> split(const Job& job, int64_t threads) {
  const int64_t first = job.start / kBlock;
  const int64_t last = (job.records[job.record_count - 1] + kBlock - 1) / kBlock;
  const int64_t blocks = (last - first) * job.streams;
  const int64_t each = std::clamp<int64_t>(blocks / (threads * kShortest), 1, kItemsPerThread);
  const int64_t length = std::min(kLongest, (blocks + threads * each - 1) / (threads * each));
  std::vector<Item> items;
  for (int64_t stream = 0; stream < job.streams; ++stream) {
    for (int64_t at = first; at < last; at += length) items.push_back({stream, at, std::min(at + length, last)});
  }
  return items;
}

// The records' own parts become running totals.
void accumulate(const Job& job) {
  const int64_t sums = job.streams * job.classes * job.neurons * job.n;
  const int64_t active = job.streams * job.neurons;
  for (int64_t p = 1; p < job.record_count; ++p) {
    for (int64_t i = 0; i < sums; ++i) job.sums[p * sums + i] += job.sums[(p - 1) * sums + i];
    for (int64_t i = 0; i < active; ++i) job.active[p * active + i] += job.active[(p - 1) * active + i];
  }
}

}  // namespace

const std::vector<Level>& levels() {
  static const std::vector<Level> all = {
#ifdef PARITY_X86
      {"avx512",
       [] {
         return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
                __builtin_cpu_supports("avx512vpopcntdq");
       },
       avx512::run_item},
      {"avx2", [] { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"); }, avx2::run_item},
#endif
      {"baseline", [] { return true; }, baseline::run_item},
  };
  return all;
}

bool run_job(Job& job, const Level& level, int64_t threads, const std::function<bool()>& interrupted) {
  const std::vector<Item> items = split(job, threads);
  std::atomic<size_t> next{0};
  bool stop = false;
  job.stop = &stop;
  const auto stopped = [&] { return __atomic_load_n(&stop, __ATOMIC_RELAXED); };
  const auto halt = [&] { __atomic_store_n(&stop, true, __ATOMIC_RELAXED); };
  std::mutex mutex;
  std::condition_variable done;
  size_t running = 0;
  std::exception_ptr failure;

  auto work = [&] {
    try {
      for (size_t i = next++; i < items.size() && !stopped(); i = next++) level.run(job, items[i]);
    } catch (...) {
      const std::lock_guard<std::mutex> lock(mutex);
      failure = std::current_exception();
      halt();
    }
    const std::lock_guard<std::mutex> lock(mutex);
    --running;
    done.notify_one();
  };

  std::vector<std::thread> workers;
  const size_t count = std::min<size_t>(size_t(threads), items.size());
  bool dropped = false;
  try {
    std::unique_lock<std::mutex> lock(mutex);
    for (size_t t = 0; t < count; ++t) {
      ++running;
      try {
        workers.emplace_back(work);
      } catch (...) {
        --running;
        if (workers.empty()) throw;
        break;  // fewer threads than asked for do the same work
      }
    }
    while (running > 0) {
      done.wait_for(lock, std::chrono::milliseconds(100));
      if (running == 0 || dropped) continue;
      lock.unlock();
      if (interrupted()) {
        halt();
        dropped = true;
      }
      lock.lock();
    }
  } catch (...) {
    halt();
    for (std::thread& worker : workers) worker.join();
    throw;
  }
  for (std::thread& worker : workers) worker.join();
  if (failure) std::rethrow_exception(failure);
  if (dropped) return false;
  accumulate(job);
  return true;
}

}  // namespace parity
