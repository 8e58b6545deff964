"""The parent's side of a contender's process."""

import multiprocessing
import os
import subprocess
import sys
from types import TracebackType
from typing import Any

from benchmarks.contenders import ENVIRONMENT, Contender, Unavailable


class Process:
    """Starts the contender's process, which begins to import at once; `ask` waits for an answer."""

    def __init__(self, contender: Contender) -> None:
        self.contender = contender
        self._connection, theirs = multiprocessing.Pipe()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.worker", str(theirs.fileno())],
            pass_fds=(theirs.fileno(),),
            env={**os.environ, **ENVIRONMENT, **contender.environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,  # what libraries print does not belong to our table
        )
        theirs.close()
        self._connection.send(contender)
        self._imported = False
        self._connection.send(("import_module",))

    def ask(self, request: str, *arguments: Any) -> Any:
        """The worker's answer.

        Raises:
          Unavailable: the contender cannot run here.
          RuntimeError: it failed, or its process ended; with the contender's name.
        """
        if not self._imported:
            self._receive()
            self._imported = True
        self._connection.send((request, *arguments))
        return self._receive()

    def _receive(self) -> Any:
        try:
            kind, result = self._connection.recv()
        except (EOFError, ConnectionResetError) as error:
            status = self._process.wait()
            raise RuntimeError(
                f"{self.contender.name}: its process ended with status {status}"
            ) from error
        if kind == "unavailable":
            raise Unavailable(result)
        if kind == "failed":
            raise RuntimeError(f"{self.contender.name}: {result}")
        return result

    def close(self) -> None:
        self._connection.close()
        try:
            self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def __enter__(self) -> "Process":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()
