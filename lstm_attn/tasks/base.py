"""What a task is: data made on the device, a loss, metrics, a baseline and a criterion."""

from typing import NamedTuple, Protocol

from jax import Array

from lstm_attn.errors import check_whole, unknown_name

# A fraction of right answers is a float32 mean of batch means, so .99 may come out as .9899999.
# One answer in 20,000 weighs 5e-5: this slack never lets a wrong one pass.
ACCURACY_SLACK = 1e-6


class Batch(NamedTuple):
    """inputs [B, T, D]; targets [B, T], due at each step; mask [B, T], the steps in the loss."""

    inputs: Array
    targets: Array
    mask: Array


class Task(Protocol):
    """Everything a trainer needs to know of a task. Immutable; sizes are known before tracing."""

    def __hash__(self) -> int: ...

    @property
    def name(self) -> str: ...
    @property
    def variant(self) -> str: ...
    @property
    def length(self) -> int:
        """How far the model must remember, in steps; the T of the papers."""

    @property
    def sequence_length(self) -> int:
        """Steps in a sequence: the T axis of a batch."""

    @property
    def input_features(self) -> int: ...
    @property
    def output_features(self) -> int: ...
    @property
    def baseline(self) -> float:
        """The expected loss of the best predictor without memory, in closed form."""

    @property
    def chance(self) -> float | None:
        """The accuracy of a guess at one symbol, where answers are symbols."""

    @property
    def criterion(self) -> str:
        """What `is_solved` asks for, in words."""

    def sample(self, key: Array, batch_size: int) -> Batch: ...
    def loss(self, outputs: Array, batch: Batch) -> Array: ...
    def metrics(self, outputs: Array, batch: Batch) -> dict[str, Array]:
        """Means over the batch: `loss`, `accuracy`, and what else the task measures."""

    def is_solved(self, metrics: dict) -> bool: ...


def check_variant(task: str, variant: str, known: tuple[str, ...]) -> None:
    """Raises UsageError for a variant that the task does not have."""
    if variant not in known:
        raise unknown_name(f"variant of {task}", variant, known)


def check_length(task: str, length: int, shortest: int) -> None:
    """Raises UsageError for a length at which the task cannot be posed."""
    check_whole(f"{task}: length", length, shortest)
