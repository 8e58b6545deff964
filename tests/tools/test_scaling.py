"""The cost model: its work against JAX's and XLA's own counts, its seconds against sums by hand."""

import dataclasses
import math

import jax
import pytest

from lstm_attn import models, tasks
from lstm_attn.errors import UsageError
from lstm_attn.ops import dispatch
from tools import scaling
from tools.scaling import Link, Mesh, Workload
from tools.scaling.seconds import all_reduce_seconds, roofline
from tools.scaling.workload import Operation

BATCH, LENGTH = 3, 7


def workload(name, config, implementation="scan", batch=BATCH, length=LENGTH, **more):
    task = tasks.adding(length)
    width = models.matched_features(name, task, config)
    return Workload(
        name, width, batch, length, task.input_features, task.output_features,
        implementation=implementation, config=config, **more,
    )  # fmt: skip


def gradients_of(load):
    """The loss and its gradients as a function, and the shapes of its arguments."""
    task = tasks.adding(load.length)
    model = models.build(load.model, task, load.config)
    params = jax.eval_shape(model.init, jax.random.key(0))
    batch = jax.eval_shape(lambda key: task.sample(key, load.batch), jax.random.key(0))

    def gradients(params, batch):
        return jax.value_and_grad(
            lambda params: task.loss(model.apply(params, batch.inputs), batch)
        )(params)

    return gradients, params, batch


def products(jaxpr):
    """Flops of all products of a program, those inside a scan as often as it is run."""
    total = 0
    for equation in jaxpr.eqns:
        if equation.primitive.name == "dot_general":
            (summed, _), _ = equation.params["dimension_numbers"]
            inner = math.prod(equation.invars[0].aval.shape[axis] for axis in summed)
            total += 2 * inner * math.prod(equation.outvars[0].aval.shape)
        times = equation.params["length"] if equation.primitive.name == "scan" else 1
        for value in equation.params.values():
            for part in value if isinstance(value, tuple | list) else [value]:
                part = getattr(part, "jaxpr", part)
                if hasattr(part, "eqns"):
                    total += times * products(part)
    return total


@pytest.fixture
def as_on_accelerators(monkeypatch):
    """`auto` chooses as where nothing was measured; or the given implementation."""
    monkeypatch.setattr(dispatch, "CHUNKED_FROM", {})
    monkeypatch.setattr(dispatch, "NATIVE_FROM", {})

    def take(implementation):
        chosen = {"cpu": (implementation,)} if implementation != "scan" else {}
        monkeypatch.setattr(dispatch, "MEASURED", chosen)

    return take


CASES = [
    ("lstm", "scan", {}),
    ("lstm", "fused", {}),
    ("gru", "scan", {}),
    ("gru", "fused", {}),
    ("transformer", "scan", {"positions": "learned", "num_layers": 1}),
    ("transformer", "scan", {}),
    ("lstm_attention", "scan", {}),
]


@pytest.mark.full_but("lstm-fused-choices1", "gru-scan-choices2", "transformer-scan-choices5")
@pytest.mark.parametrize(("name", "implementation", "choices"), CASES)
def test_flops_and_parameters_are_those_of_the_program(
    name, implementation, choices, as_on_accelerators
):
    """Oracle: products in JAX's own program of loss and gradients, scans unrolled in the count, and
    the shapes of the model that is trained; both exactly. Catches a gradient of the data that nobody
    computes, a product that is forgotten or counted once a scan, a model without its readout."""
    as_on_accelerators(implementation)
    load = workload(name, models.ModelConfig(8, **choices), implementation)
    gradients, params, batch = gradients_of(load)
    counted = products(jax.make_jaxpr(gradients)(params, batch).jaxpr)
    assert sum(operation.flops for operation in load.operations()) == counted
    leaves = jax.tree.leaves(params)
    assert load.parameters == sum(math.prod(leaf.shape) for leaf in leaves)


