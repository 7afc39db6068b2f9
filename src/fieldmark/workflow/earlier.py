"""The newest earlier run on the same test pictures, beside a result. Reads only.

Its answers are those that its own training wrote down: no model is opened. Whatever is wrong with
an earlier run, it is passed over: a training never fails for what lies beside it.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from fieldmark import runs
from fieldmark.config import read as read_settings
from fieldmark.data.manifest import Example, Manifest
from fieldmark.errors import FieldmarkError
from fieldmark.evaluation.baselines import Baseline, baseline
from fieldmark.evaluation.comparison import MIN_UNITS
from fieldmark.evaluation.wording import counted
from fieldmark.workflow import own_answers
from fieldmark.workflow.measuring import learned_from
from fieldmark.workflow.parts import labels_of

MAX_RUNS: Final = 10
"""Earlier runs of the same data that are looked at, newest first."""
MAX_BYTES: Final = 1 << 25
"""Of a list of answers; reading a longer one takes seconds."""
_DAMAGED: Final = (FieldmarkError, OSError, KeyError, ValueError, csv.Error)
"""What reading a run can end in: its lists may be gone, cut off, or another program's."""


@dataclass(frozen=True, eq=False)
class TestPart:
    """The test part, and what a model had right of it."""

    __test__ = False  # the name is no test's

    manifest: Manifest
    at: NDArray[np.int64]
    """(n,): its examples in the manifest."""
    right: NDArray[np.bool_]
    """(n,): whether the model's answer was the label."""
    groups: NDArray[np.int64]
    """(n,): equal for pictures that belong together."""
    seed: int

    @property
    def labels(self) -> NDArray[np.int64]:
        """(n,): indices into the classes."""
        return labels_of(self.manifest)[self.at]

    @property
    def examples(self) -> list[Example]:
        """The test pictures, in order."""
        return [self.manifest.examples[at] for at in self.at]


@dataclass(frozen=True, slots=True)
class EarlierRuns:
    """The finished runs beside a run that is about to be one."""

    own: runs.RunFolder
    data: str
    """The folder or list it learns from, as its settings name it."""

    def newest(self, part: TestPart) -> Baseline | None:
        """Measure the newest run that answered at least ten of the same pictures.

        Pictures count that neither learned from, matched by content, with the same label in both.
        None: there is no such run.

        Parameters
        ----------
        part : TestPart
            Of the run that is about to be finished.
        """
        for run in self._candidates():
            try:
                found = _beside(run, part)
            except _DAMAGED:
                continue
            if found is not None:
                return found
        return None

    def _candidates(self) -> Iterator[runs.RunFolder]:
        """Yield finished runs of the same data, newest first."""
        try:
            others = [run for run in runs.listed(self.own.path.parent) if run.finished]
        except OSError:
            return
        n = 0
        for run in reversed(others):
            if run.path != self.own.path and self._same_data(run.path):
                n += 1
                yield run
            if n == MAX_RUNS:
                return

    def _same_data(self, folder: Path) -> bool:
        if folder.name.rpartition("-")[0] == self.own.name.rpartition("-")[0]:
            return True
        try:
            return read_settings(folder / "config.toml").data.folder == self.data
        except _DAMAGED:
            return False


def _beside(run: runs.RunFolder, part: TestPart) -> Baseline | None:
    """Measure one run; None where it says too little of these pictures."""
    if (run.path / "predictions.csv").stat().st_size > MAX_BYTES:
        return None
    told = own_answers.read(run.bundle)
    if set(told.classes) != set(part.manifest.classes):
        return None
    learned = learned_from(run.path / "data.csv")
    examples = part.examples
    common = [
        place
        for place, each in enumerate(examples)
        if each.sha256 in told.answers
        and each.sha256 not in learned
        and told.answers[each.sha256].label == each.label
    ]
    n = len(part.at)
    if len(common) < min(MIN_UNITS, n):
        return None
    answers = [told.answers[examples[place].sha256] for place in common]
    right = np.array([each.answer == each.label for each in answers])
    of = "the same" if len(common) == n else f"{len(common):,} of the"
    what = f"The earlier run {run.name}, as its training measured it on {of} {counted(n)}."
    return baseline(run.name, what, part.right[common], right, part.groups[common], part.seed)
