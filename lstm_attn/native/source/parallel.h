// Threads of one call, the barrier between them, and their floating-point mode.
#pragma once

#include <sched.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <thread>
#include <vector>

#if defined(__SSE__)
#include <xmmintrin.h>
#endif

namespace native {

// Gradients that vanish through time become denormal numbers, which make products ten times slower.
// They count as zero while this object exists, as in XLA's own kernels.
class FlushDenormals {
 public:
  FlushDenormals() : before_(mode()) { set_mode(before_ | flush); }
  ~FlushDenormals() { set_mode(before_); }
  FlushDenormals(const FlushDenormals&) = delete;
  FlushDenormals& operator=(const FlushDenormals&) = delete;

 private:
#if defined(__SSE__)
  static constexpr std::uint64_t flush = 0x8040;  // FTZ and DAZ of MXCSR
  static std::uint64_t mode() { return _mm_getcsr(); }
  static void set_mode(std::uint64_t value) { _mm_setcsr(static_cast<unsigned>(value)); }
#elif defined(__aarch64__)
  static constexpr std::uint64_t flush = 1 << 24;  // FZ of FPCR
  static std::uint64_t mode() {
    std::uint64_t value;
    asm volatile("mrs %0, fpcr" : "=r"(value));
    return value;
  }
  static void set_mode(std::uint64_t value) { asm volatile("msr fpcr, %0" : : "r"(value)); }
#else
  static constexpr std::uint64_t flush = 0;
  static std::uint64_t mode() { return 0; }
  static void set_mode(std::uint64_t) {}
#endif
  const std::uint64_t before_;
};

inline void relax() {
#if defined(__SSE__)
  _mm_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

// Waits by spinning, since a step takes microseconds; but not for long, since the thread that it
// waits for may have no core: there may be more threads than cores, or other programs. To yield a
// core that nobody else wants takes less than a microsecond.
class Barrier {
 public:
  explicit Barrier(std::size_t count) : count_(count) {}

  void wait() {
    if (count_ == 1) return;
    const std::size_t round = round_.load(std::memory_order_acquire);
    if (arrived_.fetch_add(1, std::memory_order_acq_rel) + 1 == count_) {
      arrived_.store(0, std::memory_order_relaxed);
      round_.store(round + 1, std::memory_order_release);
      return;
    }
    for (int spins = 0; round_.load(std::memory_order_acquire) == round; ++spins) {
      if (spins < most_spins) {
        relax();
      } else {
        sched_yield();
      }
    }
  }

 private:
  static constexpr int most_spins = 64;
  const std::size_t count_;
  alignas(64) std::atomic<std::size_t> arrived_{0};
  alignas(64) std::atomic<std::size_t> round_{0};
};

// Calls body(0) ... body(count - 1), each on its own thread, and returns after the last. The bodies
// may wait for each other: none starts before all threads exist. Throws std::system_error, with no
// body started, if the system refuses a thread.
template <class Body>
void run_on_threads(std::size_t count, const Body& body) {
  enum { undecided, begin, give_up };
  std::atomic<int> decision{undecided};
  std::vector<std::thread> helpers;
  const auto finish = [&](int decided) {
    decision.store(decided, std::memory_order_release);
    if (decided == begin) {
      const FlushDenormals flush;
      body(std::size_t{0});
    }
    for (std::thread& helper : helpers) helper.join();
  };
  try {
    helpers.reserve(count - 1);
    for (std::size_t index = 1; index < count; ++index) {
      helpers.emplace_back([&decision, &body, index] {
        while (decision.load(std::memory_order_acquire) == undecided) sched_yield();
        if (decision.load(std::memory_order_acquire) == give_up) return;
        const FlushDenormals flush;
        body(index);
      });
    }
  } catch (...) {
    finish(give_up);
    throw;
  }
  finish(begin);
}

}  // namespace native
