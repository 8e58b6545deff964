"""Tasks of symbols against plain Python: what is due, from what distribution, and what a guess costs.

A task added to TASKS, and a variant of one, is tested here if tests/tasks/answers.py knows its
definition, and fails if not.
"""

import functools
import itertools
import math
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lstm_attn import tasks
from lstm_attn.tasks import Batch
from tests.tasks.answers import ORACLES

# What tests/tasks/test_copy_problem.py and test_adding_problem.py are about.
ELSEWHERE = ("adding", "copy")
NAMES = [name for name in tasks.TASKS if name not in ELSEWHERE]
# The length of most sequences; small enough for counts of everything that can be drawn.
ROOMS = {
    "selective_copy": 9, "selective_copy:mamba": 2, "selective_copy:mad": 40, "mqar": 48,
    "retrieval": 6,
}  # fmt: skip
CASES = [
    f"{name}:{variant}" for name in NAMES for variant in tasks.build(name, 12).variants
]  # fmt: skip
FULL, SHORTER = 1600, 400  # sequences of the room's length, and of all lengths
SOME = (
    "selective_copy:slots", "modular_arithmetic:standard", "flip_flop:p80", "mqar:overwriting",
    "induction:standard", "retrieval:standard", "words:S3",
)  # fmt: skip


def each_of(cases):
    marked = [pytest.param(c, marks=() if c in SOME else pytest.mark.full) for c in cases]
    return pytest.mark.parametrize("case", marked)


each_case = each_of(CASES)


def task_of(case):
    name = case.partition(":")[0]
    return tasks.build(case, ROOMS.get(case, ROOMS.get(name, 12)))


def wrong_at(shape):
    """Where the answers of a made-up model are wrong, [B, T]."""
    return (np.arange(shape[0])[:, None] + np.arange(shape[1])) % 3 == 0


@functools.cache
def drawn(case):
    """The task, a batch of numpy arrays, its symbols, and the metrics of a made-up model."""
    task = task_of(case)
    spread = task.least_length + np.arange(SHORTER) % (task.length - task.least_length + 1)
    lengths = np.concatenate([np.full(FULL, task.length), spread]).astype(np.int32)

    @jax.jit
    def run(key, lengths):
        batch = task.sample_within(key, lengths)
        wrong = wrong_at(batch.mask.shape)
        wrong = wrong.reshape(wrong.shape + (1,) * (batch.targets.ndim - 2))
        classes = task.output_features // math.prod(batch.targets.shape[2:])
        answers = jnp.where(wrong, (batch.targets + 1) % classes, batch.targets)
        outputs = 20 * jax.nn.one_hot(answers, classes, dtype=jnp.float32)
        outputs = outputs.reshape(*batch.mask.shape, task.output_features)
        return batch, task.metrics(outputs, batch)

    batch, metrics = jax.device_get(run(jax.random.key(7), lengths))
    symbols = np.where(batch.inputs.any(axis=-1), batch.inputs.argmax(axis=-1), -1)
    return task, lengths, Batch(*batch), symbols, metrics


def real(row):
    """The symbols of a sequence without its padding, which is at its end."""
    count = int((row >= 0).sum())
    assert (row[:count] >= 0).all()
    return row[:count]


@each_case
def test_what_is_due_follows_from_the_symbols(case):
    """Oracle: tests/tasks/answers.py, by another algorithm. Catches a target that is not the answer,
    one at another step, a mask that misses one, and padding that is not empty."""
    task, _, batch, symbols, _ = drawn(case)
    name = case.partition(":")[0]
    np.testing.assert_array_equal(batch.inputs.sum(axis=-1), symbols >= 0)
    assert batch.inputs.shape == (FULL + SHORTER, task.sequence_length, task.input_features)
    assert (batch.inputs.dtype, batch.targets.dtype, batch.mask.dtype) == (
        np.float32, np.int32, bool,
    )  # fmt: skip
    assert not batch.targets[~batch.mask].any()
    for row, targets, mask in zip(symbols, batch.targets, batch.mask, strict=True):
        shown = real(row).tolist()
        due = ORACLES[name].answers(shown, task, np.flatnonzero(mask).tolist())
        assert [answer is not None for answer in due] == mask[: len(shown)].tolist()
        assert not mask[len(shown) :].any()
        for step in np.flatnonzero(mask):
            np.testing.assert_array_equal(targets[step], due[step])


