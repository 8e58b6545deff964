"""Who takes part in `recurrent` and `training`."""

import dataclasses
from collections.abc import Sequence

from benchmarks.contenders import Contender, cores
from benchmarks.workloads import LanguageModel, Training

# Implementations of ops.lstm and ops.gru; the first is what all others are checked against.
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
# Model -> the layer's name, the builder, and whether it computes the same function as ours.
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


def ours(function: str, arguments: dict) -> list[Contender]:
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


def layers(cell: str, with_peers: bool) -> Sequence[Contender]:
    """For the layer alone."""
    return ours("layer", {}) + (_peers(cell, "layer", {}) if with_peers else [])


def training_loops(case: Training, steps: int, with_peers: bool) -> Sequence[Contender]:
    """Each library in its own idiomatic loop; linen and cuDNN also as one program of many steps."""
    arguments = {"steps": steps}
    if not with_peers:
        return ours("training", arguments)
    cells = CELLS[case.cell]
    scanned = [
        _peer(f"{name}, one program", module, ONE_PROGRAM, {"cell": cell, **arguments})
        for name, (module, cell) in cells.items()
        if module == "linen"
    ]
    compiled = _peer("torch.compile", "torch", "training", {"compiled": True, **arguments})
    cudnn = _peer("cuDNN, one program", "cudnn", ONE_PROGRAM, arguments)
    peers = _peers(case.cell, "training", arguments)
    return [*ours("training", arguments), *scanned, *peers, compiled, cudnn]


def language_models(case: LanguageModel, steps: int, with_peers: bool) -> Sequence[Contender]:
    """`lstm_attn.training` on one host device and on one a core; torch's layers in a loop."""
    arguments = {"steps": steps}
    mine = [
        Contender(
            f"ours, training program, {'one device' if devices == 1 else f'{devices} devices'}",
            "benchmarks.our_language",
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
