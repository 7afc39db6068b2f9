"""Further trainings that are done, kept until all of them are: a kill costs the one under way.

Touches the disk. Each outcome is a record of ``checkpoint/turns`` in the run folder, hashed and
bound to the model file, the data and the computer, and to the parts that it was trained on.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from fieldmark.evaluation.repeats import Outcome
from fieldmark.workflow.continuing import TURNS, Record, data_of
from fieldmark.workflow.journal import Journal
from fieldmark.workflow.turns import Turn


class KeptTurns:
    """The outcomes that a run folder holds.

    Parameters
    ----------
    model : Path or None
        The run's model file, in the run folder; None: nothing is kept.
    record : Record or None
        What the run is.
    """

    def __init__(self, model: Path | None = None, record: Record | None = None) -> None:
        self._found: dict[str, dict[str, Any]] = {}
        self._journal: Journal | None = None
        if model is None or record is None:
            return
        of_run = {
            "model": hashlib.sha256(model.read_bytes()).hexdigest(),
            "data": record.data,
            "environment": record.environment,
        }
        self._journal = Journal(model.parent / TURNS)
        records = self._journal.records()
        _, head = next(records, (0, None))
        if head == of_run:
            self._found = {each["turn"]: each for _, each in records}
        else:  # of another model, or new
            self._journal.cut()
            self._journal.append(of_run)

    def __enter__(self) -> KeptTurns:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._journal is not None:
            self._journal.__exit__(kind, error, trace)

    def __len__(self) -> int:
        return len(self._found)

    def get(self, turn: Turn) -> Outcome | None:
        """Return what came of a training before; None: it is still to be done."""
        kept = self._found.get(_key(turn))
        if kept is None:
            return None
        return Outcome(
            repeat=turn.repeat,
            fold=turn.fold,
            seed=turn.seed,
            at=np.array(kept["at"], np.int64),
            right=np.array(kept["right"], np.bool_),
            losses=np.array(kept["losses"], np.float64),
            seconds=kept["seconds"],
        )

    def put(self, turn: Turn, outcome: Outcome) -> None:
        """Keep what came of a training."""
        if self._journal is None:
            return
        self._journal.append(
            {
                "turn": _key(turn),
                "at": outcome.at.tolist(),
                "right": outcome.right.tolist(),
                "losses": outcome.losses.tolist(),  # written so that the same bits are read
                "seconds": outcome.seconds,
            }
        )


def _key(turn: Turn) -> str:
    """Name a training by all that tells it from the others of its run."""
    return f"{turn.repeat} {turn.fold} {turn.seed} {data_of(turn.manifest)['sha256']}"