@pytest.mark.parametrize(("name", "length", "counted"), [("transformer", 16, 16), ("lstm", 2, 1)])
def test_flops_are_about_those_that_xla_counts(name, length, counted, as_on_accelerators):
    """Oracle: XLA's cost analysis, which counts sums and products by number too, a tenth here, and
    a scan's body once: one of two steps. Catches a multiply-add taken for one operation."""
    as_on_accelerators("scan")
    load = workload(name, models.ModelConfig(96), batch=8, length=length)
    gradients, params, batch = gradients_of(load)
    by_xla = jax.jit(gradients).lower(params, batch).cost_analysis()["flops"]
    ours = sum(op.flops for op in dataclasses.replace(load, length=counted).operations())
    assert 0.8 < ours / by_xla < 1


def test_memory_for_the_backward_pass_is_what_xla_allocates(as_on_accelerators, compiled_quickly):
    """Oracle: XLA's account of temporary memory, its growth from one length to another. Catches
    gates that are left out, and numbers counted as bytes."""
    as_on_accelerators("scan")
    loads = [workload("lstm", models.ModelConfig(16), batch=16, length=at) for at in (20, 40)]
    temporary, kept = [], []
    for load in loads:
        gradients, params, batch = gradients_of(load)
        compiled = jax.jit(gradients).lower(params, batch).compile()
        temporary.append(compiled.memory_analysis().temp_size_in_bytes)
        kept.append(sum(operation.kept for operation in load.operations()))
    assert kept[1] - kept[0] == pytest.approx(temporary[1] - temporary[0], rel=0.15)


MACHINE = scaling.Machine(
    "by hand",
    {"float32": 100.0, "bfloat16": 400.0},
    functions_per_second=10.0,
    bytes_per_second=20.0,
    cache_bytes=50,
    cache_bytes_per_second=80.0,
    memory_bytes=1e12,
    launch_seconds=0.5,
    links=(Link(4, 10.0, 1.0), Link(8, 2.0, 3.0, ring=True)),
)


def test_an_operation_takes_what_its_slower_side_takes():
    """Oracle: by hand: 200 / 100 + 10 / 10 = 3 s over 2 s; 80 bytes at 20 or, cached, at 80 a
    second. Catches a sum for the maximum, a cache that holds everything, launches forgotten."""
    computing = Operation("a", flops=200, functions=10, bytes=40, reused=60, launches=2)
    moving = Operation("b", flops=10, bytes=80, reused=60)
    cached = moving._replace(reused=50)
    assert roofline([computing], MACHINE, "float32") == (3, 0, 1, 0)
    assert roofline([moving], MACHINE, "float32") == (0, 4, 0, 0)
    assert roofline([cached], MACHINE, "float32") == (0, 1, 0, 0)
    both = roofline([computing, moving], MACHINE, "bfloat16")
    # In bfloat16 it still takes 200 / 400 + 1 s; its 40 bytes, which no cache holds, take 2.
    assert both == (0, 2 + 4, 1, 0)
    assert roofline([computing, moving], MACHINE, "float32").limit == "memory"


def test_collectives_are_what_rings_and_switches_take():
    """Oracle: by hand. 4 devices: 3 messages of 100 / 4 bytes at 10 a second, and log2 4 hops. 16:
    also 4 of a ring of 8, not closed, on a quarter: 3 x 25 / 4 bytes at half of 2 a second, 3 hops
    of 3 s; 32 close it: 7 x 25 / 8 at 2 a second, 4 hops.
    Catches S for S / n, the outer level at the inner one's size, one pass for a reduction."""
    inner = 3 * 25 / 10 + 2 * 1
    outer, closed = 3 * (25 / 4) / 1 + 3 * 3, 7 * (25 / 8) / 2 + 4 * 3
    assert all_reduce_seconds(100, 1, MACHINE.links) == 0
    assert all_reduce_seconds(100, 4, MACHINE.links) == 2 * inner
    assert all_reduce_seconds(100, 16, MACHINE.links) == 2 * (inner + outer)
    assert all_reduce_seconds(100, 32, MACHINE.links) == 2 * (inner + closed)