@each_case
def test_sequences_are_as_long_as_asked(case):
    """Oracle: the definitions' lengths. Catches padding that is one step short."""
    _, lengths, _, symbols, _ = drawn(case)
    extra = {"selective_copy:mamba": 32, "induction:standard": 1}.get(case, 0)
    steps = lengths + extra
    if case.startswith("retrieval"):
        steps = 2 * lengths + 3
    if case.startswith("flip_flop"):
        steps = lengths // 2 * 2
    if case.startswith("modular"):
        steps = (lengths + 1) // 2 * 2 - 1
    np.testing.assert_array_equal((symbols >= 0).sum(axis=1), steps)


def check_counts(values, probabilities):
    """The chi-square statistic of independent draws of 0, 1, ..., at six deviations of its law."""
    probabilities = np.asarray(probabilities, float)
    values = np.asarray(values).ravel()
    assert values.min() >= 0
    counts = np.bincount(values, minlength=len(probabilities))
    assert len(counts) == len(probabilities)
    expected = values.size * probabilities / probabilities.sum()
    assert expected.min() > 5
    freedom = len(counts) - 1
    statistic = ((counts - expected) ** 2 / expected).sum()
    assert statistic < freedom + 6 * math.sqrt(2 * freedom), counts


def uniform(count):
    return np.ones(count)


def laws_of_letters(task, symbols, batch):
    kind = task.kind
    body = symbols if task.has_slots else symbols[:, : -kind.letters]
    shown = (body != kind.blank) & (body != 15)
    yield body[shown] - kind.first, uniform(kind.kinds)
    places = [tuple(np.flatnonzero(row)) for row in shown]
    if task.variant == "mad":
        before = np.diff(np.insert(places, 0, -1, axis=1), axis=1) - 1
        yield np.repeat(np.tile(np.arange(16), len(before)), before.ravel()), uniform(16)
    else:
        sets = itertools.combinations(range(body.shape[1]), kind.letters)
        number = {chosen: index for index, chosen in enumerate(sets)}
        yield [number[chosen] for chosen in places], uniform(len(number))


def laws_of_strings(task, symbols, batch):
    count = task.input_features
    yield symbols, uniform(count)
    yield symbols[:, :-1:2] * count + symbols[:, 1::2], uniform(count**2)


def laws_of_arithmetic(task, symbols, batch):
    yield symbols[:, ::2], uniform(5)
    yield symbols[:, 1::2] - 5, uniform(3)
    yield symbols[:, 0] * 5 + symbols[:, -1], uniform(25)


def laws_of_flip_flop(task, symbols, batch):
    ignored = {"p80": 0.8, "p98": 0.98, "p10": 0.1}[task.variant]
    kinds, bits = symbols[:, ::2], symbols[:, 1::2] - 3
    yield kinds[:, 1:-1], [(1 - ignored) / 2, (1 - ignored) / 2, ignored]
    yield bits[kinds != 1], uniform(2)


