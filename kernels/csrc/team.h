// A team of threads that go through the same work together, and its barrier.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <thread>
#include <vector>

namespace parity {

class Team {
 public:
  explicit Team(int64_t size) : size_(size), slots_(new Slot[size_t(size)]) {}

  int64_t size() const { return size_; }

  // Returns when all members have come here as often as this one. What they wrote before is seen after.
  void wait(int64_t member) {
    if (size_ == 1) return;
    Slot& own = slots_[size_t(member)];
    const int64_t round = own.round.load(std::memory_order_relaxed) + 1;
    own.round.store(round, std::memory_order_release);
    for (int64_t other = 0; other < size_; ++other) {
      const std::atomic<int64_t>& theirs = slots_[size_t(other)].round;
      for (int64_t spin = 0; theirs.load(std::memory_order_acquire) < round; ++spin) {
        if (spin < kSpins) {
          relax();
        } else {
          std::this_thread::yield();  // more threads than processors, if not of one team: let the awaited one run
        }
      }
    }
  }

  void stop() { stopped_.store(true, std::memory_order_relaxed); }
  bool halted() const { return stopped_.load(std::memory_order_relaxed); }

  // All members get the same answer: it is taken by the first one, between two barriers.
  bool stopped(int64_t member) {
    if (member == 0) agreed_ = stopped_.load(std::memory_order_relaxed);
    wait(member);
    const bool answer = agreed_;
    wait(member);
    return answer;
  }

  // The next number not taken yet, for work that is shared out one by one.
  int64_t take() { return next_.fetch_add(1, std::memory_order_relaxed); }
  void restart() { next_.store(0, std::memory_order_relaxed); }

 private:
  static constexpr int64_t kSpins = 50;  // some microseconds
  struct alignas(128) Slot {
    std::atomic<int64_t> round{0};
  };

  static void relax() {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
  }

  int64_t size_;
  std::unique_ptr<Slot[]> slots_;
  std::atomic<bool> stopped_{false};
  std::atomic<int64_t> next_{0};
  bool agreed_ = false;
};

struct Member {
  Team* team;
  int64_t number;
  // Scratch that members share: the first one sets it, between barriers.
  void** shared;

  bool first() const { return number == 0; }
  void wait() const { team->wait(number); }
};

// Runs `work` on a team of `threads`; `interrupted` is asked about ten times a second on the calling thread, and if it
// says so the team is told to stop and false is returned. Exceptions of members must be thrown before their first wait.
bool run_team(int64_t threads, const std::function<void(const Member&)>& work,
              const std::function<bool()>& interrupted);

}  // namespace parity
