"""Where a model fails, as values and as files: slices, single errors, labels to look at. Pure."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, Final

from fieldmark.data.table import written
from fieldmark.errors import DataError
from fieldmark.evaluation.slices import Nearest, Slices

SCHEMA: Final = "fieldmark.weak-spots/1"
NAME: Final = "weak_spots.json"
MAX_ERRORS: Final = 500
"""Wrong answers that are listed, the highest losses first."""
N_NEAREST: Final = 3
"""Training pictures beside each of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorSpot:
    """One test picture that was answered wrongly."""

    file: str
    """Relative to the data folder."""
    label: str
    predicted: str
    score: float
    """Of the answer, in [0, 1]."""
    loss: float
    """In nats."""
    nearest: tuple[Nearest, ...] = ()
    """Training pictures, the nearest first; none where no features were kept."""
    p_wrong_label: float | None = None
    """That the label is wrong and not the answer; None: it was not judged."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Suspect:
    """One training picture whose label is more probably wrong than right."""

    file: str
    label: str
    likely: str
    """The likeliest other class."""
    p_wrong: float


@dataclass(frozen=True, slots=True, kw_only=True)
class WeakSpots:
    """Everything known about where a model fails on its test part."""

    slices: Slices | None
    """None: nothing is known of the pictures."""
    errors: tuple[ErrorSpot, ...] = ()
    """Highest loss first, at most :data:`MAX_ERRORS`."""
    n_errors: int = 0
    """All wrong answers."""
    n_known: int = 0
    """Training pictures among which the nearest were looked for."""
    n_training: int = 0
    """Training pictures in all."""
    suspects_in_training: tuple[Suspect, ...] = ()
    """The most suspicious first."""

    def lines(self) -> list[str]:
        """Say the slices that are surely worse, at most three lines."""
        return [] if self.slices is None else self.slices.lines()

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values; the keys are the fields' names and ``schema``."""
        return {"schema": SCHEMA, **dataclasses.asdict(self)}

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> WeakSpots:
        """Read what :meth:`to_dict` wrote.

        Raises
        ------
        DataError
            Code ``weak-spots-unknown`` for another schema or a field that is missing or misshapen.
        """
        if fields.get("schema") != SCHEMA:
            raise _unknown(f"its schema is {fields.get('schema')!r}, not {SCHEMA!r}")
        try:
            told = fields["slices"]
            return cls(
                slices=Slices.from_dict(told) if told else None,
                errors=tuple(_error(each) for each in fields["errors"]),
                n_errors=int(fields["n_errors"]),
                n_known=int(fields["n_known"]),
                n_training=int(fields["n_training"]),
                suspects_in_training=tuple(
                    Suspect(
                        file=str(each["file"]),
                        label=str(each["label"]),
                        likely=str(each["likely"]),
                        p_wrong=float(each["p_wrong"]),
                    )
                    for each in fields["suspects_in_training"]
                ),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise _unknown(f"a field is missing or misshapen: {error!r}") from error


def slices_csv(found: Slices) -> str:
    """Return one line per slice, the most telling first."""
    ends = ["accuracy", "low", "high", "n"]
    header = ["fact", "value", *ends, *(f"rest_{name}" for name in ends)]
    rows: list[list[str | float]] = []
    for each in found.found:
        cells: list[str | float] = [each.fact, each.value]
        for measured in (each.accuracy, each.rest):
            numbers = (measured.value, measured.low, measured.high)
            cells += [*(f"{number:.6f}" for number in numbers), measured.n]
        rows.append([*cells, f"{each.p_value:.6g}", f"{each.p_adjusted:.6g}"])
    return written([*header, "p_value", "p_adjusted"], rows)


def errors_csv(found: WeakSpots) -> str:
    """Return one line per wrong answer, the highest loss first."""
    header = ["path", "label", "predicted", "score", "loss", "p_wrong_label"]
    for at in range(1, N_NEAREST + 1):
        header += [f"nearest_{at}", f"nearest_{at}_label", f"nearest_{at}_similarity"]
    rows: list[list[str | float]] = []
    for each in found.errors:
        wrong = "" if each.p_wrong_label is None else f"{each.p_wrong_label:.4f}"
        row: list[str | float] = [each.file, each.label, each.predicted]
        row += [f"{each.score:.6f}", f"{each.loss:.6f}", wrong]
        for near in each.nearest[:N_NEAREST]:
            row += [near.file, near.label, f"{near.similarity:.4f}"]
        rows.append(row + [""] * (len(header) - len(row)))
    return written(header, rows)


def _error(fields: dict[str, Any]) -> ErrorSpot:
    wrong = fields["p_wrong_label"]
    return ErrorSpot(
        file=str(fields["file"]),
        label=str(fields["label"]),
        predicted=str(fields["predicted"]),
        score=float(fields["score"]),
        loss=float(fields["loss"]),
        nearest=tuple(
            Nearest(
                file=str(near["file"]),
                label=str(near["label"]),
                similarity=float(near["similarity"]),
            )
            for near in fields["nearest"]
        ),
        p_wrong_label=None if wrong is None else float(wrong),
    )


def _unknown(problem: str) -> DataError:
    return DataError(
        f"These are no weak spots that can be read: {problem}.",
        code="weak-spots-unknown",
        why="Numbers read by guessing could be wrong.",
        hint="upgrade fieldmark, or train again",
    )
