"""Who takes part in each benchmark: ours by implementation, then the other libraries."""

import dataclasses
from collections.abc import Sequence

from benchmarks.contenders import Contender, cores
from benchmarks.workloads import BYTES, Attention, LanguageModel, Recurrent, Training

# Implementations of ops.lstm and ops.gru; all others are checked against the first.
OURS = ("scan", "fused", "auto")
CELLS = {
    "lstm": {
        "linen LSTMCell": ("linen", "LSTMCell"),
        "linen OptimizedLSTMCell": ("linen", "OptimizedLSTMCell"),
        "nnx LSTMCell": ("nnx", "LSTMCell"),
        "nnx OptimizedLSTMCell": ("nnx", "OptimizedLSTMCell"),
    },
    "gru": {"linen GRUCell": ("linen", "GRUCell"), "nnx GRUCell": ("nnx", "GRUCell")},
}
LIBRARIES = ("haiku", "equinox", "keras", "torch")
# Model -> torch's layer, its builder, and whether it computes the same function as ours.
TORCH_LANGUAGE_MODELS = {
    "lstm": ("torch.nn.LSTM", "recurrent", True),
    "transformer": ("torch.nn.TransformerEncoder", "transformer", False),
}
ENVIRONMENTS = {
    "keras": {"KERAS_BACKEND": "jax"},
    # Its compile times, too, must not come from an earlier run.
    "torch": {"JAX_PLATFORMS": "cpu", "TORCHINDUCTOR_FORCE_DISABLE_CACHES": "1"},
    "torch_language": {"JAX_PLATFORMS": "cpu"},
}
ONE_PROGRAM = "training_in_one_program"
MOST_LOGITS_BYTES = 2**30


def layers(case: Recurrent, with_peers: bool) -> Sequence[Contender]:
    """The layer alone."""
    return _ours("layer", {}) + (_peers(case.cell, "layer", {}) if with_peers else [])


def training_loops(case: Training, steps: int, with_peers: bool) -> Sequence[Contender]:
    """Each library in its own idiomatic loop; linen and cuDNN also as one program of many steps."""
    arguments = {"steps": steps}
    if not with_peers:
        return _ours("training", arguments)
    scanned = [
        _peer(f"{name}, one program", module, ONE_PROGRAM, {"cell": cell, **arguments})
        for name, (module, cell) in CELLS[case.cell].items()
        if module == "linen"
    ]
    compiled = _peer("torch.compile", "torch", "training", {"compiled": True, **arguments})
    cudnn = _peer("cuDNN, one program", "cudnn", ONE_PROGRAM, arguments)
    peers = _peers(case.cell, "training", arguments)
    return [*_ours("training", arguments), *scanned, *peers, compiled, cudnn]


def language_models(case: LanguageModel, steps: int, with_peers: bool) -> Sequence[Contender]:
    """`lstm_attn.training` on one host device and on one a core; torch's layers in a loop."""
    arguments = {"steps": steps}
    mine = [
        Contender(
            f"ours, training program, {'one device' if devices == 1 else f'{devices} devices'}",
            "benchmarks.language",
            "training_program",
            arguments,
            is_ours=True,
            devices=devices,
        )
        for devices in sorted({1, cores()})
    ]
    name, function, is_same = TORCH_LANGUAGE_MODELS[case.model]
    peer = dataclasses.replace(_peer(name, "torch_language", function, arguments), is_same=is_same)
    return [*mine, *([peer] if with_peers else [])]


def attention(case: Attention, with_peers: bool) -> Sequence[Contender]:
    """Implementations that form [T, S] only where these logits fit in MOST_LOGITS_BYTES."""
    logits_bytes = BYTES * case.batch * case.heads * case.length**2
    dense, auto, chunked = (
        Contender(
            f"ours, {name}", "benchmarks.ours", "attention", {"implementation": name}, is_ours=True
        )
        for name in ("dense", "auto", "chunked")
    )
    own_jax = _peer("jax.nn", "jax_nn", "attention", {})
    fits = logits_bytes <= MOST_LOGITS_BYTES
    lineup = [dense, own_jax, auto, chunked] if fits else [chunked]
    return [*lineup, *([_peer("torch", "torch", "attention", {})] if with_peers else [])]


def _ours(function: str, arguments: dict) -> list[Contender]:
    """Each implementation on one host device, and `auto` on one a core."""
    lineup = [("one device", name, 1) for name in OURS]
    if cores() > 1:
        lineup.append((f"{cores()} devices", "auto", cores()))
    return [
        Contender(
            f"ours, {name}, {where}",
            "benchmarks.ours",
            function,
            {"implementation": name, "devices": devices, **arguments},
            is_ours=True,
            devices=devices,
        )
        for where, name, devices in lineup
    ]


def _peers(cell: str, function: str, arguments: dict) -> list[Contender]:
    peers = [
        _peer(name, module, function, {"cell": kind, **arguments})
        for name, (module, kind) in CELLS[cell].items()
    ]
    peers += [_peer(name, name, function, arguments) for name in LIBRARIES]
    return [*peers, _peer("cuDNN", "cudnn", function, arguments)]


def _peer(name: str, module: str, function: str, arguments: dict) -> Contender:
    environment = ENVIRONMENTS.get(module, {})
    return Contender(
        name, f"benchmarks.peers.{module}", function, arguments, environment=environment
    )
