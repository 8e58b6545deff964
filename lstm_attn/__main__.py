"""python -m lstm_attn: the version, what computes here, models and tasks, and where to begin."""

from pathlib import Path

import jax

import lstm_attn
from lstm_attn import native
from lstm_attn.models import MODELS
from lstm_attn.runner import command_line, machine
from lstm_attn.tasks import TASKS

CLONE = Path(__file__).parent.parent / "configs" / "quick.py"
IN_PYTHON = """\
from lstm_attn import studies
found = studies.compare("lstm,gru", "adding", 10, steps=500, seeds=4, learning_rates=0.03,
                        workdir="runs/first")
found.show()"""
IN_A_SHELL = """\
python -m experiments.compare --config=configs/quick.py --workdir=runs/quick
python -m experiments.compare --config=configs/quick.py --dry_run
python -m experiments.compare --help"""


def main() -> None:
    here = machine.describe()
    device, count = jax.devices()[0], jax.device_count()
    kind = f"{here['cores']} cores" if device.platform == "cpu" else f"{count} {device.device_kind}"
    versions = ", ".join(f"{name} {here['versions'][name]}" for name in ("python", "jax", "flax"))
    lines = {
        "version": f"{lstm_attn.__version__} ({versions})",
        "device": f"{device.platform}, {kind}",
        "kernel": kernel(device.platform),
        "models": ", ".join(MODELS),
        "tasks": ", ".join(TASKS),
    }
    print((lstm_attn.__doc__ or "").splitlines()[0], end="\n\n")
    for name, line in lines.items():
        print(f"{name:9}{line}")
    print("\nTo begin, in Python:\n")
    print(_indented(IN_PYTHON))
    if CLONE.exists():
        print("\nor here in the clone, where `make help` lists more:\n")
        print(_indented(IN_A_SHELL))


def kernel(platform: str) -> str:
    """Whether the LSTM's kernel is used, and how to get it."""
    if platform != "cpu":
        return f"for a CPU only; on a {platform} XLA compiles everything"
    if native.available():
        return "of the LSTM in C++, built for this machine"
    return "not built: LSTMs run slower; `python -m lstm_attn.native` builds it"


def _indented(code: str) -> str:
    return "\n".join(f"    {line}" for line in code.splitlines())


if __name__ == "__main__":
    with command_line.while_read():
        main()