def laws_of_recall(task, symbols, batch):
    pairs, half = 3, 128
    updates = 2 if task.variant == "overwriting" else 0
    begin = 2 * (pairs + updates)
    keys, values = symbols[:, : 2 * pairs : 2], symbols[:, 1 : 2 * pairs : 2]
    yield keys - 1, uniform(half - 1)
    yield values - half, uniform(half)
    filler = np.ones(symbols.shape, bool)
    filler[:, :begin] = False
    yield symbols[filler & ~batch.mask], uniform(2 * half)
    space = (task.length - begin) // 2
    weight = uniform(space) if task.variant == "uniform" else np.arange(1, space + 1) ** -0.99
    p = weight / weight.sum()
    asked = symbols[:, None, begin::2] == keys[..., None]
    asked &= batch.mask[:, None, begin::2]
    gaps = asked.argmax(axis=-1)  # [B, pairs], counted from 0 by twos
    yield gaps[:, 0], p
    yield gaps[:, 1], [sum(p[i] * p[j] / (1 - p[i]) for i in range(space) if i != j) for j in range(space)]  # fmt: skip
    if updates:
        again = symbols[:, 2 * pairs : begin : 2][:, :, None] == keys[:, None]
        which = again.argmax(axis=-1)  # [B, 2] of three
        ordered = {pair: index for index, pair in enumerate(itertools.permutations(range(3), 2))}
        yield [ordered[pair] for pair in map(tuple, which.tolist())], uniform(6)
        new = symbols[:, 2 * pairs + 1 : begin : 2]
        yield (new - np.take_along_axis(values, which, axis=1)) % half - 1, uniform(half - 1)


def laws_of_induction(task, symbols, batch):
    place = (symbols == 15).argmax(axis=1)
    yield place, uniform(task.length - 2)
    yield symbols[symbols != 15], uniform(14)
    yield batch.targets[:, -1], uniform(14)


def laws_of_retrieval(task, symbols, batch):
    yield symbols[:, 0], uniform(26)
    yield symbols[:, 1:-3:2] - 26, uniform(10)
    yield (symbols[:, :-3:2] == symbols[:, -1:]).argmax(axis=1), uniform(task.length)


LAWS = {
    "selective_copy": laws_of_letters,
    "parity": laws_of_strings,
    "even_pairs": laws_of_strings,
    "cycle_navigation": laws_of_strings,
    "modular_arithmetic": laws_of_arithmetic,
    "flip_flop": laws_of_flip_flop,
    "mqar": laws_of_recall,
    "induction": laws_of_induction,
    "retrieval": laws_of_retrieval,
    "words": lambda task, symbols, batch: [(symbols, uniform(task.input_features))],
}


@each_case
def test_what_is_drawn_has_the_published_distribution(case):
    """Oracle: the definitions' laws, by chi-square of sequences of full length. Catches an end of a
    range that is never drawn, gaps that are not by the power law, and places of one half alone."""
    task, _, batch, symbols, _ = drawn(case)
    full = Batch(*(array[:FULL] for array in batch))
    for values, probabilities in LAWS[task.name](task, symbols[:FULL], full):
        check_counts(values, probabilities)


def guess(task, symbols):
    """The best probabilities of a model that sees one symbol, [B, T, O]; uniform on what an answer
    may be, and certain where the symbol is the answer."""
    shape = *symbols.shape, task.output_features
    if task.name == "selective_copy" and task.has_slots:
        known = np.zeros((*symbols.shape, task.kind.letters, 8)) + 1 / 8
        at, last = symbols[:, -1] > 0, symbols[:, -1]
        known[at, -1, -1] = np.eye(8)[last[at] - 1]
        return known.reshape(shape)
    of_variant = {"mamba": (1, 15), "mad": (0, 14)}
    of_task = {"mqar": (128, 256), "induction": (0, 14), "retrieval": (26, 36)}
    first, end = of_variant.get(task.variant) or of_task.get(task.name, (0, task.output_features))
    probabilities = np.zeros(shape)
    probabilities[..., first:end] = 1
    if task.name == "words":
        probabilities[:, 0] = np.eye(task.order)[symbols[:, 0]]
    return probabilities / probabilities.sum(axis=-1, keepdims=True)


