"""ModelConfig: sizes and choices for all models of a comparison, the `model` of a config."""

import dataclasses
import math
from collections.abc import Iterable

from lstm_attn.errors import UsageError, check_numbers, check_whole, unknown_name
from lstm_attn.modules.attention import check_heads
from lstm_attn.modules.initializers import KERNEL_INITIALIZERS
from lstm_attn.modules.positions import POSITIONS
from lstm_attn.modules.recurrent import LSTM_VARIANTS
from lstm_attn.modules.transformer import FEED_FORWARDS, NORMS

PLACEMENTS = ("over_states", "alternating")
DTYPES = ("float32", "bfloat16")
# Key -> the names that it may have.
CHOICES: dict[str, Iterable[str]] = {
    "lstm_variant": LSTM_VARIANTS,
    "kernel_init": KERNEL_INITIALIZERS,
    "recurrent_kernel_init": KERNEL_INITIALIZERS,
    "positions": POSITIONS,
    "norm": NORMS,
    "feed_forward": FEED_FORWARDS,
    "attention_placement": PLACEMENTS,
    "dtype": DTYPES,
}


@dataclasses.dataclass(frozen=True)
class ModelConfig:
    """Each key applies to the models that it names, or else to all.

    features: hidden features H of the LSTM. It sets the parameter budget: every other model has the
      width whose parameter count is nearest to the LSTM's (see `models.matched_features`).
    num_heads: attention heads; must divide features.
    num_layers: blocks of the Transformer, and of lstm_attention with alternating layers.
    lstm_variant: "standard", "peephole", "coupled" or "layer_norm".
    forget_bias: initial bias of the LSTM's forget gate.
    update_bias: initial bias of the GRU's update gate, which keeps the state.
    chrono_steps: (shortest, longest) for chrono initialisation of LSTM and GRU, instead of the two
      biases; () for none. Tallec & Ollivier have (2, T).
    kernel_init, recurrent_kernel_init: "glorot", "lecun" or "orthogonal", separately for each gate.
    reset_after: whether the GRU's reset gate acts after the recurrent product, or before it.
    positions: of the Transformer: "none", "sinusoidal", "learned", "rotary" or "alibi".
    norm: of the Transformer's blocks: "pre" or "post".
    feed_forward: of the Transformer's blocks: "gelu" or "gated".
    dropout: rate in training, after each sublayer of a Transformer block or an alternating block.
    attention_placement: of lstm_attention: "over_states" or "alternating".
    segment: steps of LSTM and GRU that back-propagation stores at a time (see `ops.lstm`), to save
      memory on long sequences; 0 for all. Results do not change.
    dtype: of products, "float32" or "bfloat16"; parameters, carries, statistics of softmax and
      norms, and the readout stay float32.
    """

    features: int = 64
    num_heads: int = 2
    num_layers: int = 2
    lstm_variant: str = "standard"
    forget_bias: float = 1.0
    update_bias: float = 0.0
    chrono_steps: tuple[float, ...] = ()
    kernel_init: str = "glorot"
    recurrent_kernel_init: str = "orthogonal"
    reset_after: bool = True
    positions: str = "sinusoidal"
    norm: str = "pre"
    feed_forward: str = "gelu"
    dropout: float = 0.0
    attention_placement: str = "over_states"
    segment: int = 0
    dtype: str = "float32"

    def __post_init__(self) -> None:
        check_numbers(self, "model.")
        for field in ("features", "num_heads", "num_layers"):
            check_whole(f"model.{field}", getattr(self, field))
        check_whole("model.segment", self.segment, 0)
        check_heads("model", self.num_heads, self.features)
        for field, known in CHOICES.items():
            if getattr(self, field) not in known:
                raise unknown_name(f"model.{field}", getattr(self, field), known)
        for field in ("forget_bias", "update_bias"):
            if not math.isfinite(getattr(self, field)):
                raise UsageError(f"model.{field}: expected finite, got {getattr(self, field)}")
        if not 0 <= self.dropout < 1:
            raise UsageError(f"model.dropout: expected 0 <= rate < 1, got {self.dropout}")
        chrono = tuple(self.chrono_steps)
        if chrono and not (len(chrono) == 2 and 1 < chrono[0] <= chrono[1] < math.inf):
            raise UsageError(
                "model.chrono_steps: expected () or (shortest, longest) with "
                f"1 < shortest <= longest, got {chrono}"
            )