def test_trials_do_not_meet_and_parts_of_a_batch_reduce_once():
    """Oracle: identities: two trials on two devices take what one on one takes; collectives of a
    split batch are one reduction of the gradients, however often they are accumulated. Catches a
    reduction between trials, one an accumulation step, and launches that grow with trials."""
    load = workload("lstm", models.ModelConfig(8), batch=8)
    two = dataclasses.replace(load, trials=2)
    alone = scaling.step(load, MACHINE).seconds
    assert scaling.step(two, MACHINE, Mesh(2, 1)).seconds == alone
    together = scaling.step(two, MACHINE).seconds
    assert together.latency == alone.latency
    in_turn = dataclasses.replace(MACHINE, batched_trials=False)
    assert scaling.step(two, in_turn).seconds.total == pytest.approx(2 * alone.total)
    once = all_reduce_seconds(4 * load.parameters, 4, MACHINE.links)
    accumulated = dataclasses.replace(load, accumulation_steps=2)
    for each in (load, accumulated):
        assert scaling.step(each, MACHINE, Mesh(1, 4)).seconds.collectives == once


def test_accumulation_keeps_less_and_computes_the_same():
    """Oracle: equal flops, a quarter of what is kept, four times the launches. Catches the work of
    one microbatch counted as that of all."""
    whole = workload("transformer", models.ModelConfig(8), batch=8)
    parts = dataclasses.replace(whole, accumulation_steps=4)
    both = [load.operations() for load in (whole, parts)]
    flops, kept, launches = (
        [sum(getattr(operation, field) for operation in each) for each in both]
        for field in ("flops", "kept", "launches")
    )
    assert flops[0] == flops[1]
    assert kept[0] == 4 * kept[1]
    assert launches[1] == 4 * launches[0]


def test_the_best_mesh_splits_trials_first_and_cuts_a_batch_that_does_not_fit():
    """Oracle: trials need no network, so with as many devices they win; with memory for half of
    what is kept, two microbatches. Catches the first mesh tried, and a step that cannot run."""
    load = workload("lstm", models.ModelConfig(8), batch=8, trials=4)
    chosen = scaling.best(load, MACHINE, 4)
    assert chosen.mesh == Mesh(4, 1)
    one = dataclasses.replace(load, trials=1)
    whole = scaling.step(one, MACHINE)
    small = dataclasses.replace(MACHINE, memory_bytes=0.75 * whole.bytes)
    assert scaling.best(one, small, 1).accumulation_steps == 2
    assert scaling.best(one, dataclasses.replace(MACHINE, memory_bytes=1), 1) is None


@pytest.mark.parametrize(
    ("change", "mesh", "message"),
    [
        ({"model": "lsmt"}, Mesh(), "unknown model 'lsmt': did you mean lstm"),
        ({}, Mesh(1, 5), "batch: expected a multiple of devices x accumulation_steps = 5, got 8"),
        ({}, Mesh(2, 1), "trials: expected a multiple of the mesh's 2, got 1"),
        ({"batch": 64}, Mesh(1, 64), "devices: expected at most 32, as the links join, got 64"),
        ({"batch": 6}, Mesh(1, 6), "devices: expected a multiple of 4, got 6"),
        (
            {"config": models.ModelConfig(norm="post")},
            Mesh(),
            "norm: expected 'pre', got 'post'",
        ),
    ],
)
def test_what_does_not_fit_is_one_line(change, mesh, message):
    """Catches a prediction for what the cost model does not describe."""
    given = {"model": "lstm", "features": 4, "batch": 8, "length": 5, "inputs": 2, "outputs": 1}
    with pytest.raises(UsageError) as error:
        scaling.step(Workload(**{**given, **change}), MACHINE, mesh)
    assert message in str(error.value)
