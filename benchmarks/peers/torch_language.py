"""Language models of torch.nn in a plain loop, on all cores, denormals flushed."""

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from benchmarks import language
from benchmarks.contenders import Ready, cores
from benchmarks.workloads import LanguageModel
from lstm_attn import interop

# Before any threads start, as in benchmarks.peers.torch.
torch.set_flush_denormal(True)
torch.set_num_threads(cores())


class Recurrent(nn.Module):
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


class Transformer(nn.Module):
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


def recurrent(case: LanguageModel, steps: int) -> Ready:
    """Starts from our parameters, so that losses and states can be compared with ours."""
    program, task = language.program(case, steps)
    params = program.start().params
    ours = {name: {key: np.array(leaf[0]) for key, leaf in part.items()}
            for name, part in params.items()}  # fmt: skip
    model = Recurrent(task.output_features, case.features)
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


def transformer(case: LanguageModel, steps: int) -> Ready:
    """As wide as ours, with as many layers and heads; positions are learned, ours are rotary."""
    task, config = language.task(case), language.model_config(case)
    torch.manual_seed(0)
    width = language.width(case, task)
    heads, layers = config.num_heads, config.num_layers
    model = Transformer(task.output_features, width, heads, layers, case.length)
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
    return Ready(run, values, steps, work=language.work(case, task), parameters=count)
