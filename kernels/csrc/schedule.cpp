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

// About how long one neuron takes over one coordinate of one block on the slowest level, to size items.
constexpr double kSecondsPerBlock = 5e-8;
constexpr double kSecondsPerItem = 0.03;

std::vector<Item> split(const Job& job, int64_t threads) {
  const int64_t first = job.start / kBlock;
  const int64_t last = (job.records[job.record_count - 1] + kBlock - 1) / kBlock;
  const double work = double(job.n) * double(job.neurons + 1) * kSecondsPerBlock;
  int64_t length = std::max<int64_t>(1, int64_t(kSecondsPerItem / work));
  // Enough items to keep the threads level, unless blocks are few.
  const int64_t share = (last - first) * job.streams / (threads * 8);
  length = std::max<int64_t>(1, std::min(length, share));
  if (threads == 1) length = std::max<int64_t>(1, int64_t(kSecondsPerItem / work));
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
      {"avx2", [] { return bool(__builtin_cpu_supports("avx2")); }, avx2::run_item},
#endif
      {"baseline", [] { return true; }, baseline::run_item},
  };
  return all;
}

bool run_job(const Job& job, const Level& level, int64_t threads, const std::function<bool()>& interrupted) {
  const std::vector<Item> items = split(job, threads);
  std::atomic<size_t> next{0};
  std::atomic<bool> stop{false};
  std::mutex mutex;
  std::condition_variable done;
  size_t running = 0;
  std::exception_ptr failure;

  auto work = [&] {
    try {
      for (size_t i = next++; i < items.size() && !stop; i = next++) level.run(job, items[i]);
    } catch (...) {
      const std::lock_guard<std::mutex> lock(mutex);
      failure = std::current_exception();
      stop = true;
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
      if (interrupted()) stop = dropped = true;
      lock.lock();
    }
  } catch (...) {
    stop = true;
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
