// Independent pieces of work of one call, shared between the calling thread and a pool's.
#pragma once

#include <sched.h>

#include <atomic>
#include <cstddef>
#include <memory>

#include "parallel.h"

namespace native {

// Calls body(worker, task) once for every task < count, with worker < workers, and returns after the
// last. Who takes which task depends on the moment: a result must not depend on the worker. The
// caller works too and waits for no helper that the pool has not started, so a busy pool costs
// time and never a deadlock. The body must not throw.
template <class Pool, class Body>
void run_tasks(Pool& pool, std::size_t workers, std::size_t count, const Body& body) {
  struct Shared {
    std::atomic<std::size_t> next_task{0}, next_worker{1}, inside{0};
    std::atomic<bool> closed{false};
  };
  const auto shared = std::make_shared<Shared>();
  const Body* const the_body = &body;  // alive while not closed or somebody is inside
  const auto work = [count, the_body](Shared& of, std::size_t worker) {
    const FlushDenormals flush;
    for (;;) {
      const std::size_t task = of.next_task.fetch_add(1);
      if (task >= count) return;
      (*the_body)(worker, task);
    }
  };
  const std::size_t most = count < workers ? count : workers;
  for (std::size_t helper = 1; helper < most; ++helper) {
    pool.Schedule([shared, work] {
      shared->inside.fetch_add(1);
      if (!shared->closed.load()) work(*shared, shared->next_worker.fetch_add(1));
      shared->inside.fetch_sub(1);
    });
  }
  work(*shared, 0);
  shared->closed.store(true);
  for (int spins = 0; shared->inside.load() != 0; ++spins) {
    if (spins < 2000) {
      relax();
    } else {
      sched_yield();
    }
  }
}

}  // namespace native
