"""torch.nn in a plain loop, on all cores, denormals flushed: LSTM and GRU, attention, and language
models.
"""

import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, mse_loss, scaled_dot_product_attention

from benchmarks import data, jitted, language
from benchmarks.contenders import Ready, Unavailable, compile_seconds
from benchmarks.workloads import Attention, LanguageModel, Layer, Recurrent, Training
from lstm_attn import interop
from lstm_attn.host import usable_cores

# Gradients that vanish through time become denormals, which a CPU multiplies ten times slower; XLA
# always flushes them. Set before any threads start, since they inherit it.
torch.set_flush_denormal(True)
torch.set_num_threads(usable_cores())


def layer(case: Recurrent) -> Ready:
    module = _module(case)
    inputs = torch.from_numpy(data.inputs(case))
    run = _run(case, lambda: module(inputs)[0], [inputs, *module.parameters()])
    if case.direction == "forward":
        return Ready(run, {"outputs": run().numpy()})
    run()
    convert = interop.lstm_from_torch if case.cell == "lstm" else interop.gru_from_torch
    theirs = {name: parameter.grad.clone() for name, parameter in module.named_parameters()}
    if case.cell == "lstm":
        # Each of torch's two biases has the gradient of their sum.
        theirs["bias_hh_l0"].zero_()
    return Ready(run, convert(theirs)["layers_0"] | {"inputs": inputs.grad.clone().numpy()})


def attention(case: Attention) -> Ready:
    # torch wants heads before time, and is fastest where they are contiguous.
    arrays = map(torch.from_numpy, data.attention_inputs(case))
    given = [array.transpose(1, 2).contiguous() for array in arrays]

    def attend() -> Tensor:
        return scaled_dot_product_attention(*given, is_causal=case.is_causal)

    run = _run(case, attend, given)
    if case.direction == "forward":
        return Ready(run, {"outputs": run().transpose(1, 2).numpy()})
    run()
    theirs = [tensor.grad.transpose(1, 2).clone().numpy() for tensor in given]
    return Ready(run, dict(zip(data.ATTENTION_INPUTS, theirs, strict=True)))


def _run(
    case: Recurrent | Attention, outputs: Callable[[], Tensor], tensors: Sequence[Tensor]
) -> Callable[[], Any]:
    """A run: outputs under inference_mode; or, by autograd, the gradients of these tensors of the
    mean square of the outputs, of a layer of the last of them."""

    def forward() -> Tensor:
        with torch.inference_mode():
            return outputs()

    def gradients() -> None:
        for tensor in tensors:
            tensor.grad = None
        made = outputs()[:, -1] if isinstance(case, Recurrent) else outputs()
        made.square().mean().backward()

    if case.direction == "forward":
        return forward
    for tensor in tensors:
        tensor.requires_grad_()
    return gradients


def training(case: Training, steps: int, compiled: bool = False) -> Ready:
    """Adam in its fused form, one step a batch; `compiled` puts the model through torch.compile."""
    readout = nn.Linear(case.features, 1)
    theirs = data.readout(case)
    with torch.no_grad():
        readout.weight.copy_(torch.from_numpy(theirs["kernel"].T))
        readout.bias.copy_(torch.from_numpy(theirs["bias"]))
    recurrent = _module(case)
    # Its second bias adds nothing, and Adam would move their sum twice as fast as others' one.
    recurrent.bias_hh_l0.requires_grad_(False)
    model = _Model(recurrent, readout)
    adam = torch.optim.Adam(model.parameters(), lr=jitted.LEARNING_RATE, fused=True)
    batches = [tuple(map(torch.from_numpy, batch)) for batch in data.batches(case, steps)]
    predict = torch.compile(model) if compiled else model

    def step(inputs: Tensor, targets: Tensor) -> Tensor:
        adam.zero_grad()
        loss = mse_loss(predict(inputs), targets)
        loss.backward()
        adam.step()
        return loss.detach()

    losses, seconds = [], []
    for batch in batches:
        began = time.perf_counter()
        losses.append(_guarded(step, *batch) if compiled else step(*batch))
        seconds.append(time.perf_counter() - began)

    def run() -> list[Tensor]:
        return [step(*batch) for batch in batches]

    compiling = compile_seconds(seconds) if compiled else None
    return Ready(run, {"losses": np.array(losses)}, steps, compiling)


class _Model(nn.Module):
    def __init__(self, recurrent: nn.Module, readout: nn.Module) -> None:
        super().__init__()
        self.recurrent, self.readout = recurrent, readout

    def forward(self, inputs: Tensor) -> Tensor:
        return self.readout(self.recurrent(inputs)[0][:, -1])


def _module(case: Layer) -> nn.Module:
    kind = nn.LSTM if case.cell == "lstm" else nn.GRU
    module = kind(case.inputs, case.features, batch_first=True)
    convert = interop.lstm_to_torch if case.cell == "lstm" else interop.gru_to_torch
    theirs = convert({"layers_0": data.parameters(case)})
    module.load_state_dict({name: torch.from_numpy(array) for name, array in theirs.items()})
    return module


