"""Gradient norms against closed forms and finite differences; their summary by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lstm_attn import models, tasks
from lstm_attn.analysis import gradient_norms, norms_of_trials, reach
from lstm_attn.analysis.gradient_reach import Start, compare_starts
from lstm_attn.errors import UsageError
from lstm_attn.models import MODELS, Model, ModelConfig
from lstm_attn.tasks import Batch
from tests.modules.test_hidden_states import in_float64

OPEN = 40.0  # a bias at which a sigmoid is 1 in float32


def one_unit(name, task, **options):
    """A model of one feature with all parameters zero, to be filled in."""
    model = models.build(name, task, ModelConfig(features=1, num_heads=1, **options))
    shapes = jax.eval_shape(model.init, jax.random.key(0))
    return model, jax.tree.map(lambda like: np.zeros(like.shape, np.float32), shapes)


def jitted_norms(model, params, task, batch):
    return jax.jit(lambda p, b: gradient_norms(model, p, task, b))(params, batch)


def silent(task, batch_size=1):
    """Zero inputs, where tanh(x) = x, and a target that the output misses by one half."""
    shape = (batch_size, task.length)
    inputs = jnp.zeros((*shape, 2))
    return Batch(inputs, jnp.full(shape, 0.5), jnp.ones(shape, bool))


@pytest.mark.parametrize("keep", [0.5, 0.9, 1.0])
def test_an_lstm_of_pinned_gates_forgets_at_its_own_rate(keep):
    """Closed form. Gates held by their biases, i = o = 1, f = keep: |dL/dx_t| = 2 |error| w v f^lag,
    constant where f = 1. Catches lags counted from the wrong end, and small norms rounded to 0."""
    task = tasks.adding(120)
    model, params = one_unit("lstm", task)
    forget = OPEN if keep == 1 else np.log(keep / (1 - keep))
    params["body"]["bias"][:] = [OPEN, forget, 0, OPEN]
    params["body"]["kernel"][:, 2] = [0.3, 0.4]  # the candidate alone: norm .5
    params["readout"]["kernel"][:] = 2.0
    norms = jitted_norms(model, params, task, silent(task))["inputs"][0]
    # In float32 keep itself is known to 1e-7, so its 119th power to 1e-5.
    np.testing.assert_allclose(norms, 2 * 0.5 * 0.5 * 2.0 * keep ** np.arange(120.0), rtol=1e-4)


def test_an_lstm_whose_candidate_reads_h_has_the_gradient_of_its_linear_recurrence():
    """Closed form. c_t = f c_{t-1} + u h_{t-1}, h = c near zero, so that d L / d c has the rate f +
    u, and |dL/dh| is w at lag 0 and w u (f + u)^(lag - 1) before it, as h acts through u alone.
    Catches a change of h that later steps do not see, and one that changes c too."""
    task, keep, u = tasks.adding(30), 0.75, 0.125
    model, params = one_unit("lstm", task)
    params["body"]["bias"][:] = [OPEN, np.log(3), 0, OPEN]
    params["body"]["recurrent_kernel"][:, 2] = u
    params["readout"]["kernel"][:] = 1.0
    norms = jitted_norms(model, params, task, silent(task))["body"][0]
    expected = np.array([1, *(u * (keep + u) ** np.arange(29))])
    np.testing.assert_allclose(norms, expected, rtol=1e-5)


@pytest.mark.parametrize("keep", [0.5, 0.9])
def test_a_gru_without_recurrent_kernel_is_a_linear_recurrence(keep):
    """Closed form: h_t = z h_{t-1} + (1 - z) n(x_t) with z held, so |dL/dh| = |dL/dh_T| z^lag and
    |dL/dx| = (1 - z) v of that. Catches a derivative without the path through the carry."""
    task = tasks.adding(120)
    model, params = one_unit("gru", task)
    width = params["readout"]["kernel"].shape[0]
    params["body"]["bias"][width : 2 * width] = np.log(keep / (1 - keep))
    params["body"]["kernel"][:, 2 * width] = [0.3, 0.4]
    params["readout"]["kernel"][0] = 3.0
    norms = jitted_norms(model, params, task, silent(task))
    expected = 3.0 * keep ** np.arange(120.0)
    np.testing.assert_allclose(norms["body"][0], expected, rtol=1e-4)
    np.testing.assert_allclose(norms["inputs"][0], 0.5 * (1 - keep) * expected, rtol=1e-4)


@pytest.mark.full_but("lstm-adding", "transformer-adding")
@pytest.mark.parametrize(
    ("name", "task"),
    [*((name, tasks.adding(6)) for name in MODELS), ("gru", tasks.copy(1))],
    ids=lambda value: getattr(value, "name", value),
)
def test_gradients_of_inputs_are_finite_differences(name, task, float64, monkeypatch):
    """Oracle: central differences of each sequence's own loss at its last step, through
    `Model.apply`. Catches gradients of the mean over sequences, and losses of other steps."""
    model, params = in_float64(monkeypatch, name, task)
    batch = task.sample(jax.random.key(0), 2)
    targets = batch.targets if task.name == "copy" else batch.targets.astype(jnp.float64)
    batch = batch._replace(inputs=batch.inputs.astype(jnp.float64), targets=targets)
    norms = jitted_norms(model, params, task, batch)["inputs"]
    length = task.sequence_length
    last = np.arange(length)[None] == length - 1
    place = jnp.arange(batch.inputs[0].size)

    @jax.jit
    def differences(one):
        def loss(index, sign):
            moved = one.inputs.reshape(-1).at[index].add(sign * 1e-5).reshape(one.inputs.shape)
            return task.loss(model.apply(params, moved), one)

        return (
            jax.vmap(lambda n: loss(n, 1))(place) - jax.vmap(lambda n: loss(n, -1))(place)
        ) / 2e-5

    for row in range(2):
        one = jax.tree.map(lambda leaf, row=row: leaf[row : row + 1], batch)._replace(mask=last)
        gradient = np.asarray(differences(one)).reshape(length, -1)
        expected = np.sqrt((gradient**2).sum(axis=1))[::-1]
        np.testing.assert_allclose(norms[row], expected, rtol=1e-5, atol=1e-9)


def test_trials_are_measured_each_with_its_own_parameters():
    """Identity with one trial after another. Catches trials exchanged or averaged."""
    task = tasks.adding(5)
    model = models.build("lstm_attention", task, ModelConfig(features=4))
    shapes = jax.eval_shape(model.init, jax.random.key(0))
    rng = np.random.default_rng(0)
    stacked = jax.tree.map(
        lambda like: rng.normal(size=(3, *like.shape)).astype(np.float32), shapes
    )
    together = norms_of_trials(model, stacked, task, sequences=7, seed=1)
    batch = task.sample(jax.random.key(1), 7)
    one_trial = jax.jit(lambda params: gradient_norms(model, params, task, batch))
    for trial in range(3):
        params = jax.tree.map(lambda leaf, trial=trial: leaf[trial], stacked)
        alone = one_trial(params)
        assert alone.keys() == together.keys() == {"inputs", "body/lstm"}
        for name, norms in alone.items():
            np.testing.assert_allclose(together[name][trial], norms, rtol=1e-5)


def test_a_model_of_init_and_apply_alone_has_its_inputs_when_asked():
    """Closed form: outputs that are sums of inputs so far have gradients of equal norm. Catches a
    missing h_t that is not reported, and a notebook's model refused."""
    task = tasks.adding(6)
    model = Model(lambda key: {}, lambda params, x: jnp.cumsum(x, axis=1)[..., :1])
    with pytest.raises(ValueError, match=r"^model: expected one that shows its hidden states"):
        gradient_norms(model, {}, task, silent(task, 2))
    norms = gradient_norms(model, {}, task, silent(task, 2), inputs_only=True)
    assert list(norms) == ["inputs"]
    np.testing.assert_allclose(norms["inputs"], np.ones((2, 6)), rtol=1e-6)


