"""Threads of the kernels that have no core, or no longer exist after a fork."""

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from lstm_attn.native.build import SOURCE, compiler

ROOT = Path(__file__).parent.parent.parent
# The child's exit status: 0 if it can take the lock that another thread had when it was forked. If
# a fork waits for the lock, as it should, the child always can, however slow the machine is.
HELD = """
#define private public
#include "workspace.h"
#undef private
#include <sys/wait.h>
#include <unistd.h>
#include <atomic>
#include <thread>

int main() {
  { native::Workspace first(1000); }
  std::atomic<bool> held{false};
  std::thread other([&] {
    const std::lock_guard<std::mutex> guard(native::Workspace::lock());
    held = true;
    usleep(200000);
  });
  while (!held) std::this_thread::yield();
  const pid_t child = fork();
  if (child == 0) _exit(native::Workspace::lock().try_lock() ? 0 : 1);
  other.join();
  native::Workspace second(1000);  // the parent is not left with the lock
  int status = 1;
  waitpid(child, &status, 0);
  return WEXITSTATUS(status);
}
"""


# The exit status: 0 if a thread that waits for another yields its core after at most 100 pauses,
# which take some microseconds. The other thread arrives only then.
PATIENT = """
#include <sched.h>
#include <atomic>
#include <thread>
std::atomic<int> pauses{0}, yields{0};
#if defined(__SSE__)
#include <xmmintrin.h>
inline void counted_pause() { ++pauses; }
#define _mm_pause counted_pause
#endif
inline int counted_yield() { return ++yields, 0; }
#define sched_yield counted_yield
#include "parallel.h"

int main() {
  native::Barrier barrier(2);
  std::thread other([&] {
    while (!yields) std::this_thread::yield();
    barrier.wait();
  });
  barrier.wait();
  other.join();
  return pauses <= 100 && yields > 0 ? 0 : 1;
}
"""


@pytest.mark.parametrize("code", [HELD, PATIENT], ids=["fork waits for the lock", "barrier yields"])
def test_a_thread_that_cannot_go_on_stops_nobody(code, tmp_path):
    """Oracle: the lock in the child; the count of pauses. Catches a child that waits forever for a
    thread that it does not have, and threads that keep a core from the one they wait for."""
    (tmp_path / "code.cc").write_text(code)
    program = str(tmp_path / "program")
    command = [*compiler(), "-std=c++20", "-pthread", "-I", str(SOURCE), str(tmp_path / "code.cc")]
    subprocess.run([*command, "-o", program], check=True)
    assert subprocess.run([program], check=False).returncode == 0


CALLS = """
    import os, warnings
    import jax, numpy as np
    from tests.native import cases
    warnings.simplefilter("ignore")  # JAX's own: a child must not compile
    case = cases.draw(2, 60, 17, 48)  # enough work for threads

    @jax.jit
    def both(arguments, gradients):
        return cases.both(cases.Case(arguments, None, gradients))

    def values():
        return [np.asarray(array).tobytes() for array in both(case.arguments, case.gradients)]

    expected = values()
    if (child := os.fork()) == 0:
        os._exit(0 if values() == expected else 1)
    assert values() == expected
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


def test_a_child_calls_the_kernel(compiled):
    """Oracle: the parent's bits. Catches threads that the child waits for and does not have."""
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(CALLS)],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.stdout == "0\n", done.stderr
