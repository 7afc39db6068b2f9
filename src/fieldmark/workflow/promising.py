"""Measure and say what a training will take: once its own steps, or its own features, are timed.

What comes after training is estimated from pictures per second as measured in this run, and from
what a fixed piece of work takes now, which says how fast this computer is and how busy.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import Final

import numpy as np

from fieldmark.errors import OutOfMemory
from fieldmark.inference.runtime import Runtime
from fieldmark.networks.volumes import Plan
from fieldmark.training import footprint
from fieldmark.training.events import Noted, Stopped
from fieldmark.training.fitted import N_PROOF, Pace
from fieldmark.workflow import memory
from fieldmark.workflow.batching import RAM
from fieldmark.workflow.promise import Actual, Promise, compared, missed
from fieldmark.workflow.session import Session

NAME: Final = "promise.json"
_YARD_S: Final = 0.0026
"""What :func:`slowness` takes on the computer, idle, that the next three were measured on."""
_GRAPH_S: Final = 0.3
"""To build the graph of a training step for one size of pictures, and to settle its averages."""
_FINISH_S: Final = 1.4
"""Export, proof, engines, thresholds and pages, without the pictures."""
_MORE_HEAD_S: Final = 1.0
"""More of that, behind a solved head: its features are compared with one another."""
_PASSES: Final = 100
"""Over the training part until a head is solved, for each number of features: 85 to 125 were
counted."""
_CURVE: Final = 0.06
"""Of that time, to say whether more pictures would help."""
_ROWS: Final = 5
"""Copies of the features while a head is solved on them."""
_HARD_ROWS: Final = 2.7
"""What a pass takes, as a multiple of the two products that grow with the rows."""
_HARD_FIXED: Final = 6.5
"""And of the one that does not."""
_SHOWN: Final = 8
"""Pictures at a time, as the features are extracted."""


def slowness() -> float:
    """Return how many times as long as usual a fixed piece of work takes here and now."""
    taken = []
    for _ in range(9):
        began = time.perf_counter()
        text = json.dumps({str(at): [at, str(at)] for at in range(4000)})
        json.loads(text)
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
    slow = slowness()
    say(
        session,
        Promise(
            at_s=session.spent_s(),
            training_s=pace.left_s + _GRAPH_S * slow * pace.n_sizes,
            finish_s=_FINISH_S * slow + n_after * pace.picture_s,
            memory=memory.peak() + weights + pictures + footprint.finish_bytes(plan),
            pictures=pictures,
            rests_on=f"{steps} of {1000 * pace.step_s:.3g} ms and a batch of validation pictures",
        ),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadWork:
    """What is still to be done for a head on a backbone."""

    plan: Plan
    n_left: int
    """Pictures that still have to be looked at, each with its copies."""
    picture_s: float
    """Seconds of one picture with its copies, measured."""
    view_s: float
    """Seconds of one picture read and looked at, measured."""
    n_rows: int
    """That the head is solved on."""
    n_outputs: int
    """Classes times folds, which are solved side by side."""
    n_widths: int
    """Feature counts that are compared."""
    n_copied: int
    """Copies that may be looked at too, if few answers are right without; 0: that is settled."""


def of_features(session: Session, work: HeadWork) -> None:
    """Promise while the features of a backbone are extracted."""
    width = work.plan.steps[-1].input[0]
    row_s, fixed_pass_s = _pass_s(min(work.n_rows, 512), width, work.n_outputs)
    solve_s = _PASSES * work.n_widths * (row_s * work.n_rows + fixed_pass_s)
    view_s, n_more = work.view_s, work.n_rows + work.n_copied
    perhaps_s = work.n_copied * view_s + _PASSES * (row_s * n_more + fixed_pass_s)
    fixed_s = (_FINISH_S + _MORE_HEAD_S) * slowness()
    n_values = (work.n_rows + work.n_copied) * width
    say(
        session,
        Promise(
            at_s=session.spent_s(),
            training_s=work.n_left * work.picture_s + solve_s,
            finish_s=fixed_s + _CURVE * solve_s + (session.n_test + N_PROOF) * view_s,
            perhaps_s=perhaps_s if work.n_copied else 0.0,
            memory=memory.peak() + _ROWS * 4 * n_values + footprint.finish_bytes(work.plan),
            rests_on=f"{1 / view_s:.0f} pictures a second through the backbone",
        ),
    )


def say(session: Session, promise: Promise) -> None:
    """Say it once it is the run's own, and hold it against the memory there is."""
    if session.held is None and session.folder is not None:
        return  # one of many trainings of which one was promised
    session.promises.append(promise)
    session.listen(promise.event())
    limit = memory.limit(session.settings.run.ram)
    needed = promise.memory - promise.pictures  # those the system can take back
    if limit is None or needed <= limit.n_bytes:
        return
    text = f"{needed / 1e9:.1f} GB of memory may be needed, and {limit.what} leaves "
    text += f"{limit.n_bytes / 1e9:.1f} GB."
    if limit.what.startswith("--ram"):
        raise OutOfMemory(
            text,
            code="out-of-memory",
            where=RAM,
            why="Estimated from the first steps or pictures, before the training proper.",
            hint="a larger --ram, a smaller --size or network; with epochs, a smaller --batch",
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
    ended = [each.reason for each in session.log if isinstance(each, Stopped)]
    early = bool(ended) and ended[-1] in ("interrupted", "patience")
    text = "" if early else missed(session.promises, actual)
    if text:
        session.listen(Noted(code="promise-missed", text=text))


def view_seconds(runtime: Runtime) -> float:
    """Measure what one picture takes in an engine, where no picture is left to look at."""
    pixels = np.zeros((_SHOWN, *runtime.shape), np.uint8)
    taken = []
    for _ in range(3):
        began = time.perf_counter()
        runtime.run(pixels, ("features",))
        taken.append(time.perf_counter() - began)
    return sorted(taken)[1] / _SHOWN


def _pass_s(n: int, width: int, n_outputs: int) -> tuple[float, float]:
    """Measure what a pass over the training part takes: for a row, and whatever their number.

    Three products of this very shape: answers, gradient, and the direction of the step.
    """
    rows, weights = np.ones((n, width), np.float32), np.ones((width, n_outputs), np.float32)
    turned = np.ones((width, width), np.float32)
    of_rows, fixed = [], []
    for _ in range(5):
        began = time.perf_counter()
        rows.T @ (rows @ weights)
        half = time.perf_counter()
        turned @ weights
        of_rows.append(half - began)
        fixed.append(time.perf_counter() - half)
    return _HARD_ROWS * sorted(of_rows)[2] / n, _HARD_FIXED * sorted(fixed)[2]
