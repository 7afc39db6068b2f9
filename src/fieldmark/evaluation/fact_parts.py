"""From what is known of every picture to parts that can be held against the rest. Pure.

Numbers are cut where about as many pictures lie below each cut as above it: quarters where there
are enough, else thirds or halves. Equal numbers stay together. Words are taken as they are; rare
ones make one part together.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from fieldmark.evaluation.wording import counted, printable

FEW: Final = 20
"""Pictures that a part needs, and so does what it is held against."""
MOST_VALUES: Final = 50
"""Words of one fact that are looked at one by one, the most frequent ones."""
_NAMES: Final = {2: "half", 3: "third", 4: "quarter"}
_ABOUT: Final = 0.05
"""A part within so much of a quarter of the pictures is called one."""

Numbers = NDArray[np.floating] | NDArray[np.integer]
Values = Numbers | Sequence[str]
"""Of one fact, one per picture; NaN or an empty text: not known."""


@dataclass(frozen=True, slots=True)
class Scale:
    """How numbers of one fact are said."""

    lowest: str = "lowest"
    highest: str = "highest"
    what: str = ""
    """What the numbers are, where the name of the fact does not say it."""
    unit: str = ""


SCALES: Final[Mapping[str, Scale]] = {
    "brightness": Scale("darkest", "brightest", "mean grey", " of 255"),
    "contrast": Scale("lowest-contrast", "highest-contrast", "spread of grey", " of 128"),
    "blur": Scale("sharpest", "most blurred", "blur", " of 1"),
    "size": Scale("smallest", "largest", "", " pixels"),
    "shape": Scale("narrowest", "widest", "width / height"),
    "JPEG quality": Scale("most compressed", "least compressed", "quality", " of 100"),
    "file size": Scale("smallest-file", "largest-file", "", " kB"),
}
"""Facts whose values say by themselves which fact it is."""


@dataclass(frozen=True, slots=True, eq=False)
class Parts:
    """The pictures of one fact, sorted into parts."""

    names: tuple[str, ...]
    """Of each part, for people; none where there are no two parts of enough pictures."""
    of: NDArray[np.int64]
    """(n,), indices into ``names``; -1: in none of them."""
    known: NDArray[np.bool_]
    """(n,): whether the fact is known of the picture."""
    note: str = ""
    """What was not looked at, one sentence; may be empty."""


def parts(fact: str, values: Values) -> Parts:
    """Sort pictures by what one fact says of them.

    Parameters
    ----------
    fact : str
        Its name.
    values : float array of shape (n,), or n texts

    Returns
    -------
    Parts

    Examples
    --------
    >>> parts("brightness", np.arange(100.0)).names[0]
    'darkest quarter (mean grey below 25 of 255)'
    >>> parts("weather", ["rain"] * 30 + ["sun"] * 40 + ["fog"] * 2).names
    ('sun', 'rain')
    """
    if isinstance(values, np.ndarray) and values.dtype.kind in "iufb":
        return _of_numbers(fact, np.asarray(values, np.float64))
    return _of_texts(fact, [str(each) for each in values])


def _of_numbers(fact: str, values: NDArray[np.float64]) -> Parts:
    known = np.isfinite(values)
    some = values[known]
    of = np.full(len(values), -1, np.int64)
    different, n_each = np.unique(some, return_counts=True)
    firsts = _firsts(n_each)
    if not len(firsts):
        return Parts((), of, known, _too_few(fact, len(some), len(different)))
    of[known] = np.searchsorted(different[firsts], some, side="right")
    edges = [0, *firsts.tolist(), len(different)]
    shares = np.bincount(of[known]) / len(some)
    scale = SCALES.get(fact, Scale())
    names = []
    for at, share in enumerate(shares.tolist()):
        ends = different[edges[at]], different[edges[at + 1] - 1]
        after = different[firsts[at]] if at < len(firsts) else None
        names.append(f"{_where(at, len(shares), share, scale)} ({_span(ends, after, at, scale)})")
    return Parts(tuple(names), of, known)


def _firsts(n_each: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return which of the different values, in order, begin a new part."""
    n, below = int(n_each.sum()), np.cumsum(n_each)
    n_parts = min(max(_NAMES), n // FEW)
    found: list[int] = []
    last = 0
    for part in range(1, n_parts):
        if len(below) < 2:
            break
        # The boundary between two different values that lies nearest to the quantile.
        at = int(np.abs(below[:-1] - n * part / n_parts).argmin())
        if below[at] - last >= FEW and n - below[at] >= FEW:
            found.append(at + 1)
            last = int(below[at])
    return np.array(found, np.int64)


def _where(at: int, n: int, share: float, scale: Scale) -> str:
    near = [name for parts, name in _NAMES.items() if abs(share - 1 / parts) <= _ABOUT]
    # 0.29 is within reach of a third and a quarter: how many parts there are decides.
    how_much = _NAMES[n] if n in _NAMES and _NAMES[n] in near else f"{100 * share:.0f} %"
    if at in (0, n - 1):
        return f"{scale.highest if at else scale.lowest} {how_much}"
    if n == 3:
        return f"middle {how_much}"
    return f"second {scale.lowest if at == 1 else scale.highest} {how_much}"


def _span(ends: tuple[float, float], after: float | None, at: int, scale: Scale) -> str:
    low, high = ends
    if low == high:
        said = _number(low)
    elif after is None:
        said = f"{_number(low)} and more"
    elif at == 0:
        said = f"below {_number(after)}"
    else:
        said = f"{_number(low)} to {_number(after)}"
    return f"{scale.what} {said}{scale.unit}".strip()


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def _of_texts(fact: str, values: Sequence[str]) -> Parts:
    n_each = Counter(each for each in values if each)
    # Equally frequent ones by the alphabet: the order of the files plays no part.
    order = sorted(n_each, key=lambda word: (-n_each[word], word))
    frequent = [word for word in order[:MOST_VALUES] if n_each[word] >= FEW]
    rare = order[len(frequent) :]
    n_known, n_rare = n_each.total(), sum(n_each[word] for word in rare)
    place = {word: at for at, word in enumerate(frequent)}
    names, note = [printable(word) for word in frequent], ""
    if n_rare >= FEW:
        place |= dict.fromkeys(rare, len(names))
        names.append(counted(len(rare), "other value"))
    elif rare:
        what = counted(len(rare), "value")
        note = f"{printable(fact)}: {what} of fewer than {FEW} pictures, {n_rare} in all."
    known = np.array([bool(each) for each in values], np.bool_)
    of = np.array([place.get(each, -1) for each in values], np.int64)
    most = int(np.bincount(of[of >= 0], minlength=1).max())
    if n_known - most < FEW:
        return Parts((), np.full_like(of, -1), known, _too_few(fact, n_known, len(order)))
    return Parts(tuple(names), of, known, note)


def _too_few(fact: str, n: int, n_values: int) -> str:
    name = printable(fact)
    if n == 0:
        return f"{name}: not known of any picture."
    if n_values == 1:
        return f"{name}: the same for all of {counted(n)}."
    return f"{name}: no two values of {FEW} pictures each among {counted(n)}."
