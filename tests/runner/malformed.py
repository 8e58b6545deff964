"""Commands that are certainly wrong, each with the reason, for every study.

A malformed config is its study's own, from configs/, with one thing changed so that no reading of
it is right. What is wrong with a value follows from its type in that file, or from WRONG.
"""

from math import inf, nan
from typing import Any, NamedTuple

from hypothesis import strategies as st

from tests.configs.test_configs import FOLDER


class Code(str):
    """Python code of a value in a config's file, for values whose repr would not do."""

    __repr__ = str.__str__


# Study -> its config's file.
STUDIES = {
    "compare": "quick",
    **{
        name: name
        for name in ("horizon", "length_generalisation", "gradient_reach", "inside", "ablation",
                     "learning_rates")
    },
}  # fmt: skip
# Keys that a message may name differently.
CALLED: dict[str, tuple[str, ...]] = {
    "task.names": ("task", "variant of adding"),
    "task.name": ("task",),
    "model_name": ("model",),
    **dict.fromkeys(
        ("task.trained_lengths", "task.longest", "task.shortest", "test.factors"),
        ("length",),
    ),
}  # fmt: skip
# For each type of a value in the file, values of no such type.
OF_ANOTHER_TYPE: dict[type, tuple[Any, ...]] = {
    int: ("many", "7", 1.5, nan, inf, None, True, (), (1,), {}, {"a": 1}, b"1"),
    float: ("x", "0.1", None, True, (), (1.0,), {}, {"a": 1.0}, 1j),
    bool: ("yes", "False", 1, 0, None, (), (True,), {}),
    str: (1, 0.5, None, True, (), ("cosine",), {}, b"lstm", "", " ", "\n", "\x1b[31m", "\0", "x" * 10**5),
    tuple: (None, True, {}, {"a": 1}, (None,), ({},), ((),), (1j,), {1, 2}),
}  # fmt: skip
# For each type of an entry of a tuple, what is no such entry and no text of several. Nothing else is
# wrong: one value will do for a tuple, and so will a text with commas.
NO_ENTRY: dict[type, tuple[Any, ...]] = {
    int: (0.1, "lstm", "0.1", "10,x", "10;50"),
    float: ("lstm", "0.1,x", "0.1 0.2"),
    str: (3, 0.1),
    tuple: (3, 0.1, "lstm"),
}
# Whole numbers that follow from others unless they are given: None is valid for them.
OPTIONAL = ("training.warmup_steps", "training.evaluate_every")
OF_ANOTHER_TYPE[type(None)] = tuple(v for v in OF_ANOTHER_TYPE[int] if v is not None)
WRONG: dict[str, tuple[Any, ...]] = {
    "models": ((), ("lsmt",), ("lstm", "lstm"), ("lstm", 3), (("lstm",),), ("",), ("lstm\n",)),
    "model_name": ("lsmt", "LSTM", "lstm "),
    "positions": (("rotary", "rotary"), ("rotatory",), (0,)),
    "forget_biases": ((), (1.0, 1.0), (nan,), (inf,), (1.0, 1.0000001), ("1",)),
    "sequences": (0, -1, 2**31),
    "budget_seconds": (-1.0, nan, inf, -inf),
    "changes": (
        (), ("model.features",), (("model.features",),), (("model.features", 16, 32),), ("ab",),
        (("model.featrues", 16),), (("model.features", -1),), (("model.features", "many"),),
        (("model.features", 32),), (("model.features", 16), ("model.features", 16)),
        (("training.seeds", 3),), (("training.learning_rates", (0.1, 0.2)),), ((3, 3),),
        (("training.clip_norm", nan),), (("task.length", 5),),
    ),
    "task.names": ((), ("ading",), ("adding", "adding"), (1,), ("adding:arjovsky",)),
    "task.name": ("ading", "Adding"),
    "task.lengths": ((), (0,), (-5,), (1.5,), (10, 10), (True,), ("10",), (2**31,), (nan,)),
    "task.trained_lengths": ((), (0,), (20, 20), (2.5,), (True,), (2**31,)),
    "task.shortest": ((), (0.0,), (1.5,), (-0.5,), (nan,), (1.0, 1.0), (0.5, 0.500001), (inf,), (1e-9,)),
    "task.length": (0, 1, -7, 2**31),
    "task.longest": (0, 1, 2**31),
    "task.lengths_per_doubling": (0, -1, 2**31, 10**6),
    "test.factors": ((), (0.0,), (-1.0,), (nan,), (inf,), (1.0, 1.0), (1e300,), (0.33,), (1e-9,)),
    "test.sequences": (0, 7, 2**31),
    "test.batch_size": (0, -1, 7, 10**9),
    "test.most_padding": (0.5, nan, -inf, inf),
    "model.features": (0, -8, 2**31, 10**12),
    "model.num_heads": (0, -1, 7, 2**31),
    "model.num_layers": (0, -1, 2**31),
    "model.lstm_variant": ("peepholes",),
    "model.forget_bias": (nan, inf, -inf),
    "model.update_bias": (nan, inf),
    "model.chrono_steps": ((1.0,), (2.0, 1.5), (nan, nan), (2.0, inf), (0.5, 9.0), (2.0, 3.0, 4.0)),
    "model.kernel_init": ("golrot",),
    "model.recurrent_kernel_init": ("golrot",),
    "model.positions": ("sinusoid",),
    "model.norm": ("layer",),
    "model.feed_forward": ("relu",),
    "model.dropout": (1.0, -0.1, nan, inf),
    "model.attention_placement": ("over",),
    "model.segment": (-1, 2**31),
    "model.dtype": ("float16", "float64"),
    "training.steps": (0, -1, 2**31, 10**12),
    "training.batch_size": (0, -1, 2**31),
    "training.seeds": (0, -1, 2**31),
    "training.learning_rates": ((), (0.0,), (-0.1,), (nan,), (inf,), (0.1, 0.1), (1e-50,), (1e39,),
                                ("0.1",), (True,)),
    "training.schedule": ("cosin", "Cosine"),
    "training.warmup_steps": (-1, 10**9, 2**31),
    "training.clip_norm": (0.0, -1.0, nan, inf, 1e-50, 1e39),
    "training.weight_decay": (-0.1, nan, inf),
    "training.evaluate_every": (0, -1, 7, 10**9),
    "training.evaluation_sequences": (0, -1, 1009, 2**31),
    "training.first_seed": (-1, 2**32),
    "training.confirmation_sequences": (-1, 2**31),
    "training.trials_on_device": ("pmap",),
    "training.accumulation_steps": (0, -1, 7, 2**31),
    "training.parameters": ("shared",),
    "tuning.seeds": (-1, 2**31),
    "tuning.first_seed": (-1, 0, 1, 2**32),
    "tuning.positions": (("rotatory",), (0,), ("rotary", "")),
}  # fmt: skip
# Text that is no value of the type, as an override; hypothesis adds more.
NO_TEXT_OF: dict[type, tuple[str, ...]] = {
    int: ("", "many", "1.5", "nan", "None", "1e400", "(1,)", "--", "1 2", "\n", "é", "0x"),
    float: ("", "x", "None", "(1.0,)", "1,5", "1e", "--1", "\x1b[31m"),
    bool: ("", "maybe", "None", "2", "yes", "()"),
    str: ("", "nan", "1e400", "('lstm',)", "{{7*7}}", "\n", "é" * 3000),
    tuple: (
        "",
        "(",
        "((",
        "(1,,)",
        "{",
        "lambda: 1",
        "None",
        "({},)",
        "(()",
        "nan",
        "(1e400,)",
        "é",
    ),
}
NO_TEXT_OF[type(None)] = tuple(text for text in NO_TEXT_OF[int] if text != "None")
PLACEHOLDERS = tuple(map(Code, (
    "required_placeholder(int)", "FieldReference(3) // 0", "placeholder(int)", "placeholder(str)",
    "FieldReference(None, field_type=int)",
)))  # fmt: skip
NEVER_A_VALUE = PLACEHOLDERS[:2]  # the others are None
HEADER = """from math import inf, nan
from ml_collections import ConfigDict, FieldReference, FrozenConfigDict
from ml_collections.config_dict import placeholder, required_placeholder
"""
# Config files that give no config, and what the message must say of each besides the file's name.
NO_CONFIGS = (
    ("def get_config(:\n", "is not Python"),
    ("get_config = ConfigDict(\n", "is not Python"),
    ("\0", "is not Python"),
    ("", "expected get_config()"),
    ("get_config = 3", "expected get_config()"),
    ("def get_config():\n    pass", "expected get_config()"),
    ("def get_config():\n    return {'models': ()}", "expected get_config()"),
    ("def get_config():\n    yield ConfigDict()", "expected get_config()"),
    ("def get_config(name):\n    return ConfigDict()", "raises TypeError"),
    ("def get_config():\n    raise ValueError('one\\ntwo\\x1b[31m')", "raises ValueError"),
    ("def get_config():\n    raise Exception", "raises Exception"),
    ("def get_config():\n    return get_config()", "raises RecursionError"),
    ("def get_config():\n    return ConfigDict({'task.names': ()})", "raises ValueError"),
    (
        "def get_config():\n    tree = ConfigDict()\n    tree.itself = tree\n    return tree",
        "raises RecursionError",
    ),
    ("def get_config():\n    assert False", "raises AssertionError"),
    ("import sys\nsys.exit(0)", "raises SystemExit"),
    ("def get_config():\n    raise SystemExit", "raises SystemExit"),
    ("1 / 0", "raises ZeroDivisionError"),
    ("import no_such_module", "raises ModuleNotFoundError"),
    ("open('/no/such/file')", "raises FileNotFoundError"),
    ("print(undefined)", "raises NameError"),
)


