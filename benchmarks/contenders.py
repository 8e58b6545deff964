"""Who takes part in a benchmark, what a contender gives back, and whether two computed the same."""

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from benchmarks.workloads import BYTES, Attention, Decoding, LanguageModel, Recurrent, Training
from lstm_attn.host import usable_cores

# Relative to the largest entry. Float32 sums of up to a million terms in different orders stay
# below it; an exchanged gate or a missing bias gives differences of the order of one.
TOLERANCE = 2e-3
# Implementations of ops.lstm and ops.gru; all others are checked against the first.
IMPLEMENTATIONS = ("scan", "fused", "auto")
DECODING_MODELS = ("lstm", "gru", "transformer", "lstm_attention")
# Name -> library, and the class of its cell where it has several. haiku.GRU resets before the
# product, which is another function; jax.experimental.rnn has no GRU.
JAX_LIBRARIES: dict[str, dict[str, tuple[str, str | None]]] = {
    "lstm": {
        "linen LSTMCell": ("linen", "LSTMCell"),
        "linen OptimizedLSTMCell": ("linen", "OptimizedLSTMCell"),
        "nnx LSTMCell": ("nnx", "LSTMCell"),
        "nnx OptimizedLSTMCell": ("nnx", "OptimizedLSTMCell"),
        "haiku": ("haiku", None),
        "equinox": ("equinox", None),
        "cuDNN": ("cudnn", None),
    },
    "gru": {
        "linen GRUCell": ("linen", "GRUCell"),
        "nnx GRUCell": ("nnx", "GRUCell"),
        "equinox": ("equinox", None),
    },
}
# Those that also train as one program of many steps.
IN_ONE_PROGRAM = ("linen", "cudnn")
# Model -> torch's layer, its builder, and whether it computes the same function as ours.
TORCH_LANGUAGE_MODELS = {
    "lstm": ("torch.nn.LSTM", "recurrent_language_model", True),
    "transformer": ("torch.nn.TransformerEncoder", "transformer_language_model", False),
}
# Its compile times, too, must not come from an earlier run.
TORCH_ENVIRONMENT = {"JAX_PLATFORMS": "cpu", "TORCHINDUCTOR_FORCE_DISABLE_CACHES": "1"}
# With one arena, glibc gives back what an earlier case has freed, and the growth is a case's own.
ONE_ARENA = {"MALLOC_ARENA_MAX": "1"}
MOST_LOGITS_BYTES = 2**30
# A run of training has as many steps as take about a second, between these.
FEWEST_STEPS, MOST_STEPS = 2, 5
FLOPS_A_RUN = 5e10
# Of a run of a language model; configs/language_model.py has fifty between two evaluations.
TEXT_STEPS = 10


class Unavailable(Exception):
    """A contender that cannot run here, with the reason."""


class Mismatch(Exception):
    """A contender that computes other values than the first."""


@dataclasses.dataclass(frozen=True)
class Contender:
    """Named by where it is built, so that the parent imports no library that it measures.

    `module`.`function`(case, **arguments) makes it ready, in a process with that many JAX host
    devices and these environment variables. A contender keeps its process, known by its name:
    function and arguments may differ from case to case, the rest may not.

    is_same: whether it computes the same values as the first contender of a case, which is checked.
    """

    name: str
    module: str
    function: str = ""
    arguments: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    is_ours: bool = False
    is_same: bool = True
    devices: int = 1
    environment: Mapping[str, str] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass
class Ready:
    """What a builder returns.

    run: one timed run; its results are complete when it returns.
    values: what was computed, for the comparison, by names that all contenders share.
    steps: how many steps a run is.
    compile_seconds: tracing and compiling, or None where it cannot be timed apart from running.
    temporary_bytes: XLA's own account of the memory of a run, without its inputs and results.
    work: flops and bytes of a run, of what the machine can do.
    parameters: how many numbers are learned, where contenders of a case may differ in that.
    """

    run: Callable[[], object]
    values: Mapping[str, np.ndarray]
    steps: int = 1
    compile_seconds: float | None = None
    temporary_bytes: int | None = None
    work: tuple[int, int] | None = None
    parameters: int | None = None


def compile_seconds(steps: list[float]) -> float | None:
    """By how much the first of several equal steps was slower than the fastest of the others."""
    return max(steps[0] - min(steps[1:]), 0.0) if len(steps) > 1 else None


def layers(case: Recurrent, with_peers: bool) -> Sequence[Contender]:
    """The layer alone."""
    return [*_ours("layer"), *(_peers(case.cell, "layer") if with_peers else ())]


def training(
    case: Training | LanguageModel, with_peers: bool, steps: int | None = None
) -> Sequence[Contender]:
    """Each library in its own idiomatic loop; linen and cuDNN also as one program of many steps.

    Args:
      steps: of a run; None for as many as take about a second. All contenders take the same.
    """
    if isinstance(case, LanguageModel):
        return _language_models(case, with_peers, steps or TEXT_STEPS)
    steps = steps or min(max(int(FLOPS_A_RUN / case.flops), FEWEST_STEPS), MOST_STEPS)
    mine = _ours("training_in_one_program", steps=steps)
    if not with_peers:
        return mine
    scanned = [
        _jax_peer(f"{name}, one program", library, cell, "training_in_one_program", steps=steps)
        for name, (library, cell) in JAX_LIBRARIES[case.cell].items()
        if library in IN_ONE_PROGRAM
    ]
    compiled = _torch("torch.compile", "training", compiled=True, steps=steps)
    return [*mine, *scanned, *_peers(case.cell, "training", steps=steps), compiled]


