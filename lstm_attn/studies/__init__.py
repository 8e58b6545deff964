"""Studies: one file a question, each a function without flags.

    from lstm_attn import studies
    result = studies.compare("lstm", "adding", lengths=50, steps=500, seeds=2)
    result.records; result.table; result.to_pandas(); result.show()

The pattern of a study, `lstm_attn/studies/NAME.py` (compare.py is the shortest whole one):

1. `NameConfig`, a frozen dataclass with a default for every field, among them `model: ModelConfig`
   and `training: TrainingConfig`; `__post_init__` checks what those classes can't.
2. `work(config, session)`: `cells = session.train(...)` trains what the run folder lacks and
   returns the cells under their names there; `session.record(cell)` is the record of one. What it
   measures besides goes to `session.folder.write_study(STUDY.name, ...)`, keyed by the cell and its
   number of trials, since a folder grows. It returns `Table`s and lines of text, the main table
   first; it prints only progress, to `session.console`.
3. `STUDY = Study("NAME", NameConfig, work, cells)`, with `cells(config, workdir)` what `--dry_run`
   prints.
4. `def NAME(models=None, ..., *, workdir=None, **settings)`, which ends in
   `return STUDY.call(workdir, {"models": models, ...}, settings)`; exported here.

`experiments/NAME.py` is `command.run(STUDY)`; `configs/NAME.py` gives `NameConfig` with what
differs from its defaults; `report/NAME.py` draws what was noted.

Two more functions work on finished run folders: `compare_runs` draws several on one page, and
`write_text` lets a language model continue a prompt.
"""

from lstm_attn.studies.ablation import ablation
from lstm_attn.studies.compare import compare
from lstm_attn.studies.compare_runs import compare_runs
from lstm_attn.studies.gradient_reach import gradient_reach
from lstm_attn.studies.horizon import horizon
from lstm_attn.studies.inside import inside
from lstm_attn.studies.language_model import language_model
from lstm_attn.studies.learning_rates import learning_rates
from lstm_attn.studies.length_generalisation import length_generalisation
from lstm_attn.studies.result import Result, Table
from lstm_attn.studies.write_text import write_text

__all__ = [
    "Result",
    "Table",
    "ablation",
    "compare",
    "compare_runs",
    "gradient_reach",
    "horizon",
    "inside",
    "language_model",
    "learning_rates",
    "length_generalisation",
    "write_text",
]