@each_of([case for case in CASES if not case.startswith(("cycle", "modular"))])
def test_a_guess_costs_the_baseline(case):
    """Oracle: the loss and accuracy of the best model without memory on what was drawn, at five
    standard errors. Catches a baseline of another number of choices, and a loss over other steps."""
    task, _, batch, symbols, _ = drawn(case)
    few = FULL // 4
    full = Batch(*(jnp.asarray(array[:few]) for array in batch))
    probabilities = guess(task, symbols[:few])
    outputs = np.log(np.maximum(probabilities, 1e-30)).astype(np.float32)
    # A made-up order among what is equally likely, so that the accuracy is not of one symbol.
    outputs += 1e-5 * np.random.default_rng(0).random(outputs.shape, np.float32)
    metrics = jax.device_get(task.metrics(jnp.asarray(outputs), full))
    assert float(task.loss(jnp.asarray(outputs), full)) == pytest.approx(metrics["loss"], rel=1e-6)
    answers = int(batch.mask[:few].sum()) * math.prod(batch.targets.shape[2:])
    rate = task.accuracy_without_memory
    slack = 5 * math.sqrt(rate * (1 - rate) / answers)
    assert metrics["accuracy"] == pytest.approx(rate, abs=slack)
    known = rate - task.chance
    assert metrics["loss"] == pytest.approx(
        task.baseline, abs=1e-4 + (slack * task.baseline if known > 1e-9 else 0)
    )


@pytest.mark.parametrize("name", ["parity", "even_pairs", "cycle_navigation", "modular_arithmetic"])
def test_the_baseline_of_a_language_is_that_of_all_its_strings(name):
    """Oracle: every string of a length, its answer in plain Python, and the entropy of the answer
    given the last symbol. Catches a distribution that is one step ahead, and a uniform one."""
    for length in range(tasks.TASKS[name](length=9).least_length, 7 if name != "parity" else 5):
        task = tasks.build(name, length)
        steps = task.sequence_length
        counts = np.zeros((task.input_features, task.output_features))
        choices = [range(task.input_features)] * steps
        if name == "modular_arithmetic":
            choices = [(range(5), range(5, 8))[step % 2] for step in range(steps)]
        for string in itertools.product(*choices):
            answer = ORACLES[name].answers(list(string), task, [])[-1]
            counts[string[-1], answer] += 1
        p = counts[counts.any(axis=1)]
        p /= p.sum(axis=1, keepdims=True)
        entropies = -(p * np.log(np.where(p > 0, p, 1))).sum(axis=1)
        assert task.baseline == pytest.approx(entropies.mean(), rel=1e-9)
        assert task.accuracy_without_memory == pytest.approx(p.max(axis=1).mean(), rel=1e-9)
        assert task.baseline > 0