class Malformed(NamedTuple):
    """study: in STUDIES; config: the file's text, None for the study's own; overrides: further
    arguments; says: texts, one of which must be in the message; why: the reason, in words."""

    study: str
    config: str | None
    overrides: tuple[str, ...]
    says: tuple[str, ...]
    why: str


def config_of(study: str) -> dict[str, Any]:
    """The study's own, valid config."""
    names: dict[str, Any] = {}
    exec((FOLDER / f"{STUDIES[study]}.py").read_text(), names)
    return names["get_config"]().to_dict()


CONFIGS = {study: config_of(study) for study in STUDIES}


def leaves(tree: dict, prefix: str = "") -> dict[str, Any]:
    found = {}
    for key, value in tree.items():
        found |= (
            leaves(value, f"{prefix}{key}.") if isinstance(value, dict) else {prefix + key: value}
        )
    return found


def changed(tree: dict, key: str, value: Any) -> dict:
    """The tree with the value at a key such as `task.lengths`, which need not be there yet."""
    head, _, rest = key.partition(".")
    return {**tree, head: changed(tree.get(head, {}), rest, value) if rest else value}


def source(tree: dict) -> str:
    return f"{HEADER}\n\ndef get_config():\n    return ConfigDict({tree!r})\n"


def says(key: str) -> tuple[str, ...]:
    last = key.rpartition(".")[2]
    return (key, last, last.rstrip("s"), *CALLED.get(key, ()))


