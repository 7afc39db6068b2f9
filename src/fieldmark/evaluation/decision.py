"""From scores to a decision with a promise: accept, unsure, unknown.

Pure NumPy. Everything here looks at margins, the first class's logit minus the second's, and not at
scores: a temperature stretches all margins alike, so the same validation pictures serve to fit it
and to bound the errors, and the bound stays exact.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from fieldmark.evaluation.metrics import Labels

Decision = Literal["accept", "unsure", "unknown"]

DECISIONS: Final[tuple[Decision, ...]] = ("accept", "unsure", "unknown")
MAX_EXCESS: Final = 5.0
"""A promise weaker than so many times the error that was asked for is not made."""
MARGINS: Final[NDArray[np.float64]] = np.concatenate([[0.0], np.geomspace(0.01, 100.0, 240)])
"""The margins that are tried; fixed before any picture is seen."""
_FIRST: Final = 0.1
"""Share of the validation pictures that the first test accepts at least: one unlucky error among a
few dozen would end the search."""
_START: Final = 0.75
"""Share of too few validation pictures that the weaker promise is made for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Acceptance:
    """From which margin on an answer is accepted, and what is promised of those."""

    margin: float | None
    """At least this, in logits; None: nothing is accepted, because nothing could be promised."""
    error: float | None
    """The promised bound of the share of wrong answers among accepted ones, in (0, 1)."""
    asked: float
    """The bound that was asked for."""
    confidence: float
    n: int
    """Validation pictures that were not unknown."""
    n_accepted: int
    n_wrong: int
    """Of the accepted ones."""
    exact: bool = True
    """Whether the validation part had no other use; else the bound is about right."""

    @property
    def text(self) -> str:
        """What is promised and what is not, for people."""
        return self.said()

    def said(self, *, grouped: bool = False) -> str:
        """Say it; ``grouped``: of the validation pictures one of each group was counted."""
        sure, asked = f"{100 * self.confidence:g} %", _percent(self.asked)
        what, like = "validation pictures", "for pictures like these"
        if grouped:
            what, like = (
                "validation groups",
                "one picture of each group counted, for groups like these",
            )
        counts = f"{self.n_wrong:,} of {self.n_accepted:,} accepted {what} are wrong"
        needed = n_needed(self.asked, self.confidence)
        if self.margin is None or self.error is None:
            if self.n < needed:
                why = f"{needed:,} {what} are needed, there are {self.n:,}"
            else:
                why = f"too many of the surest of {self.n:,} {what} are wrong"
            return f"Nothing is accepted: an error of {asked} cannot be promised; {why}."
        words = f"With {sure} confidence at most {_percent(self.error)} of the accepted answers "
        words += f"are wrong, {like} ({counts}, of {self.n:,})."
        if self.error > self.asked:
            why = f"needs {needed:,} {what}" if self.n < needed else "is out of reach"
            words += f" The {asked} that was asked for {why}."
        if not self.exact:
            words += " The validation part was used while training too: about right, not exact."
        return words


