"""Cells whose trials were trained apart become one cell of the run folder."""

import os
from collections.abc import Sequence

import numpy as np

from lstm_attn import training
from lstm_attn.files import force
from lstm_attn.history import Evaluation, stack
from lstm_attn.runner.cell import Cell
from lstm_attn.runner.grow import Placed, as_json
from lstm_attn.runner.train_cells import measured
from lstm_attn.runs import RunFolder
from lstm_attn.training import TrainingConfig, checkpoints


def merge(placed: Placed, folder: RunFolder) -> None:
    """Makes one cell of its parts, all of which are finished.

    An interrupted merge is done again: each step sees whether it has been done, and the record,
    which replaces those of the parts, comes last.
    """
    cell, parts = placed.cell, placed.parts
    order = _order(cell, parts)
    names = [part.name for part in parts]
    places = [folder.checkpoint(name) for name in names]
    stored = [checkpoints.read(path).arrays for path in places if path.exists()]
    if len(stored[0]["step"]) < cell.training.trials:
        arrays = {
            key: np.concatenate([arrays[key] for arrays in stored])[order] for key in stored[0]
        }
        # Trials that end early count their steps until the last one ends.
        arrays["step"] = np.full_like(arrays["step"], arrays["step"].max())
        partial = checkpoints.write_beside(places[0], arrays, int(arrays["step"][0]), cell.purpose)
        force(partial)
        checkpoints.previous(places[0]).unlink(missing_ok=True)
        os.replace(partial, places[0])
    evaluations = folder.evaluations(cell.name)
    if evaluations[-1].solved.size < cell.training.trials:
        evaluations = merged([folder.evaluations(name) for name in names], order)
        folder.replace_evaluations(cell.name, evaluations, also=names[1:])
    records = [record for record in folder.results if record["cell"] in names]
    record = {
        **measured(cell, stack(evaluations, *training.trial_settings(cell.training))),
        "seconds_to_program": round(sum(record["seconds_to_program"] for record in records), 3),
    }
    folder.add_result(record, instead_of=names)
    folder.note_cells({cell.name: as_json(cell.purpose)}, forget=names[1:])
    for path in places[1:]:
        for left in (path, checkpoints.previous(path)):
            left.unlink(missing_ok=True)


def merged(parts: Sequence[Sequence[Evaluation]], order: np.ndarray) -> list[Evaluation]:
    """The evaluations of all trials together, from those of each part.

    A part that has ended keeps its last values, as its trials would have; seconds are added.

    Args:
      order: the place of each trial among those of the parts, one part after the other.
    """
    longest = max(parts, key=len)
    evaluations = []
    for index, last in enumerate(longest):
        at_once = [part[min(index, len(part) - 1)] for part in parts]
        evaluations.append(
            Evaluation(
                step=last.step,
                seconds=sum(one.seconds for one in at_once),
                metrics={
                    name: np.concatenate([one.metrics[name] for one in at_once])[order]
                    for name in last.metrics
                },
                remembers=np.concatenate([one.remembers for one in at_once])[order],
                solved=np.concatenate([one.solved for one in at_once])[order],
                diverged=np.concatenate([one.diverged for one in at_once])[order],
            )
        )
    return evaluations


def _order(cell: Cell, parts: Sequence[Cell]) -> np.ndarray:
    def pairs(config: TrainingConfig) -> list[tuple]:
        seeds, rates = training.trial_settings(config)
        return list(zip(seeds.tolist(), rates.tolist(), strict=True))

    among = [pair for part in parts for pair in pairs(part.training)]
    return np.array([among.index(pair) for pair in pairs(cell.training)])
