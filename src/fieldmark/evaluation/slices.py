"""Kinds of pictures on which a model is worse than elsewhere, with care for having looked at many.

Pure. Every fact that is known of the pictures sorts them into parts (``fact_parts.py``); each part
is held against all other pictures of which the fact is known. Of 30 parts one or two stand out at
the level of 5 % by chance alone, so all p-values are adjusted together (Holm): the chance that a
report calls even one part worse that is not stays at most 5 %.

What is found is where the model is worse, not why: dark pictures may also be those of one camera.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from fieldmark.errors import UsageError
from fieldmark.evaluation.association import Factorials, fisher, grouped_test
from fieldmark.evaluation.fact_parts import SCALES, Values, parts
from fieldmark.evaluation.intervals import effective_n, nothing_to_measure, wilson_rate
from fieldmark.evaluation.measurement import Measurement
from fieldmark.evaluation.paired import holm
from fieldmark.evaluation.wording import counted, percent, printable

SIGNIFICANT: Final = 0.05
"""Chance of even one false alarm among all slices of a report."""
MAX_LINES: Final = 3

Groups = NDArray[np.integer[Any]] | None
"""(n,): which pictures belong together; None: each stands alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice:
    """The test pictures that share one value of one fact."""

    fact: str
    """``brightness``, ``size``, ``group``, or the name of a column of the user's table."""
    value: str
    """For people: ``darkest quarter (mean grey below 61 of 255)``."""
    accuracy: Measurement
    rest: Measurement
    """Accuracy of all other pictures that have the fact."""
    p_value: float
    """That slice and rest differ so much by chance."""
    p_adjusted: float
    """The same, for all slices that were looked at together (Holm)."""

    @property
    def worse(self) -> bool:
        """Whether the model is surely worse here than elsewhere."""
        return self.p_adjusted < SIGNIFICANT and self.accuracy.value < self.rest.value

    @property
    def name(self) -> str:
        """Fact and value in one: ``weather: rain``; a value that says its fact stands alone."""
        return self.value if self.fact in SCALES else f"{printable(self.fact)}: {self.value}"

    def __str__(self) -> str:
        own = self.accuracy
        low, high = f"{100 * own.low:.0f}", f"{100 * own.high:.0f}"
        rest = f"against {percent(self.rest.value)} elsewhere"
        return f"{self.name} {own.text} ({low} to {high}, {counted(own.n)}) {rest}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Slices:
    """All slices that were looked at, the most telling first."""

    found: tuple[Slice, ...]
    n_facts: int
    not_looked_at: tuple[str, ...] = ()
    """Facts without two values of enough pictures each, one sentence each."""

    @property
    def worse(self) -> tuple[Slice, ...]:
        """Those on which the model is surely worse than elsewhere."""
        return tuple(each for each in self.found if each.worse)

    def lines(self) -> list[str]:
        """Say the worst of them for a report, at most :data:`MAX_LINES` lines; none is good news.

        Examples
        --------
        >>> facts = {"weather": ["rain"] * 100 + ["sun"] * 300}
        >>> right = np.arange(400) % 5 > 0
        >>> right[:60] = False
        >>> slices(right, facts).lines()
        ['worse on: weather: rain 32.0 % (24 to 42, 100 pictures) against 80.0 % elsewhere']
        """
        return [f"worse on: {each}" for each in self.worse[:MAX_LINES]]

    def table(self) -> list[str]:
        """Say all of them, one line each, the most telling first, and what was not looked at."""
        found = [
            f"{each.accuracy.text:>7}  {each.accuracy.short_interval:>10}  {each.accuracy.n:>6,}"
            f"    {each.rest.text:>7}  {each.p_adjusted:.3f}  {each.name}"
            for each in self.found
        ]
        heading = "  right      (95 %)       n  elsewhere  p     slice (p: of all slices together)"
        return [*([heading] if found else []), *found, *self.not_looked_at]

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> Slices:
        """Read what ``dataclasses.asdict`` gives.

        Raises
        ------
        KeyError, TypeError, ValueError
            For fields that are missing or misshapen.
        """
        return cls(
            found=tuple(_read(each) for each in fields["found"]),
            n_facts=int(fields["n_facts"]),
            not_looked_at=tuple(map(str, fields["not_looked_at"])),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Nearest:
    """One training picture that lies near a test picture."""

    file: str
    """Relative to the data folder."""
    label: str
    similarity: float
    """Cosine of the two rows of features, in [-1, 1]."""


def slices(
    right: NDArray[np.bool_],
    facts: Mapping[str, Values],
    *,
    groups: Groups = None,
    groups_of: Mapping[str, Groups] | None = None,
) -> Slices:
    """Find the kinds of pictures on which answers are right more or less often than elsewhere.

    Parameters
    ----------
    right : bool array of shape (n,)
        Whether each answer is right; at least one.
    facts : mapping of str to float array of shape (n,), or to n texts
        Facts by their names; NaN or an empty text: not known of this picture.
    groups : int array of shape (n,), optional
        Pictures that belong together: they are one accident when they are wrong together.
    groups_of : mapping, optional
        The same for single facts. A fact that *is* the group needs it: whether one film is harder
        than the others is asked of its frames.

    Returns
    -------
    Slices
        By p-value, the smallest first. Of a fact with two parts only the worse one: the other is
        its rest. The same answers and facts give the same slices; nothing is drawn.

    Raises
    ------
    DataError
        Code ``nothing-to-measure`` when there are no answers.
    UsageError
        Code ``bad-scores`` when a fact or the groups do not fit the answers.

    References
    ----------
    S. Holm, "A simple sequentially rejective multiple test procedure", Scandinavian Journal of
    Statistics 1979; the tests are those of :mod:`fieldmark.evaluation.association`.

    Examples
    --------
    >>> right = np.array([True] * 150 + [False] * 50)
    >>> found = slices(right, {"brightness": np.arange(200.0)[::-1]})
    >>> found.found[0].value
    'darkest quarter (mean grey below 50 of 255)'
    """
    answers = np.asarray(right, np.bool_)
    if not len(answers):
        raise nothing_to_measure()
    factorials = Factorials(len(answers))
    found: list[Slice] = []
    notes: list[str] = []
    n_facts = 0
    for fact, values in facts.items():
        together = (groups_of or {}).get(fact, groups)
        _check_fit(fact, len(answers), values, together)
        sorted_ = parts(fact, values)
        notes += [sorted_.note] if sorted_.note else []
        n_facts += bool(sorted_.names)
        asked = _Asked(answers, sorted_.known, together, factorials)
        each = [asked.slice(fact, name, sorted_.of == at) for at, name in enumerate(sorted_.names)]
        complete = len(each) == 2 and (sorted_.of[sorted_.known] >= 0).all()
        found += [min(each, key=lambda one: one.accuracy.value)] if complete else each
    return Slices(found=_adjusted(found), n_facts=n_facts, not_looked_at=tuple(notes))


class _Asked:
    """The answers of the pictures of which one fact is known."""

    def __init__(
        self,
        right: NDArray[np.bool_],
        known: NDArray[np.bool_],
        groups: Groups,
        factorials: Factorials,
    ) -> None:
        self._known = known
        self._right = right[known]
        self._factorials = factorials
        self._groups: NDArray[np.int64] | None = None
        if groups is not None:
            numbers = np.unique(groups[known], return_inverse=True)[1].reshape(-1)
            alone = len(numbers) and numbers.max() + 1 == len(numbers)
            self._groups = None if alone else numbers.astype(np.int64)

    def slice(self, fact: str, value: str, members: NDArray[np.bool_]) -> Slice:
        inside = members[self._known]
        n, n_right = int(inside.sum()), int(self._right[inside].sum())
        others, others_right = len(inside) - n, int(self._right.sum()) - n_right
        table = (n - n_right, n_right, others - others_right, others_right)
        p_value = fisher(table, self._factorials)
        if self._groups is not None:
            # Groups never make a difference surer.
            told = grouped_test(self._right, inside, self._groups, self._factorials)
            p_value = max(p_value, told)
        return Slice(
            fact=fact,
            value=value,
            accuracy=self._share("accuracy", inside),
            rest=self._share("accuracy elsewhere", ~inside),
            p_value=p_value,
            p_adjusted=p_value,
        )

    def _share(self, name: str, among: NDArray[np.bool_]) -> Measurement:
        seen = self._right[among]
        n, rate = len(seen), float(seen.mean())
        if self._groups is None:
            return Measurement(name, rate, *wilson_rate(rate, n), n)
        groups = self._groups[among]
        n_groups = int((np.bincount(groups) > 0).sum())
        ends = wilson_rate(rate, effective_n(seen, groups))
        return Measurement(name, rate, *ends, n, n_groups=n_groups)


def _adjusted(found: list[Slice]) -> tuple[Slice, ...]:
    """Adjust all p-values together, and put the most telling slice first."""
    adjusted = holm([each.p_value for each in found])
    careful = [
        dataclasses.replace(each, p_adjusted=p) for each, p in zip(found, adjusted, strict=True)
    ]
    return tuple(sorted(careful, key=lambda each: (each.p_value, each.fact, each.value)))


def _check_fit(fact: str, n: int, values: Values, groups: Groups) -> None:
    if len(values) != n or (groups is not None and groups.shape != (n,)):
        raise UsageError(
            f"The fact {fact!r} is told of {len(values)} pictures, and {n} were answered.",
            code="bad-scores",
            why="A slice of other pictures would say nothing about these answers.",
            hint="pass one value and one group per answer, in the same order",
        )


def _read(fields: dict[str, Any]) -> Slice:
    return Slice(
        fact=str(fields["fact"]),
        value=str(fields["value"]),
        accuracy=Measurement.from_dict(fields["accuracy"]),
        rest=Measurement.from_dict(fields["rest"]),
        p_value=float(fields["p_value"]),
        p_adjusted=float(fields["p_adjusted"]),
    )