def margins(logits: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return how far the first class is ahead of the second, in logits, at least 0.

    Examples
    --------
    >>> margins(np.array([[1.0, 4.0, 2.5]])).tolist()
    [1.5]
    """
    values = np.asarray(logits, np.float64)
    if values.shape[1] < 2:
        return np.full(len(values), np.inf)
    two = np.partition(values, -2, axis=1)[:, -2:]
    return np.asarray(two[:, 1] - two[:, 0])


def at_most(n_wrong: int, n: int, rate: float) -> float:
    """Return the probability of at most ``n_wrong`` errors in ``n``, each with ``rate``.

    Examples
    --------
    >>> round(at_most(0, 59, 0.05), 4)
    0.0485
    """
    if n_wrong >= n or rate <= 0:
        return 1.0
    if rate >= 1:
        return 0.0
    steps = np.arange(n_wrong, dtype=np.float64)
    chosen = np.concatenate([[0.0], np.cumsum(np.log((n - steps) / (steps + 1)))])
    counts = np.arange(n_wrong + 1)
    logs = chosen + counts * math.log(rate) + (n - counts) * math.log1p(-rate)
    highest = float(logs.max())
    return min(1.0, float(np.exp(logs - highest).sum()) * math.exp(highest))


def upper_bound(n_wrong: int, n: int, confidence: float = 0.95) -> float:
    """Bound an error rate from above, exactly (one-sided).

    Parameters
    ----------
    n_wrong, n : int
        Errors among so many independent examples.
    confidence : float, default=0.95
        In (0, 1).

    Returns
    -------
    float
        In (0, 1]; 1 without examples.

    References
    ----------
    Clopper and Pearson, "The use of confidence or fiducial limits", Biometrika 1934.

    Examples
    --------
    >>> round(upper_bound(0, 59), 4), round(upper_bound(3, 100), 4)
    (0.0495, 0.0757)
    """
    if n_wrong >= n:
        return 1.0
    low, high = n_wrong / n, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (
            (middle, high) if at_most(n_wrong, n, middle) > 1 - confidence else (low, middle)
        )
    return high


def n_needed(error: float, confidence: float = 0.95, n_wrong: int = 0) -> int:
    """Return how many accepted pictures it takes to promise an error, with so many of them wrong.

    Examples
    --------
    >>> n_needed(0.05), n_needed(0.01), n_needed(0.05, n_wrong=1)
    (59, 299, 93)
    """
    low, high = n_wrong, 1 + n_wrong
    while at_most(n_wrong, high, error) > 1 - confidence:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        enough = at_most(n_wrong, middle, error) <= 1 - confidence
        low, high = (low, middle) if enough else (middle, high)
    return high


def accept(
    logits: NDArray[np.floating],
    labels: Labels,
    *,
    error: float = 0.05,
    confidence: float = 0.95,
    exact: bool = True,
) -> Acceptance:
    """Choose the smallest margin from which on the error is bounded.

    The margins of :data:`MARGINS` are tested from the strictest that accepts enough pictures
    downwards, each by an exact binomial test at the full confidence; the last one before the first
    failure is taken. Which is tested next depends on how many pictures a margin accepts and never
    on how many of those are wrong, so the probability that the chosen margin breaks the promise is
    at most 1 - confidence, whatever the network and the data.

    Where even the first test fails, its own upper bound is promised instead, up to
    :data:`MAX_EXCESS` times what was asked; that keeps the same confidence.

    Parameters
    ----------
    logits : float array of shape (n, n_classes)
        Of validation pictures that are not unknown.
    labels : int array of shape (n,)
    error : float, default=0.05
        Share of wrong answers among accepted ones, in (0, 1).
    confidence : float, default=0.95
    exact : bool, default=True
        Whether the pictures had no other use.

    References
    ----------
    Geifman and El-Yaniv, "Selective classification for deep neural networks", NeurIPS 2017;
    Angelopoulos et al., "Learn then test", 2021 (fixed sequence testing).

    Examples
    --------
    >>> logits = np.array([[3.0, 0.0]] * 100)
    >>> found = accept(logits, np.array([0] * 99 + [1]))
    >>> found.error, found.n_accepted, found.n_wrong
    (0.05, 100, 1)
    """
    ahead = margins(logits)
    wrong = np.asarray(logits).argmax(axis=1) != labels
    n = len(ahead)
    order = np.argsort(ahead, kind="stable")
    n_above = n - np.searchsorted(ahead[order], MARGINS)
    n_wrong = np.append(np.cumsum(wrong[order][::-1])[::-1], 0)[n - n_above]
    first = _first(n_above, n, error, confidence)
    chosen = None
    for at in range(first, -1, -1):
        if at_most(int(n_wrong[at]), int(n_above[at]), error) > 1 - confidence:
            break
        chosen = at
    promised = error
    if chosen is None and n:
        promised = upper_bound(int(n_wrong[first]), int(n_above[first]), confidence)
        chosen = first if promised <= min(0.5, MAX_EXCESS * error) else None
    return Acceptance(
        margin=None if chosen is None else float(MARGINS[chosen]),
        error=None if chosen is None else promised,
        asked=error,
        confidence=confidence,
        n=n,
        n_accepted=0 if chosen is None else int(n_above[chosen]),
        n_wrong=0 if chosen is None else int(n_wrong[chosen]),
        exact=exact,
    )


def _first(n_above: NDArray[np.int64], n: int, error: float, confidence: float) -> int:
    """Return the strictest margin that accepts enough: so many that chance does little harm."""
    wanted = max(n_needed(error, confidence, n_wrong=1), math.ceil(_FIRST * n))
    if n < wanted:
        wanted = n_needed(error, confidence)
    if n < wanted:
        wanted = math.ceil(_START * n)
    return int(np.flatnonzero(n_above >= wanted).max(initial=0))


def set_margin(
    logits: NDArray[np.floating], labels: Labels, confidence: float = 0.95
) -> float | None:
    """Return how far behind the first class others belong to a prediction set.

    Split conformal prediction: the set of all classes at most this far behind the first holds the
    right one with the stated probability, on average over pictures like these. It is never empty.

    Parameters
    ----------
    logits : float array of shape (n, n_classes)
        Of validation pictures.
    labels : int array of shape (n,)
    confidence : float, default=0.95

    Returns
    -------
    float or None
        In logits; None where there are fewer than ``1 / (1 - confidence) - 1`` pictures.

    References
    ----------
    Vovk, Gammerman and Shafer, "Algorithmic learning in a random world", 2005.

    Examples
    --------
    >>> logits = np.array([[2.0, 0.0]] * 19)
    >>> set_margin(logits, np.array([0] * 18 + [1])), set_margin(logits[:18], np.zeros(18, int))
    (2.0, None)
    """
    values = np.asarray(logits, np.float64)
    n = len(values)
    rank = math.ceil(confidence * (n + 1) - 1e-9)
    if rank > n or not n:
        return None
    behind = values.max(axis=1) - values[np.arange(n), labels]
    return float(np.sort(behind)[rank - 1])


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %"