def not_of_type(kind: type) -> st.SearchStrategy[str]:
    """Text that absl can't parse as a value of the type."""

    def reads(text: str) -> bool:
        try:
            kind(text) if kind is float else int(text, 0)
        except ValueError:
            return False
        return True

    fixed = st.sampled_from(NO_TEXT_OF[kind])
    if kind not in (int, float):
        return fixed
    # An argument holds no null character; what isn't UTF-8 arrives as surrogates.
    letters = st.characters(exclude_characters="\0", exclude_categories=())
    return fixed | st.text(letters, max_size=20).filter(lambda text: not reads(text))


@st.composite
def commands(draw: st.DrawFn) -> Malformed:
    """One of: a value of another type, one out of range, an unknown key, a value in place of a
    branch, a key without a value, a file that gives no config, an override."""
    study = draw(st.sampled_from(sorted(STUDIES)))
    config = CONFIGS[study]
    keys = leaves(config)
    key = draw(st.sampled_from(sorted(keys)))
    kind = type(None) if key in OPTIONAL else type(keys[key])

    def in_file(tree: dict, why: str, *said: str) -> Malformed:
        return Malformed(study, source(tree), (), said or says(key), why)

    way = draw(st.sampled_from(range(9)))
    if way <= 1:
        others = OF_ANOTHER_TYPE[kind]
        if kind is tuple:
            others += NO_ENTRY[type(keys[key][0]) if keys[key] else tuple]
        value = draw(st.sampled_from(others))
        return in_file(changed(config, key, value), f"{key} is no {kind.__name__}")
    if way <= 3 and key in WRONG:
        wrong = draw(st.sampled_from(WRONG[key]))
        return in_file(changed(config, key, wrong), f"{key} is out of range: {wrong!r}")
    if way == 4:
        branch = draw(st.sampled_from(["", "task.", "model.", "training."]))
        name = draw(st.sampled_from(["zz", "featurs", " steps", "", "<script>", "ключ", "a\nb"]))
        value = draw(st.sampled_from([1, None, (), {}, {"deep": {}}, "x"]))
        tree = changed(config, branch + "zz", None)
        (parent := tree[branch[:-1]] if branch else tree).pop("zz")
        parent[name] = value
        return in_file(
            tree, f"{branch}{name!r} is no key", "unknown config key", "raises ValueError"
        )
    if way == 5:
        branch = draw(st.sampled_from(["task", "model", "training"]))
        value = draw(st.sampled_from([3, None, "adding", (), {}, [config[branch]], True]))
        if value == {}:  # the default
            value = {"task": config[branch]}
        return in_file(changed(config, branch, value), f"{branch} is no branch", branch)
    if way == 6:
        code = draw(st.sampled_from(NEVER_A_VALUE if key in OPTIONAL else PLACEHOLDERS))
        return in_file(changed(config, key, code), f"{key} has no value", *says(key), "raises")
    if way == 7:
        code, said = draw(st.sampled_from(NO_CONFIGS))
        return Malformed(study, HEADER + code, (), (said,), "the file gives no config")
    text = draw(not_of_type(kind))
    dashes = draw(st.sampled_from(["-", "--"]))
    return Malformed(
        study, None, (f"{dashes}config.{key}={text}",), says(key), f"{text!r} is no {kind}"
    )
