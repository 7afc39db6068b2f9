"""Measure and say what a training will take: once its own steps, or its own features, are timed.

What comes after training is estimated from pictures per second as measured in this run, and from
what a fixed piece of work takes now, which says how fast this computer is and how busy.
"""

from __future__ import annotations

import json
import time
from typing import Final

import numpy as np

from fieldmark.errors import OutOfMemory
from fieldmark.networks.volumes import Plan
from fieldmark.training import footprint
from fieldmark.training.events import Noted
from fieldmark.training.fitted import N_PROOF
from fieldmark.training.pace import Pace
from fieldmark.workflow import memory
from fieldmark.workflow.promise import Actual, Promise, compared, missed
from fieldmark.workflow.session import Session

NAME: Final = "promise.json"
_YARD_S: Final = 0.018
"""What :func:`slowness` takes on the computer that the next two were measured on."""
_FINISH_S: Final = 2.2
"""Export, proof, engines, thresholds and pages, without the pictures."""
_MORE_HEAD_S: Final = 2.5
"""More of that, behind a solved head: its features are compared with one another."""
_PASSES: Final = 190
"""Over the training part until a head is solved: 85 to 240 were counted."""
_HARD: Final = 2.2
"""What a pass takes beside its two products."""


def slowness() -> float:
    """Return how many times as long as usual a fixed piece of work takes here and now."""
    rows = np.ones((200, 400), np.float32)
    taken = []
    for _ in range(9):
        began = time.perf_counter()
        text = json.dumps({str(at): [at, str(at)] for at in range(4000)})
        json.loads(text)
        rows @ rows.T
        taken.append(time.perf_counter() - began)
    return sorted(taken)[4] / _YARD_S


def of_steps(session: Session, plan: Plan, n_valid: int, pictures: int, pace: Pace) -> None:
    """Promise from the steps of a training by gradients.

    Parameters
    ----------
    session : Session
    plan : Plan
        Of the network that learns.
    n_valid : int
        Validation pictures.
    pictures : int
        Bytes of the decoded pictures, which are mapped from the disk.
    pace : Pace

    Raises
    ------
    OutOfMemory
        Code ``out-of-memory``: it would take more than ``--ram``.
    """
    n_after = n_valid + session.n_test + N_PROOF
    steps = f"{pace.n_measured} steps" if pace.n_measured else "the range test"
    weights = 4 * footprint.weight_bytes(plan)
    say(
        session,
        Promise(
            at_s=session.spent_s(),
            training_s=pace.left_s,
            finish_s=_FINISH_S * slowness() + n_after * pace.picture_s,
            memory=memory.peak() + weights + pictures + footprint.finish_bytes(plan),
            pictures=pictures,
            rests_on=f"{steps} of {1000 * pace.step_s:.3g} ms and a batch of validation pictures",
        ),
    )


def of_features(
    session: Session, plan: Plan, n_left: int, picture_s: float, rows: tuple[int, int, int]
) -> None:
    """Promise while the features of a backbone are extracted.

    Parameters
    ----------
    session : Session
    plan : Plan
    n_left : int
        Pictures that the backbone still has to look at.
    picture_s : float
        Seconds of one, measured.
    rows : tuple of int
        Rows the head is solved on, classes, and problems that are solved side by side.
    """
    n_rows, n_classes, n_folds = rows
    width = plan.steps[-1].input[0]
    solve_s = _PASSES * _pass_s(n_rows, width, n_classes * n_folds)
    values = n_rows * width * 4
    say(
        session,
        Promise(
            at_s=session.spent_s(),
            training_s=n_left * picture_s + solve_s,
            finish_s=head_finish_s(session, picture_s, solve_s),
            memory=memory.peak() + 5 * values + footprint.finish_bytes(plan),
            rests_on=f"{1 / picture_s:.0f} pictures a second through the backbone",
        ),
    )


def head_finish_s(session: Session, picture_s: float, solve_s: float) -> float:
    """Return what follows a solved head; the test part is looked at by its backbone."""
    fixed = (_FINISH_S + _MORE_HEAD_S) * slowness()
    return fixed + 0.06 * solve_s + (session.n_test + N_PROOF) * picture_s


def say(session: Session, promise: Promise) -> None:
    """Say it once it is the run's own, and hold it against the memory there is."""
    if session.held is None and session.folder is not None:
        return  # one of many trainings of which one was promised
    session.promises.append(promise)
    session.listen(promise.event())
    limit = memory.limit(session.settings.run.ram)
    needed = promise.memory_mb * 10**6 - promise.pictures
    if limit is None or needed <= limit.n_bytes:
        return
    text = f"{needed / 1e9:.1f} GB of memory may be needed, and {limit.what} leaves "
    text += f"{limit.n_bytes / 1e9:.1f} GB."
    if limit.what.startswith("--ram"):
        raise OutOfMemory(
            text,
            code="out-of-memory",
            where="[run] ram",
            why="Measured on the first steps, before the training proper.",
            hint="a larger --ram, a smaller --batch or --size, or a smaller network",
        )
    session.listen(Noted(code="memory-short", text=text))


def written(session: Session) -> None:
    """Keep how good the promise was in the run folder; say so where it was missed."""
    if not session.promises or session.folder is None:
        return
    actual = Actual(
        seconds=session.spent_s(),
        trained_s=session.trained_s,
        memory=memory.peak(),
        checkpoint_s=sum(each.spent_s for each in session.kept),
    )
    session.folder.write_json(NAME, compared(session.promises, actual))
    text = missed(session.promises, actual)
    if text:
        session.listen(Noted(code="promise-missed", text=text))


def _pass_s(n_rows: int, width: int, n_outputs: int) -> float:
    """Measure what one pass over the training part takes: two products of this very shape."""
    n = min(n_rows, 512)
    rows = np.ones((n, width), np.float32)
    weights = np.ones((width, n_outputs), np.float32)
    taken = []
    for _ in range(3):
        began = time.perf_counter()
        rows.T @ (rows @ weights)
        taken.append(time.perf_counter() - began)
    return _HARD * min(taken) * n_rows / n
