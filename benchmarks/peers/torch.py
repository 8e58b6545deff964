"""torch.nn.LSTM and GRU in a plain loop, and attention; on all cores, denormals flushed."""

import time
from collections.abc import Callable

import numpy as np
import torch

from benchmarks import data, jitted
from benchmarks.contenders import Ready, Unavailable, compile_seconds, cores
from benchmarks.workloads import Attention, Layer, Recurrent, Training
from lstm_attn import interop

# Gradients that vanish through time become denormals, which a CPU multiplies ten times slower; XLA
# always flushes them. Set before any threads start, since they inherit it.
torch.set_flush_denormal(True)
torch.set_num_threads(cores())


def layer(case: Recurrent) -> Ready:
    """Without gradients under inference_mode; else by autograd."""
    module = _module(case)
    inputs = torch.from_numpy(data.inputs(case))
    if case.direction == "forward":

        def forward() -> torch.Tensor:
            with torch.inference_mode():
                return module(inputs)[0]

        return Ready(forward, {"outputs": forward().numpy()})
    inputs.requires_grad_()

    def gradients() -> None:
        module.zero_grad()
        inputs.grad = None
        module(inputs)[0][:, -1].square().mean().backward()

    gradients()
    convert = interop.lstm_from_torch if case.cell == "lstm" else interop.gru_from_torch
    theirs = {name: parameter.grad.clone() for name, parameter in module.named_parameters()}
    if case.cell == "lstm":
        # Each of torch's two biases has the gradient of their sum.
        theirs["bias_hh_l0"].zero_()
    values = convert(theirs)["layers_0"] | {"inputs": inputs.grad.clone().numpy()}
    return Ready(gradients, values)


def training(case: Training, steps: int, compiled: bool = False) -> Ready:
    """Adam in its fused form, one step a batch; `compiled` puts the model through torch.compile."""
    readout = torch.nn.Linear(case.features, 1)
    theirs = data.readout(case)
    with torch.no_grad():
        readout.weight.copy_(torch.from_numpy(theirs["kernel"].T))
        readout.bias.copy_(torch.from_numpy(theirs["bias"]))
    recurrent = _module(case)
    if case.cell == "lstm":
        # Its second bias adds nothing, and Adam would move their sum twice as fast as others' one.
        recurrent.bias_hh_l0.requires_grad_(False)
    model = _Model(recurrent, readout)
    adam = torch.optim.Adam(model.parameters(), lr=jitted.LEARNING_RATE, fused=True)
    batches = [tuple(map(torch.from_numpy, batch)) for batch in data.batches(case, steps)]
    predict = torch.compile(model) if compiled else model

    def step(inputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        adam.zero_grad()
        loss = torch.nn.functional.mse_loss(predict(inputs), targets)
        loss.backward()
        adam.step()
        return loss.detach()

    losses, seconds = [], []
    for batch in batches:
        began = time.perf_counter()
        losses.append(_guarded(step, *batch) if compiled else step(*batch))
        seconds.append(time.perf_counter() - began)

    def run() -> list[torch.Tensor]:
        return [step(*batch) for batch in batches]

    compiling = compile_seconds(seconds) if compiled else None
    return Ready(run, data.comparable(case, np.array(losses)), steps, compiling)


def attention(case: Attention) -> Ready:
    # torch wants heads before time, and is fastest where they are contiguous.
    arrays = map(torch.from_numpy, data.attention_inputs(case))
    given = [array.transpose(1, 2).contiguous() for array in arrays]

    def attend() -> torch.Tensor:
        return torch.nn.functional.scaled_dot_product_attention(*given, is_causal=case.is_causal)

    if case.direction == "forward":

        def forward() -> torch.Tensor:
            with torch.inference_mode():
                return attend()

        return Ready(forward, {"outputs": forward().transpose(1, 2).numpy()})
    for tensor in given:
        tensor.requires_grad_()

    def gradients() -> None:
        for tensor in given:
            tensor.grad = None
        attend().square().mean().backward()

    gradients()
    theirs = [tensor.grad.transpose(1, 2).clone().numpy() for tensor in given]
    return Ready(gradients, dict(zip(data.ATTENTION_INPUTS, theirs, strict=True)))


class _Model(torch.nn.Module):
    def __init__(self, recurrent: torch.nn.Module, readout: torch.nn.Module) -> None:
        super().__init__()
        self.recurrent, self.readout = recurrent, readout

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return self.readout(self.recurrent(inputs)[0][:, -1])


def _module(case: Layer) -> torch.nn.Module:
    kind = torch.nn.LSTM if case.cell == "lstm" else torch.nn.GRU
    module = kind(case.inputs, case.features, batch_first=True)
    convert = interop.lstm_to_torch if case.cell == "lstm" else interop.gru_to_torch
    theirs = convert({"layers_0": data.parameters(case)})
    module.load_state_dict({name: torch.from_numpy(array) for name, array in theirs.items()})
    return module


def _guarded(step: Callable[..., torch.Tensor], *batch: torch.Tensor) -> torch.Tensor:
    """The first compiled step; Unavailable where torch cannot compile it."""
    try:
        return step(*batch)
    except torch._dynamo.exc.TorchDynamoException as error:
        reason = str(error).strip().splitlines()[0]
        raise Unavailable(f"torch.compile does not work here: {reason}") from error
