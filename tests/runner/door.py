"""The command line of a study in this process: flags, config and checks as with `python -m`.

A process of its own takes seconds to import JAX; here five hundred commands take as long as two.
"""

import contextlib
import io
import sys
from typing import Any, NamedTuple
from unittest import mock

from absl import flags
from absl.testing import flagsaver

from lstm_attn import training
from lstm_attn.runner import command
from lstm_attn.runner.session import Session
from lstm_attn.studies.study import Study


class Outcome(NamedTuple):
    """settings: the resulting config; None if the command was refused."""

    status: Any
    out: str
    err: str
    settings: Any


def knock(study: Study, arguments: list[str]) -> Outcome:
    """Runs the command of that study with the arguments, up to where JAX would start.

    Only the layout of devices and the training are left out.
    """
    built: list[Any] = []
    out, err, status = io.StringIO(), io.StringIO(), None

    class Noting:
        config = study.config
        check, cells = staticmethod(study.check), staticmethod(study.cells)

        def run(self, config: Any, session: Any) -> Any:
            built.append(config)
            return mock.Mock()

    with (
        # Overrides are flags that the parsing defines; the saver takes them away again.
        flagsaver.flagsaver(),
        mock.patch.object(sys, "argv", ["study", *arguments]),
        mock.patch.object(Session, "begin"),
        mock.patch.object(training, "use_host_cores"),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        flags.FLAGS.unparse_flags()
        try:
            command.run(Noting())
        except SystemExit as end:
            status = end.code or 0
    return Outcome(status, out.getvalue(), err.getvalue(), built[0] if built else None)