def powers(rates, length, batch=3, scale=1.0):
    """Norms [R, B, T] that fall by a constant factor a lag; each sequence has its own scale."""
    sizes = scale * (1 + np.arange(batch))[:, None]
    return np.stack([sizes * rate ** np.arange(length) for rate in rates])


def test_reach_is_the_first_lag_below_the_share():
    """Closed form: a^(lag - 1) is below 1 % from 1 + ln .01 / ln a on. Catches an off-by-one, norms
    relative to lag 0, an order statistic for the range, and trials out of their order."""
    rates = [0.95, 0.5, 0.6, 0.7, 0.8, 0.9]
    found = reach(powers(rates, 600))
    lags = [1 + np.ceil(np.log(0.01) / np.log(rate)) for rate in rates]
    assert found["reach"] == {
        "values": lags, "median": np.median(lags), "low": min(lags), "high": max(lags)
    }  # fmt: skip
    assert reach(powers(rates, 600), 0.5)["reach"]["values"][:2] == [1 + 14, 1 + 2]
    assert (found["trials"], found["sequences"], found["length"]) == (6, 3, 600)
    assert (found["share"], found["at_lag_1"]) == (0.01, 1.5)  # 2 times .75, the median rate
    lags = np.array(found["lags"])
    assert lags[0] == 0
    assert lags[-1] == 599
    curves = np.array(rates)[:, None] ** (lags - 1.0)
    for key, values in (
        ("median", np.median(curves, axis=0)), ("low", curves.min(0)), ("high", curves.max(0)),
    ):  # fmt: skip
        np.testing.assert_allclose(found[key], values, rtol=1e-3)


