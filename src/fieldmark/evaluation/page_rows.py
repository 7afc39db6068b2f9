"""The tables and lists of a run's page: from facts to what a template writes down. Pure."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from fieldmark.evaluation import wording
from fieldmark.evaluation.page_facts import (
    BACKBONE,
    Failure,
    MixUp,
    NearestPicture,
    ReportFacts,
)
from fieldmark.evaluation.report import Report
from fieldmark.evaluation.template import bad_facts, data_url
from fieldmark.evaluation.thumbnails import (
    BUDGET_BYTES,
    MAX_THUMBNAIL_BYTES,
    Picture,
    dealt,
    inside_bytes,
)

MAX_FAILURES: Final = 24
"""Pictures shown under "where it fails"; that many thumbnails keep the page below 2 MB."""
MAX_NEAREST: Final = 3
"""Training pictures shown beside each of them."""
MAX_MATRIX_CLASSES: Final = 60
"""With more classes the confusion matrix gives way to the most frequent mix-ups."""
MAX_MIX_UPS: Final = 12
MAX_LISTED_PAIRS: Final = 60
"""Pairs of classes whose files are listed."""
MAX_PAIR_FILES: Final = 20
MAX_CONTACT_CLASSES: Final = 20
MAX_CONTACT: Final = 6
"""Pictures of one class on the contact sheet."""

LayerRow = dict[str, str | int]


def totals(facts: ReportFacts) -> dict[str, int]:
    """Sum each part over the classes; ``all`` is the sum of the three.

    Raises
    ------
    UsageError
        With code ``report-facts`` when a class lacks a part.
    """
    for name, parts in facts.counts.items():
        if set(parts) != {"train", "valid", "test"}:
            raise bad_facts(f"the counts of class {name!r} are {parts}")
    found = {
        part: sum(parts[part] for parts in facts.counts.values())
        for part in ("train", "valid", "test")
    }
    return {**found, "all": sum(found.values())}


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell of the confusion matrix."""

    n: int
    share: str
    """Of its row; neither 0 nor 100 % unless it is exactly that."""
    shade: str
    """CSS classes: six shades by the share, and whether it is right."""
    pair: str
    """Id of the list of its files; empty where there is none."""
    words: str
    """What a link says that cannot see the headings."""


def matrix(report: Report, listed: Sequence[MixUp]) -> list[tuple[str, list[Cell]]]:
    """Return a row of cells per true class; nothing with more classes than can be read."""
    if len(report.classes) > MAX_MATRIX_CLASSES:
        return []
    pairs = {(each.label, each.predicted): f"pair-{at}" for at, each in enumerate(listed, start=1)}
    return [
        (name, [_cell(report, pairs, true, at) for at in range(len(report.classes))])
        for true, name in enumerate(report.classes)
    ]


def _cell(report: Report, pairs: dict[tuple[str, str], str], true: int, predicted: int) -> Cell:
    row = report.confusion[true]
    n, of = row[predicted], max(1, sum(row))
    names = report.classes[true], report.classes[predicted]
    # 0 for nothing, 5 for the whole row.
    shade = f"s{-(-5 * n // of)}" + (" hit" if true == predicted else "")
    words = f"{wording.counted(n)} of {names[0]} taken for {names[1]}"
    return Cell(n, _rounded(n, of), shade, pairs.get(names, ""), words)


def _rounded(n: int, of: int) -> str:
    percent = round(100 * n / of)
    if percent == 0 and n:
        return "< 1 %"
    return "> 99 %" if percent == 100 and n < of else f"{percent} %"


def mix_ups(report: Report, listed: Sequence[MixUp]) -> list[tuple[str, str, int, int, str]]:
    """List true class, predicted class, how often, of how many, id of the files; most first."""
    pairs = {(each.label, each.predicted): f"pair-{at}" for at, each in enumerate(listed, start=1)}
    return [(*pair, pairs.get(pair[:2], "")) for pair in report.mix_ups(MAX_MIX_UPS)]


@dataclass(frozen=True, slots=True)
class Folded:
    """A layer table with the rows of a backbone apart."""

    rows: list[LayerRow]
    """With one row that stands for the backbone."""
    backbone: list[LayerRow]


