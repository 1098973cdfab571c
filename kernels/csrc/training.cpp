#include "training.h"

#include <chrono>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <stdexcept>

#define PARITY_DECLARE(level)                                                                              \
  namespace level {                                                                                        \
  void train32(const parity::Training<float>&, const parity::Member&);                                     \
  void train64(const parity::Training<double>&, const parity::Member&);                                    \
  void forward32(const parity::Forward<float>&, const parity::Member&);                                    \
  void forward64(const parity::Forward<double>&, const parity::Member&);                                   \
  void labels(uint64_t, uint64_t, int64_t, int64_t, int64_t, const int64_t*, int64_t, int8_t*);            \
  constexpr parity::TrainingLevel kTraining{#level, train32, train64, forward32, forward64, labels};       \
  }

PARITY_DECLARE(baseline)
#ifdef PARITY_X86
PARITY_DECLARE(avx2)
PARITY_DECLARE(avx512)
#endif

namespace parity {

const TrainingLevel& training_level(const std::string& name) {
#ifdef PARITY_X86
  if (name == "avx512") return avx512::kTraining;
  if (name == "avx2") return avx2::kTraining;
#endif
  return baseline::kTraining;
}

bool run_team(int64_t threads, const std::function<void(const Member&)>& work,
              const std::function<bool()>& interrupted) {
  Team team(threads);
  void* shared = nullptr;
  std::mutex mutex;
  std::condition_variable done;
  int64_t running = threads;
  std::exception_ptr failure;
  bool begin = false, cancelled = false;

  const auto member = [&](int64_t number) {
    {  // nobody begins before all are there: a member waits for all the others
      std::unique_lock<std::mutex> lock(mutex);
      done.wait(lock, [&] { return begin || cancelled; });
      if (cancelled) return;
    }
    try {
      work({&team, number, &shared});
    } catch (...) {
      const std::lock_guard<std::mutex> lock(mutex);
      failure = std::current_exception();
    }
    const std::lock_guard<std::mutex> lock(mutex);
    if (--running == 0) done.notify_all();
  };

  std::vector<std::thread> workers;
  try {
    for (int64_t t = 0; t < threads; ++t) workers.emplace_back(member, t);
  } catch (...) {
    {
      const std::lock_guard<std::mutex> lock(mutex);
      cancelled = true;
    }
    done.notify_all();
    for (std::thread& worker : workers) worker.join();
    throw;
  }
  bool dropped = false;
  {
    std::unique_lock<std::mutex> lock(mutex);
    begin = true;
    done.notify_all();
    while (running > 0) {
      done.wait_for(lock, std::chrono::milliseconds(100));
      if (running == 0 || dropped) continue;
      lock.unlock();
      if (interrupted()) {
        team.stop();
        dropped = true;
      }
      lock.lock();
    }
  }
  for (std::thread& worker : workers) worker.join();
  if (failure) std::rethrow_exception(failure);
  return !dropped;
}

}  // namespace parity