def test_a_direct_path_to_the_output_is_no_reach():
    """By hand: the output reads h itself, a thousand times as strongly as through the recurrence,
    whose gradient stays. Catches a reach of one step because of the drop from lag 0 to lag 1, and
    one of none because lag 0 is below the share."""
    norms = np.ones((2, 3, 40))
    norms[0, :, 0], norms[1, :, 0] = 1e3, 1e-3
    assert reach(norms)["reach"]["values"] == [40, 40]


def test_what_never_falls_is_t_and_a_dead_trial_is_null():
    """By the definition. Catches a trial that reaches beyond T counted as short, NaN in JSON, and a
    dead trial that shifts the seeds of those after it."""
    norms = powers([0.5, 0.99, 0.999], 50)
    norms[1] = 0
    norms[2, 0] = np.nan
    found = reach(norms)
    assert found["trials"] == 2
    assert found["reach"] == {"values": [8, None, 50], "median": 29, "low": 8, "high": 50}
    dead = reach(norms[1:2])
    assert (dead["trials"], dead["median"]) == (0, [])
    assert dead["reach"] == {"values": [None], "median": None, "low": None, "high": None}
    with pytest.raises(UsageError, match=r"^reach: expected norms \[R, B, T\] with T >= 2, got"):
        reach(norms[..., :1])


def test_starts_are_tested_on_the_seeds_of_both():
    """By hand. Of seeds 0 to 11 chrono reaches farther before training on all, p = 2 / 2^12, and
    after it on none of the eleven that both have. Eleven remember with chrono alone: p = 2 / 2^11.
    Three tests make Holm's factors 3, 2 and 1. Catches a shorter reach taken for the better one,
    seeds paired by place, phases exchanged, and p before Holm."""
    seeds = range(12)
    plain = Start(
        "bias 1",
        {"before": dict.fromkeys(seeds, 14.0), "after": {s: float(s) for s in seeds if s != 3}},
        {**dict.fromkeys(reversed(seeds), False), 12: True},
    )
    chrono = Start(
        "chrono",
        {
            "before": {s: 15.0 + s for s in reversed(seeds)},
            "after": {s: float(s) for s in reversed(seeds)},
        },
        {s: s > 0 for s in seeds},
    )
    before, after, remember = compare_starts([plain, chrono])
    assert (before["first_ahead"], before["second_ahead"], before["pairs"]) == (0, 12, 12)
    assert before["p"] == pytest.approx(3 * 2 / 2**12)
    assert before["verdict"].startswith(
        "chrono reaches farther back before training than bias 1: 12 to 0 of 12 pairs"
    )
    assert (after["first_ahead"], after["second_ahead"], after["pairs"]) == (0, 0, 11)
    assert (after["p"], after["verdict"]) == (1.0, None)
    assert (remember["first"], remember["second_ahead"], remember["pairs"]) == ("bias 1", 11, 12)
    assert remember["p"] == pytest.approx(2 * 2 / 2**11)
    assert remember["verdict"].startswith("chrono remembers on more seeds than bias 1: 11 to 0")
    nothing = plain._replace(reaches={"before": {}, "after": {}}, remembers={20: True})
    assert compare_starts([plain, nothing]) == compare_starts([plain]) == []
