"""The parent's side of a contender's process."""

import multiprocessing
import os
import signal
import subprocess
import sys
from typing import Any

from benchmarks.contenders import ENVIRONMENT, Contender, Unavailable


class Process:
    """Starts the contender's process, which begins to import at once; `ask` waits for an answer."""

    def __init__(self, contender: Contender) -> None:
        self.contender = contender
        self._start()

    def _start(self) -> None:
        self._connection, theirs = multiprocessing.Pipe()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.worker", str(theirs.fileno())],
            pass_fds=(theirs.fileno(),),
            env={**os.environ, **ENVIRONMENT, **self.contender.environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,  # what libraries print does not belong to our table
        )
        theirs.close()
        self._connection.send(self.contender)

    def ask(self, request: str, *arguments: Any) -> Any:
        """The worker's answer.

        Raises:
          Unavailable: the contender cannot run here, or was killed, as a system short of memory
            does; the next request goes to a fresh process.
          RuntimeError: it failed, or its process ended otherwise; with the contender's name.
        """
        self._connection.send((request, *arguments))
        return self._receive()

    def _receive(self) -> Any:
        try:
            kind, result = self._connection.recv()
        except (EOFError, ConnectionResetError) as error:
            status = self._process.wait()
            if status == -signal.SIGKILL:
                self._start()
                raise Unavailable("it was killed, perhaps for want of memory") from error
            raise RuntimeError(
                f"{self.contender.name}: its process ended with status {status}"
            ) from error
        if kind == "unavailable":
            raise Unavailable(result)
        if kind == "failed":
            raise RuntimeError(f"{self.contender.name}: {result}")
        return result

    def close(self) -> None:
        """Ends the process, which has nothing to lose."""
        self._connection.close()
        self._process.kill()
        self._process.wait()

    def __enter__(self) -> "Process":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()