def _language_models(case: LanguageModel, with_peers: bool, steps: int) -> Sequence[Contender]:
    """`lstm_attn.training` on one host device and on one a core; torch's layers in a loop."""
    mine = [
        Contender(
            f"ours, training program, {'one device' if devices == 1 else f'{devices} devices'}",
            "benchmarks.language",
            "training_program",
            {"steps": steps},
            is_ours=True,
            devices=devices,
        )
        for devices in sorted({1, usable_cores()})
    ]
    name, function, is_same = TORCH_LANGUAGE_MODELS[case.model]
    peer = dataclasses.replace(_torch(name, function, steps=steps), is_same=is_same)
    return [*mine, *([peer] if with_peers else [])]


def attention(case: Attention, with_peers: bool) -> Sequence[Contender]:
    """Implementations that form [T, S] only where these logits fit in MOST_LOGITS_BYTES."""
    dense, auto, chunked = (
        Contender(
            f"ours, {name}", "benchmarks.ours", "attention", {"implementation": name}, is_ours=True
        )
        for name in ("dense", "auto", "chunked")
    )
    own_jax = Contender("jax.nn", "benchmarks.peers.jax_libraries", "attention")
    fits = BYTES * case.batch * case.heads * case.length**2 <= MOST_LOGITS_BYTES
    everyone = [dense, own_jax, auto, chunked] if fits else [chunked]
    return [*everyone, *([_torch("torch", "attention")] if with_peers else [])]


def memory(case: Training | Attention, with_peers: bool) -> Sequence[Contender]:
    """A training step that keeps all steps for back-propagation, and one that keeps the state
    between segments of about sqrt(T) steps and recomputes each segment; or attention."""
    if isinstance(case, Attention):
        everyone = attention(case, with_peers)
    else:
        # The largest divisor of T up to its root: T / segment states and segment steps are kept.
        root = math.isqrt(case.length)
        segment = max(steps for steps in range(1, root + 1) if case.length % steps == 0)
        everyone = [
            Contender(
                f"ours, {name}", "benchmarks.ours", "training_in_one_program",
                {"implementation": "auto", "steps": 1, "segment": steps}, is_ours=True,
            )
            for name, steps in (("all steps kept", None), ("segments", segment))
        ]  # fmt: skip
    return [
        dataclasses.replace(contender, environment={**contender.environment, **ONE_ARENA})
        for contender in everyone
    ]


def decoding(case: Decoding, with_peers: bool) -> Sequence[Contender]:
    """The models; there are no peers."""
    return [
        Contender(name, "benchmarks.ours", "decode", {"name": name}, is_ours=True, is_same=False)
        for name in DECODING_MODELS
    ]


def _ours(function: str, **arguments: Any) -> list[Contender]:
    """Each implementation on one host device, and `auto` on one a core."""
    everyone = [("one device", name, 1) for name in IMPLEMENTATIONS]
    if (cores := usable_cores()) > 1:
        everyone.append((f"{cores} devices", "auto", cores))
    return [
        Contender(
            f"ours, {name}, {where}",
            "benchmarks.ours",
            function,
            {"implementation": name, "devices": devices, **arguments},
            is_ours=True,
            devices=devices,
        )
        for where, name, devices in everyone
    ]


def _peers(kind: str, function: str, **arguments: Any) -> list[Contender]:
    peers = [
        _jax_peer(name, library, cell, function, **arguments)
        for name, (library, cell) in JAX_LIBRARIES[kind].items()
    ]
    return [*peers, _torch("torch", function, **arguments)]


def _jax_peer(
    name: str, library: str, cell: str | None, function: str, **arguments: Any
) -> Contender:
    named = {"library": library, **({"cell": cell} if cell else {}), **arguments}
    return Contender(name, "benchmarks.peers.jax_libraries", function, named)


def _torch(name: str, function: str, **arguments: Any) -> Contender:
    return Contender(
        name, "benchmarks.peers.torch", function, arguments, environment=TORCH_ENVIRONMENT
    )


def check_same(
    name: str, expected: Mapping[str, np.ndarray], computed: Mapping[str, np.ndarray]
) -> float:
    """The largest difference over all arrays that both have, each relative to its largest entry.

    Arrays that only one has are left out, since not every library keeps two biases of a gate.

    Raises:
      Mismatch: no array in common, shapes that differ, or a difference above TOLERANCE, naming the
        contender and the array.
    """
    shared = [key for key in expected if key in computed]
    if not shared:
        raise Mismatch(f"{name}: expected values of {', '.join(expected)}, got {list(computed)}")
    largest = 0.0
    for key in shared:
        ours, theirs = (np.asarray(values[key], np.float64) for values in (expected, computed))
        if ours.shape != theirs.shape:
            raise Mismatch(f"{name}: {key} expected shape {ours.shape}, got {theirs.shape}")
        scale = np.max(np.abs(ours), initial=np.finfo(np.float32).tiny)
        difference = np.max(np.abs(ours - theirs), initial=0.0) / scale
        if not difference <= TOLERANCE:  # NaN too
            raise Mismatch(
                f"{name}: {key} differs from ours by {difference:.2g} of its largest entry, "
                f"expected at most {TOLERANCE}"
            )
        largest = max(largest, float(difference))
    return largest
