"""The ways in which `make mutants` breaks the code, and the tests that must notice each."""

from typing import NamedTuple


class Mutation(NamedTuple):
    """what: in words. file: where `old`, which stands there once, becomes `new`. tests: for pytest."""

    what: str
    file: str
    old: str
    new: str
    tests: str


CONFORMANCE = "tests/test_conformance.py -k "
STEPS = CONFORMANCE + "one_step_at_a_time"
MUTATIONS = [
    # ops: recurrence
    Mutation("LSTM: input and forget gate swapped", "lstm_attn/ops/lstm_step.py", "i, f, g, o = jnp.split", "f, i, g, o = jnp.split", "tests/ops/test_lstm.py"),
    Mutation("LSTM: the cell leaves without its tanh", "lstm_attn/ops/lstm_step.py", "jax.nn.sigmoid(o) * jnp.tanh(c)", "jax.nn.sigmoid(o) * c", "tests/ops/test_lstm.py"),
    Mutation("peephole: the output gate sees the old cell", "lstm_attn/ops/lstm_variants.py", "p_o * c)", "p_o * before)", "tests/ops/test_lstm_variants.py"),
    Mutation("coupled: keep and write exchanged", "lstm_attn/ops/lstm_variants.py", "keep = jax.nn.sigmoid(f)", "keep = 1 - jax.nn.sigmoid(f)", "tests/ops/test_lstm_variants.py"),
    Mutation("layer norm: the cell is not normalised", "lstm_attn/ops/lstm_variants.py", "a_c * _normalise(c) + b_c", "a_c * c + b_c", "tests/ops/test_lstm_variants.py"),
    Mutation("GRU: z and 1 - z exchanged", "lstm_attn/ops/gru_step.py", "(1 - z) * n + z * state", "z * n + (1 - z) * state", "tests/ops/test_gru.py"),
    Mutation("GRU: the reset acts on the inputs too", "lstm_attn/ops/gru_step.py", "jnp.tanh(x_n + r * h_n)", "jnp.tanh(r * (x_n + h_n))", "tests/ops/test_gru.py"),
    Mutation("GRU: no reset before the product", "lstm_attn/ops/gru_step.py", "_from_state(params, r * state,", "_from_state(params, state,", "tests/ops/test_gru.py"),
    Mutation("lengths: one step too many", "lstm_attn/ops/time.py", "real = t < lengths", "real = t <= lengths", "tests/ops/test_time.py"),
    Mutation("lengths: the padding reaches the step", "lstm_attn/ops/time.py", "step(state, _where(real, x, None))", "step(state, x)", "tests/ops/test_time.py"),
    Mutation("lengths: a reset in the padding zeroes the final state", "lstm_attn/ops/time.py", "_where(real, after, before)", "_where(real, after, state)", "tests/ops/test_time.py"),
    Mutation("bidirectional: backward starts anew at first steps", "lstm_attn/modules/recurrent.py", "jnp.roll(resets, -1, axis=1).at[:, -1].set(False)", "resets", "tests/modules/test_bidirectional.py"),
    # ops: attention
    Mutation("causal: off by one, the next key is seen", "lstm_attn/ops/attention.py", "[distance <= 0] if", "[distance <= 1] if", CONFORMANCE + "later_input"),
    Mutation("mask dropped", "lstm_attn/ops/attention.py", "allowed = [] if mask is None else [mask]", "allowed = []", "tests/ops/test_attention.py"),
    Mutation("mask: zeros where nothing is allowed forgotten", "lstm_attn/ops/attention.py", "return jnp.where(mask, weights, 0)", "return weights", "tests/ops/test_attention.py"),
    Mutation("logits over K, not over its root", "lstm_attn/ops/attention.py", 'sizes["K"] ** -0.5', 'sizes["K"] ** -1.0', "tests/ops/test_attention.py"),
    Mutation("window: left taken for right", "lstm_attn/ops/attention.py", "distance >= -left", "distance >= -right", "tests/ops/test_attention.py"),
    Mutation("an additive mask's row of -inf", "lstm_attn/ops/attention.py", "allowed.append(bias > -jnp.inf)", "pass", "tests/ops/test_attention.py"),
    Mutation("additive: tanh on the query alone", "lstm_attn/ops/additive_attention.py", "jnp.tanh(query[:, :, None] + key[:, None].astype(compute))", "jnp.tanh(query[:, :, None]) + key[:, None].astype(compute)", "tests/ops/test_additive_attention.py"),
    Mutation("pooling: the past is not scaled to the new largest logit", "lstm_attn/ops/additive_attention.py", "state.weighted * old[:, None] +", "state.weighted +", "tests/ops/test_additive_attention.py"),
    Mutation("rotary: turned the other way in one half", "lstm_attn/ops/positions.py", "first * sin + second * cos", "second * cos - first * sin", "tests/ops/test_positions.py"),
    Mutation("ALiBi: the bias rises with distance", "lstm_attn/ops/positions.py", "return -chosen", "return chosen", "tests/ops/test_positions.py"),
    Mutation("sinusoids: half the exponent", "lstm_attn/ops/positions.py", "/ max(features, 1)", "/ max(2 * features, 1)", "tests/ops/test_positions.py"),
    Mutation("cache: written one step too late", "lstm_attn/ops/cache.py", "cache.length, axis=1)", "cache.length + 1, axis=1)", "tests/ops/test_cache.py"),
    Mutation("cache: its length counts calls, not steps", "lstm_attn/ops/cache.py", "cache.length + steps)", "cache.length + 1)", CONFORMANCE + "segments_of_any_length"),
    Mutation("cache: a step too many goes through", "lstm_attn/modules/attention.py", "jnp.where(ops.within(carry), out, jnp.nan)", "out", CONFORMANCE + "past_its_room"),
    Mutation("sums and carries in the compute dtype", "lstm_attn/ops/precision.py", "jnp.float64 if jnp.dtype(dtype) == jnp.float64 else jnp.float32", "dtype", "tests/test_numerics.py -k errors"),
    # modules
    Mutation("attention: not causal in its parallel form", "lstm_attn/modules/attention.py", "is_causal=is_causal and not with_cache", "is_causal=False", CONFORMANCE + "later_input"),
    Mutation("attention with a cache sees the key behind it", "lstm_attn/modules/attention.py", "key_positions <= query_positions[:, None]", "key_positions <= query_positions[:, None] + 1", STEPS),
    Mutation("positions of queries start anew in each part", "lstm_attn/modules/attention.py", "query_positions = start + jnp", "query_positions = jnp", "tests/modules/test_attention.py"),
    Mutation("hybrid: attention sees the future", "lstm_attn/modules/lstm_attention.py", "functools.partial(attention, is_causal=True), states", "functools.partial(attention, is_causal=cache is not None), states", CONFORMANCE + "later_input"),
    Mutation("transformer: a residual lost", "lstm_attn/modules/transformer.py", "return carry, inputs + drop(module, out)", "return carry, drop(module, out)", "tests/modules/test_transformer.py"),
    Mutation("transformer: post-norm before the residual", "lstm_attn/modules/transformer.py", "layer_norm(module, norm_name, inputs + drop(module, out))", "inputs + layer_norm(module, norm_name, drop(module, out))", "tests/modules/test_transformer.py"),
    Mutation("transformer: the gate is not a gate", "lstm_attn/modules/transformer.py", "hidden = hidden * dense_layer", "hidden = hidden + dense_layer", "tests/modules/test_transformer.py"),
    Mutation("transformer: positions start anew in each step", "lstm_attn/modules/transformer.py", "at + initial_carry[0].length", "at", STEPS),
    Mutation("norm: its variance as E[x^2] - E[x]^2", "lstm_attn/modules/transformer.py", "use_fast_variance=False", "use_fast_variance=True", "tests/test_numerics.py -k norm"),
    Mutation("a padding's reset reaches the backward direction", "lstm_attn/modules/recurrent.py", "last_steps & inner", "last_steps", "tests/modules/test_bidirectional.py"),
    Mutation("dropout in evaluation", "lstm_attn/modules/transformer.py", "without_key = not module.has_rng", "without_key = module.has_rng", "tests/modules/test_transformer.py"),
    Mutation("pooling: logits without their tanh", "lstm_attn/modules/pooling.py", "logits = jnp.tanh(dense_layer(self, 1, \"score\", inputs)(hidden))", "logits = (dense_layer(self, 1, \"score\", inputs)(hidden))", "tests/modules/test_hybrids.py"),
    Mutation("forget bias on the input gate", "lstm_attn/modules/parameters.py", "per_gate(zeros, ones, zeros, zeros)", "per_gate(ones, zeros, zeros, zeros)", "tests/modules/test_initializers.py"),
    Mutation("chrono: the input gate is not negated", "lstm_attn/modules/initializers.py", "[-forget, forget,", "[forget, forget,", "tests/modules/test_initializers.py"),
    Mutation("update bias on the reset gate", "lstm_attn/modules/initializers.py", "per_gate(zeros, initializers.constant(update_bias), zeros)", "per_gate(initializers.constant(update_bias), zeros, zeros)", "tests/modules/test_initializers.py"),
    Mutation("models: a state that is not handed on", "lstm_attn/models.py", "apply(params, inputs[:, None], carry=state)", "apply(params, inputs[:, None], carry=initial_state(inputs.shape[0], 99))", STEPS),
    Mutation("models: a config's key that does nothing", "lstm_attn/models.py", "feed_forward=config.feed_forward,", "", CONFORMANCE + "each_choice"),
    # tasks
    Mutation("copy: the delay is off by one", "lstm_attn/tasks/copy_problem.py", "steps == recall - 1, DELIMITER", "steps == recall, DELIMITER", "tests/tasks/test_copy_problem.py"),
    Mutation("adding: a marker in the other half", "lstm_attn/tasks/adding_problem.py", "ends.shape, 0, ends // 2)", "ends.shape, 0, ends // 2 + 1)", "tests/tasks/test_adding_problem.py"),
    # training
    Mutation("a diverged trial moves on", "lstm_attn/training/trial.py", "kept._replace(step=state.step + 1, finite=finite)", "advanced._replace(step=state.step + 1, finite=finite)", "tests/training/test_divergence.py"),
    Mutation("divergence is seen in the loss alone", "lstm_attn/training/trial.py", " & _all_finite(params)", "", "tests/training/test_divergence.py"),
    Mutation("gradients are not averaged over the batch's shards", "lstm_attn/training/trial.py", 'lax.pmean(loss_and_gradients, "batch")', "loss_and_gradients", "tests/training/test_program.py"),
    Mutation("evaluation on the same data every time", "lstm_attn/training/trial.py", "key = stream(state.seed, EVALUATION_STREAM, state.step)", "key = stream(state.seed, EVALUATION_STREAM, 0)", "tests/training/test_program.py"),
    Mutation("all trials on the same data", "lstm_attn/training/trial.py", "stream(state.seed, TRAIN_STREAM, state.step)", "stream(0, TRAIN_STREAM, state.step)", "tests/training/test_program.py"),
    Mutation("the same mask of dropout at every step", "lstm_attn/training/trial.py", "stream(state.seed, DROPOUT_STREAM, state.step)", "stream(state.seed, DROPOUT_STREAM, 0)", "tests/training/test_dropout.py"),
    Mutation("the same mask of dropout on every device", "lstm_attn/training/trial.py", 'jax.random.fold_in(key, lax.axis_index("batch"))', "key", "tests/training/test_dropout.py"),
    Mutation("no dropout in training", "lstm_attn/training/trial.py", "if model.apply_with_dropout is None:", "if True:", "tests/training/test_dropout.py"),
    Mutation("a diverged trial counts as solved", "lstm_attn/training/loop.py", "solved=np.array(solved) & ~diverged", "solved=np.array(solved)", "tests/training/test_divergence.py"),
    Mutation("truncated back-propagation starts each segment anew", "lstm_attn/training/segments.py", "optimizer_state, state), value", "optimizer_state, before[2]), value", "tests/training/test_segments.py"),
    # runs, reports, analysis, interop
    Mutation("evaluations after the checkpoint are kept", "lstm_attn/runs.py", 'line["cell"] != cell or line["step"] <= step', "True", "tests/test_runs.py"),
    Mutation("half of the trials are too few", "lstm_attn/report/tables.py", 'record["solve_rate"] >= 0.5', 'record["solve_rate"] > 0.5', "tests/report/test_tables.py"),
    Mutation("a mean for the median", "lstm_attn/analysis/medians.py", "float(np.median(values)),", "float(np.mean(values)),", "tests/analysis/test_solving.py"),
    Mutation("torch: one of the two biases dropped", "lstm_attn/interop/torch_layout.py", '{"bias": biases[0] + biases[1]}', '{"bias": biases[0]}', "tests/interop/test_torch_layout.py"),
    Mutation("Keras: the GRU's gates in our order", "lstm_attn/interop/keras_layout.py", '{name: reorder(array, "zrn", "rzn")', '{name: reorder(array, "rzn", "rzn")', "tests/interop/test_keras_layout.py"),
    Mutation("Flax: kernels of inputs and state joined in another order", "lstm_attn/interop/flax_layout.py", '"recurrent_kernel": join_gates(recurrent_kernel, "ifgo")', '"recurrent_kernel": join_gates(recurrent_kernel, "figo")', "tests/interop/test_flax_layout.py"),
]  # fmt: skip