def folded(layers: Sequence[LayerRow]) -> Folded:
    """Put the rows of a backbone aside and one summary in their place.

    Examples
    --------
    >>> rows = [{"layer": "INPUT"}, {"layer": "CONV", "weights": 896, "part": "backbone"},
    ...         {"layer": "RELU", "weights": 0, "volume": "8x8x32", "part": "backbone"}]
    >>> found = folded(rows)
    >>> [row["layer"] for row in found.rows], found.rows[1]["weights"], len(found.backbone)
    (['INPUT', 'BACKBONE'], 896, 2)
    """
    inside = [row for row in layers if row.get("part") == BACKBONE]
    if len(inside) < 2:
        return Folded(list(layers), [])
    first = layers.index(inside[0])
    before = [row for row in layers[:first] if row.get("part") != BACKBONE]
    after = [row for row in layers[first:] if row.get("part") != BACKBONE]
    numbers = [row["number"] for row in inside if row.get("number", "") != ""]
    summary: LayerRow = {
        "number": f"{numbers[0]} to {numbers[-1]}" if len(numbers) > 1 else "",
        "layer": "BACKBONE",
        "does": f"{len(inside):,} layers, listed below",
        "volume": inside[-1].get("volume", ""),
        "weights": sum(int(row.get("weights", 0) or 0) for row in inside),
        "why": "as it was trained elsewhere",
    }
    return Folded([*before, summary, *after], inside)


@dataclass(frozen=True, slots=True)
class ShownFailure:
    """One failure with the addresses of its pictures."""

    found: Failure
    picture: str
    """Empty: no thumbnail."""
    nearest: list[tuple[NearestPicture, str]]


@dataclass(frozen=True, slots=True)
class Pictures:
    """All pictures of the page, within its budget."""

    failures: list[ShownFailure]
    contact: list[tuple[str, list[tuple[Picture, str]]]]
    """Class name and its pictures with their addresses; classes without any are left out."""


def pictures(facts: ReportFacts, budget: int = BUDGET_BYTES) -> Pictures:
    """Deal out the bytes of the page: failures and classes in turn, the most important first."""
    found = facts.failures[:MAX_FAILURES]
    failed = [sum(map(_inside, (each.jpeg, *_thumbnails(each)))) for each in found]
    sheet = _contact(facts.contact)
    sizes = [[picture.n_bytes for picture in own] for _, own in sheet]
    n_failed, *n_each = dealt([failed, *sizes], budget)
    return Pictures(
        [_shown(each, at < n_failed) for at, each in enumerate(found)],
        [
            (name, [(picture, picture.address) for picture in own[:n]])
            for (name, own), n in zip(sheet, n_each, strict=True)
            if n
        ],
    )


def _contact(given: Sequence[Picture]) -> list[tuple[str, list[Picture]]]:
    found: dict[str, list[Picture]] = {}
    for picture in given:
        if picture.address:
            found.setdefault(picture.label, []).append(picture)
    return [(name, own[:MAX_CONTACT]) for name, own in list(found.items())[:MAX_CONTACT_CLASSES]]


def _thumbnails(failure: Failure) -> list[bytes]:
    return [each.jpeg for each in failure.nearest[:MAX_NEAREST]]


def _inside(jpeg: bytes) -> int:
    return inside_bytes(len(jpeg)) if len(jpeg) <= MAX_THUMBNAIL_BYTES else 0


def _shown(failure: Failure, pictured: bool) -> ShownFailure:
    def address(jpeg: bytes) -> str:
        return data_url(jpeg) if pictured and len(jpeg) <= MAX_THUMBNAIL_BYTES else ""

    near = [(each, address(each.jpeg)) for each in failure.nearest[:MAX_NEAREST]]
    return ShownFailure(failure, address(failure.jpeg), near)


def snippets(facts: ReportFacts) -> dict[str, str]:
    """Return what one types to use the model, whatever its path."""
    if not facts.model_path:
        return {}
    path = wording.printable(facts.model_path)
    python = (
        "import fieldmark as fm\n\n"
        f"model = fm.open({json.dumps(path, ensure_ascii=False)})\n"
        'answer = model.predict("new/picture.jpg")\n'
        "print(answer.label, answer.score)"
    )
    return {"Command line": f"fieldmark predict {shlex.quote(path)} new/*.jpg", "Python": python}


def origin(facts: ReportFacts) -> dict[str, str]:
    """Return what one needs to repeat the run: seed, model, versions."""
    found = {} if facts.seed is None else {"seed": str(facts.seed)}
    found |= {"model": facts.model_id} if facts.model_id else {}
    return found | facts.versions


def duration(seconds: float) -> str:
    """Write a time for people.

    Examples
    --------
    >>> duration(7.4), duration(200), duration(7300)
    ('7.4 seconds', '3 min 20 s', '2 h 1 min')
    """
    if seconds < 60:
        return f"{seconds:.1f} seconds"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"