def _guarded(step: Callable[..., Tensor], *batch: Tensor) -> Tensor:
    """The first compiled step; Unavailable where torch cannot compile it."""
    try:
        return step(*batch)
    except torch._dynamo.exc.TorchDynamoException as error:
        reason = str(error).strip().splitlines()[0]
        raise Unavailable(f"torch.compile does not work here: {reason}") from error


class RecurrentLanguageModel(nn.Module):
    """Embedding, LSTM, readout; the state is carried from segment to segment."""

    def __init__(self, vocabulary: int, features: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, features)
        self.lstm = nn.LSTM(features, features, batch_first=True)
        self.readout = nn.Linear(features, vocabulary)

    def forward(self, ids: Tensor, state: tuple[Tensor, Tensor] | None) -> tuple[Tensor, object]:
        """ids [B, T] to logits [B, T, V], and the state after."""
        hidden, state = self.lstm(self.embedding(ids), state)
        return self.readout(hidden), state


class TransformerLanguageModel(nn.Module):
    """Embeddings of token and position, a causal encoder with norms first, readout."""

    def __init__(
        self, vocabulary: int, features: int, heads: int, layers: int, length: int
    ) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, features)
        self.positions = nn.Embedding(length, features)
        layer = nn.TransformerEncoderLayer(
            features,
            heads,
            dim_feedforward=4 * features,
            dropout=0.0,
            activation="gelu",
            batch_first=True,
            norm_first=True,
        )
        norm = nn.LayerNorm(features)
        self.encoder = nn.TransformerEncoder(layer, layers, norm, enable_nested_tensor=False)
        self.readout = nn.Linear(features, vocabulary)
        self.register_buffer("mask", nn.Transformer.generate_square_subsequent_mask(length))

    def forward(self, ids: Tensor, state: None) -> tuple[Tensor, None]:
        """ids [B, T] to logits [B, T, V]; nothing is carried over."""
        hidden = self.embedding(ids) + self.positions.weight
        return self.readout(self.encoder(hidden, self.mask, is_causal=True)), None


def recurrent_language_model(case: LanguageModel, steps: int) -> Ready:
    """Starts from our parameters, so that losses and states can be compared with ours."""
    program, task = language.program(case, steps)
    params = program.start().params
    ours = {name: {key: np.array(leaf[0]) for key, leaf in part.items()}
            for name, part in params.items()}  # fmt: skip
    model = RecurrentLanguageModel(task.output_features, case.features)
    theirs = {
        "embedding.weight": ours["embedding"]["embedding"],
        "readout.weight": ours["readout"]["kernel"].T,
        "readout.bias": ours["readout"]["bias"],
    }
    layer = interop.lstm_to_torch({"layers_0": ours["body"]})
    theirs |= {f"lstm.{name}": array for name, array in layer.items()}
    model.load_state_dict({name: torch.tensor(array) for name, array in theirs.items()})
    # Its second bias adds nothing, and Adam would move the sum of both twice as fast as our one.
    model.lstm.bias_hh_l0.requires_grad_(False)
    return _trained(model, case, steps)


def transformer_language_model(case: LanguageModel, steps: int) -> Ready:
    """As wide as ours, with as many layers and heads; positions are learned, ours are rotary."""
    task, config = language.task(case), language.model_config(case)
    torch.manual_seed(0)
    width = language.width(case, task)
    heads, layers = config.num_heads, config.num_layers
    model = TransformerLanguageModel(task.output_features, width, heads, layers, case.length)
    return _trained(model, case, steps)


def _trained(model: nn.Module, case: LanguageModel, steps: int) -> Ready:
    task, config = language.task(case), language.training_config(case, steps)
    learned = [parameter for parameter in model.parameters() if parameter.requires_grad]
    adam = torch.optim.Adam(learned, lr=config.learning_rates[0], fused=True)
    state: tuple[Tensor, Tensor] | None = None
    done = 0

    def step() -> Tensor:
        nonlocal state, done
        read = task.read(np.zeros(1, np.uint32), done, 1, case.batch)[0, 0]
        ids = torch.from_numpy(read).long()
        logits, after = model(ids[:, :-1], state)
        loss = cross_entropy(logits.flatten(0, 1), ids[:, 1:].flatten())
        adam.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(learned, config.clip_norm)
        adam.step()
        state = None if after is None else tuple(part.detach() for part in after)
        done += 1
        return loss.detach()

    def run() -> list[Tensor]:
        return [step() for _ in range(steps)]

    values = {"loss": np.array([torch.stack(run()).mean()])}
    if state is not None:
        values["h"] = state[0][0].numpy().copy()
    count = sum(parameter.numel() for parameter in learned)
    return Ready(run, values, steps, parameters=count)