@each_case
def test_counts_are_by_gap_and_load(case):
    """Oracle: each answer's gap in plain Python. Catches a gap from the key and not from the value,
    an octave that is off by one, and a ratio in place of counts."""
    task, lengths, batch, symbols, metrics = drawn(case)
    name = case.partition(":")[0]
    of_gap = ORACLES[name].gap
    assert ("due_by_gap" in metrics) == (of_gap is not None)
    wrong = wrong_at(batch.mask.shape)
    if of_gap is not None:
        due, right = np.zeros((2, len(metrics["due_by_gap"])))
        for b, (row, mask) in enumerate(zip(symbols, batch.mask, strict=True)):
            for step in np.flatnonzero(mask):
                octave = int(math.log2(of_gap(real(row).tolist(), step, task)))
                due[octave] += 1
                right[octave] += not wrong[b, step]
        np.testing.assert_allclose(metrics["due_by_gap"] * len(symbols), due, rtol=1e-5)
        np.testing.assert_allclose(metrics["right_by_gap"] * len(symbols), right, rtol=1e-5)
        with np.errstate(invalid="ignore"):
            expected = right / due
        np.testing.assert_allclose(tasks.accuracy_by("gap", metrics), expected, rtol=1e-5)
    if "due_by_load" in metrics:
        load = lengths if name == "retrieval" else np.maximum(1, lengths // 16)
        asked = np.ones_like(load) if name == "retrieval" else load
        expected = np.bincount(np.log2(load).astype(int), asked) / len(lengths)
        np.testing.assert_allclose(metrics["due_by_load"], expected, rtol=1e-5)
    answered = batch.mask & ~wrong
    assert metrics["accuracy"] == pytest.approx(answered.sum() / batch.mask.sum(), rel=1e-5)


def test_letters_are_counted_by_place_and_by_sequence():
    """Oracle: by hand. The third of four letters is wrong in one of two sequences. Catches the places
    turned round, and sequences counted right for most of their letters."""
    task = tasks.build("selective_copy", 9)
    batch = jax.jit(task.sample, static_argnums=1)(jax.random.key(0), 2)
    answers = batch.targets.at[1, -1, 2].set((batch.targets[1, -1, 2] + 1) % 8)
    metrics = task.metrics(20 * jax.nn.one_hot(answers, 8).reshape(2, 9, 32), batch)
    np.testing.assert_allclose(metrics["accuracy_by_position"], [1, 1, 0.5, 1])
    assert float(metrics["accuracy"]) == 7 / 8
    assert float(metrics["sequence_accuracy"]) == 0.5
    assert float(metrics["loss"]) == pytest.approx(20 / 8, rel=1e-4)


EXAMPLES = {
    "selective_copy": [("slots", {}), ("mamba", {}), ("mad", {})],
    "mqar": [
        ("power_law", {"length": 16, "pairs": 2, "vocabulary": 12, "random_filler": False}),
        ("overwriting", {"length": 12, "pairs": 2, "vocabulary": 12, "random_filler": False}),
    ],
    "flip_flop": [("p80", {})],
    "words": [("S3", {})],
}
ROW = re.compile(r"^ +input +(.+)\n +target +(.+)$", re.MULTILINE)


@pytest.mark.parametrize("name", NAMES)
def test_the_examples_of_a_docstring_are_right(name):
    """Oracle: tests/tasks/answers.py. Catches an example that the definition does not give."""
    kind = tasks.TASKS[name]
    rows = ROW.findall(kind.__doc__)
    examples = EXAMPLES.get(name, [("standard", {})])
    assert len(rows) == len(examples) > 0
    for (variant, fields), (shown, due) in zip(examples, rows, strict=True):
        options = {"length": 40, **fields} if name != "retrieval" else {"length": 4}
        if variant != "standard":
            options["variant"] = variant
        symbols = [int(s) for s in shown.split()]
        expected = [
            None if answer == "-" else tuple(map(int, answer.split(","))) for answer in due.split()
        ]
        answers = ORACLES[name].answers(symbols, kind(**options), [])
        found = [(a,) if isinstance(a, int) else a for a in answers]
        assert found == expected


def test_mqar_without_filler_has_zeros():
    """Oracle: `multiquery_ar` with random_non_queries off, of which nothing but keys and values is
    left. Catches filler that stays, and pairs of another number."""
    task = tasks.Mqar(22, "overwriting", pairs=3, vocabulary=24, random_filler=False)
    batch = jax.device_get(jax.jit(task.sample, static_argnums=1)(jax.random.key(1), 200))
    for row, targets in zip(batch.inputs.argmax(-1).tolist(), batch.targets.tolist(), strict=True):
        due = ORACLES["mqar"].answers(row, task, [])
        assert [answer or 0 for answer in due] == targets
    with pytest.raises(ValueError, match="^mqar: vocabulary: expected at least 24 for 11 pairs"):
        tasks.Mqar(44, pairs=11, vocabulary=23)
    with pytest.raises(ValueError, match="^mqar: length: expected at least 12, got 11"):
        tasks.Mqar(11, pairs=3)


@pytest.mark.parametrize(
    ("name", "length", "least"),
    [("selective_copy:slots8", 7, 8), ("selective_copy:mad", 33, 34), ("mqar:overwriting", 5, 6),
     ("modular_arithmetic", 2, 3), ("parity", 1, 2), ("induction", 2, 3), ("flip_flop", 3, 4)],
)  # fmt: skip
def test_a_length_that_cannot_be_is_one_line(name, length, least):
    """Catches a task without an answer, which would train on nothing."""
    message = f"^{name.partition(':')[0]}: length: expected at least {least}, got {length}$"
    with pytest.raises(ValueError, match=message):
        tasks.build(name, length)


def test_more_pairs_than_letters_are_one_line():
    """Catches letters that come twice."""
    with pytest.raises(
        ValueError, match="^retrieval: length: expected at most 26, a letter a pair"
    ):
        tasks.build("retrieval", 27)
