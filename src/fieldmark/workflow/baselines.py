"""What simple rules say of the test part: colours, the nearest picture, the commonest class.

They learn from the training part alone, have nothing to be chosen, and are asked after the model
has answered: no choice depends on them. Their work is bounded (:data:`MAX_KNOWN`, :data:`WORK`), so
a folder of any size costs about a second.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from fieldmark.config import Settings
from fieldmark.data import cache
from fieldmark.data.looks import Looks, look_at
from fieldmark.data.manifest import Manifest
from fieldmark.errors import FieldmarkError
from fieldmark.evaluation.baselines import COLOURS, MOST_FREQUENT, NEAREST, Baseline, baseline
from fieldmark.evaluation.nearest import nearest
from fieldmark.evaluation.wording import counted, printable
from fieldmark.modalities.looking import THUMB
from fieldmark.training.head import HeadSettings, Rows, solve
from fieldmark.workflow.deciding import Evidence
from fieldmark.workflow.earlier import EarlierRuns, TestPart
from fieldmark.workflow.parts import labels_of, positions, spread

MAX_KNOWN: Final = 4000
"""Training pictures that a rule learns from, evenly taken."""
MIN_KNOWN: Final = 500
WORK: Final = 20_000_000_000
"""Multiplications for the nearest pictures, about a second on two cores; for many test pictures
fewer training pictures are taken, down to :data:`MIN_KNOWN`."""
SIDE: Final = 32
"""Pixels each way of the thumbnails that are compared where there are no features."""
_BLOCK: Final = 1024
_LOGITS: Final = 1_000_000
"""Training pictures times classes; more classes take fewer pictures."""
_STRENGTHS: Final = (0.001, 0.01, 0.1)


class Nearest:
    """Answer with the label of the most similar training picture: cosine, the first of equals.

    Test pictures are given block by block, so that their features need not be kept.

    Examples
    --------
    >>> rule = Nearest(np.eye(2, dtype=np.float32), np.array([7, 8]), n_test=3)
    >>> rule.ask(np.array([[1, 0.2], [0, 3]], np.float32))
    >>> rule.ask(np.array([[5, 1]], np.float32))
    >>> rule.answers.tolist()
    [7, 8, 7]
    """

    def __init__(
        self, known: NDArray[np.float32], labels: NDArray[np.int64], *, n_test: int
    ) -> None:
        at = spread(np.arange(len(known)), _n_known(n_test, known.shape[1]))
        self._known, self._labels = known[at], labels[at]
        self._answers: list[NDArray[np.int64]] = []
        self._usable = len(at) > 0

    @classmethod
    def of(cls, evidence: Evidence | None, n_test: int) -> Nearest:
        """Take the training features that a solved head left; without them nothing is answered."""
        if evidence is None:
            return cls(np.empty((0, 1), np.float32), np.empty(0, np.int64), n_test=n_test)
        return cls(evidence.known, evidence.known_labels, n_test=n_test)

    @property
    def n_known(self) -> int:
        """Training pictures that are compared with."""
        return len(self._known)

    @property
    def answers(self) -> NDArray[np.int64] | None:
        """(n_test,): a label for each picture; None where features were missing."""
        return np.concatenate(self._answers) if self._usable and self._answers else None

    def ask(self, features: NDArray[np.float32] | None) -> None:
        """Answer a few more test pictures, (n, n_features); None: theirs are not known."""
        self._usable &= features is not None and features.shape[1:] == self._known.shape[1:]
        if features is None or not self._usable:
            return
        found, _ = nearest(features, self._known, 1)
        self._answers.append(self._labels[found[:, 0]])


def beside_it(
    part: TestPart,
    baseline_class: str,
    *,
    closest: Nearest,
    looks: Looks | None,
    earlier: EarlierRuns,
) -> tuple[Baseline, ...]:
    """Measure every rule on the test part, the commonest class first, an earlier run last.

    Parameters
    ----------
    part : TestPart
        With what the model had right.
    baseline_class : str
        The most frequent class of the training part.
    closest : Nearest
        That was asked about every test picture, if there are features.
    looks : Looks or None
        Of training and test pictures; without them nothing is said of colours, nor of thumbnails.
    earlier : EarlierRuns
    """
    always = part.labels == part.manifest.classes.index(baseline_class)
    what = f'Always answers "{printable(baseline_class)}", most frequent in the training part.'
    found = [_measured(part, MOST_FREQUENT, what, always)]
    seen = _Seen.of(part, looks) if looks is not None else None
    if seen is not None:
        answers = _by_colours(seen, part.seed)
        if answers is not None:
            what = (
                "A linear rule on how often each of 64 colours occurs, learned from "
                f"{counted(len(seen.known), 'training picture')}."
            )
            found.append(_measured(part, COLOURS, what, answers == part.labels))
    by, close = "the features of the backbone", closest
    if closest.answers is None and seen is not None:
        by, close = f"grey thumbnails of {SIDE}x{SIDE} pixels", _by_thumbnails(seen)
    if close.answers is not None:
        pictures = counted(close.n_known, "training picture")
        what = f"Answers with the label of the most similar of {pictures}, by {by}."
        found.append(_measured(part, NEAREST, what, close.answers == part.labels))
    before = earlier.newest(part)
    return (*found, *((before,) if before else ()))


def looked_again(
    manifest: Manifest, at: NDArray[np.int64], settings: Settings, threads: int
) -> Looks | None:
    """Look at the test pictures ``at`` and at some for training, for a folder audited earlier.

    With a cache nothing is decoded for it. None where that fails: a rule is no reason to lose a
    training.
    """
    some = np.concatenate([spread(positions(manifest, "train"), MAX_KNOWN), at])
    fewer = dataclasses.replace(manifest, examples=tuple(manifest.examples[i] for i in some))
    try:
        directory = cache.safe_directory(manifest.root) if settings.run.cache else None
        return look_at(fewer, threads=threads, directory=directory, refuse=False)[1]
    except (FieldmarkError, OSError):
        return None


@dataclass(frozen=True, slots=True)
class _Seen:
    """Rows of the looks: of training pictures with their labels, and of all test pictures."""

    looks: Looks
    known: NDArray[np.int64]
    labels: NDArray[np.int64]
    asked: NDArray[np.int64]
    n_classes: int

    @classmethod
    def of(cls, part: TestPart, looks: Looks) -> _Seen | None:
        examples, row_of = part.manifest.examples, looks.row_of
        asked = [row_of.get(examples[at].sha256, -1) for at in part.at]
        train = positions(part.manifest, "train")
        train = train[[examples[at].sha256 in row_of for at in train]]
        train = spread(train, MAX_KNOWN) if len(train) else train
        if min(asked, default=-1) < 0 or not len(train):
            return None
        known = np.array([row_of[examples[at].sha256] for at in train], np.int64)
        labels = labels_of(part.manifest)[train]
        n_classes = len(part.manifest.classes)
        return cls(looks, known, labels, np.array(asked, np.int64), n_classes)


def _by_colours(seen: _Seen, seed: int) -> NDArray[np.int64] | None:
    """Answer from colours; None where only one class is left to learn from."""
    n = max(MIN_KNOWN, min(MAX_KNOWN, _LOGITS // seen.n_classes))
    at = spread(np.arange(len(seen.known)), n)
    present, labels = np.unique(seen.labels[at], return_inverse=True)
    if len(present) < 2:
        return None
    rows = Rows(
        features=_colours(seen.looks, seen.known[at]),
        labels=labels.reshape(-1).astype(np.int64),
        # Each alone: groups of many would cost minutes, and only the strength depends on them.
        groups=np.arange(len(at)),
        original=np.ones(len(at), np.bool_),
    )
    settings = HeadSettings(method="ridge", strengths=_STRENGTHS)
    head = solve(rows, n_classes=len(present), settings=settings, seed=seed)
    answers = [
        head.logits(_colours(seen.looks, seen.asked[start : start + _BLOCK])).argmax(axis=1)
        for start in range(0, len(seen.asked), _BLOCK)
    ]
    found: NDArray[np.int64] = present[np.concatenate(answers)]
    return found


def _by_thumbnails(seen: _Seen) -> Nearest:
    at = spread(np.arange(len(seen.known)), _n_known(len(seen.asked), SIDE * SIDE))
    known = _thumbnails(seen.looks, seen.known[at])
    rule = Nearest(known, seen.labels[at], n_test=len(seen.asked))
    for start in range(0, len(seen.asked), _BLOCK):
        rule.ask(_thumbnails(seen.looks, seen.asked[start : start + _BLOCK]))
    return rule


def _colours(looks: Looks, at: NDArray[np.int64]) -> NDArray[np.float32]:
    """Return (n, 64) square roots of shares: their distances are Hellinger's."""
    return np.sqrt(_field(looks, "colors", at).astype(np.float32))


def _thumbnails(looks: Looks, at: NDArray[np.int64]) -> NDArray[np.float32]:
    """Return (n, 1024) small grey pictures less their mean: brightness is no likeness."""
    step = THUMB // SIDE
    blocks = _field(looks, "thumb", at).reshape(len(at), SIDE, step, SIDE, step)
    small = blocks.mean(axis=(2, 4), dtype=np.float32).reshape(len(at), SIDE * SIDE)
    found: NDArray[np.float32] = small - small.mean(axis=1, keepdims=True)
    return found


def _field(looks: Looks, name: str, at: NDArray[np.int64]) -> NDArray[Any]:
    return looks.rows[name][at]  # the field first: whole rows would be copied, thumbnails and all


def _n_known(n_test: int, width: int) -> int:
    """Return how many training pictures there is time to compare every test picture with."""
    return max(MIN_KNOWN, min(MAX_KNOWN, WORK // max(1, n_test * width)))


def _measured(part: TestPart, name: str, what: str, right: NDArray[np.bool_]) -> Baseline:
    return baseline(name, what, part.right, right, part.groups, part.seed)
