"""What a model answers, as values: the schema ``fieldmark.prediction/1``. Pure.

Fields are only ever added to the schema.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final, Literal

SCHEMA: Final = "fieldmark.prediction/1"
"""Stands in every answer; an answer with ``error`` in it is an :class:`Unread`."""


@dataclass(frozen=True, slots=True)
class LabelScore:
    """One class and what it scored."""

    label: str
    score: float
    """In [0, 1]; the scores of one prediction sum to 1."""


@dataclass(frozen=True, slots=True)
class Strangeness:
    """How far a picture is from what the model was trained on."""

    score: float
    """Its distance as a share of what counts as unknown, at least 0."""
    flag: bool
    """Whether it is unknown: from 1 on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """The answer to one file."""

    file: str
    """The path as it was given; empty for bytes."""
    sha256: str
    """Of the file's bytes, 64 hex digits."""
    scores: tuple[LabelScore, ...]
    """Every class, the highest calibrated score first; equal scores in class order."""
    model_name: str
    model_id: str
    decision: Literal["accept", "unsure", "unknown"] | None = None
    """``accept``: the promise of the model file holds; ``unsure``: it does not; ``unknown``: the
    picture is unlike all it was trained on. None: the file is from before there were decisions."""
    reason: str = ""
    """Why, in words."""
    ood: Strangeness | None = None
    """How unlike; None: not judged."""
    members: tuple[LabelScore, ...] | None = None
    """The prediction set, if it was asked for: it holds the right class with the model's stated
    confidence."""
    ms: float = field(default=0.0, compare=False)
    """Milliseconds of decoding, and this file's share of the network's."""

    @property
    def label(self) -> str:
        """The class with the highest score."""
        return self.scores[0].label

    @property
    def score(self) -> float:
        """The highest score."""
        return self.scores[0].score

    def to_dict(self, top: int | None = None) -> dict[str, Any]:
        """Return plain JSON values, with the ``top`` highest classes or all of them."""
        ood = self.ood
        return {
            "schema": SCHEMA,
            "file": self.file,
            "sha256": self.sha256,
            "label": self.label,
            "score": round(self.score, 6),
            "decision": self.decision,
            "reason": self.reason,
            "predictions": _plain(self.scores[:top]),
            **({} if self.members is None else {"set": _plain(self.members)}),
            "ood": None if ood is None else {"score": round(ood.score, 4), "flag": ood.flag},
            "model": {"name": self.model_name, "id": self.model_id},
            "ms": round(self.ms, 1),
        }


def _plain(entries: tuple[LabelScore, ...]) -> list[dict[str, Any]]:
    return [{"label": entry.label, "score": round(entry.score, 6)} for entry in entries]


@dataclass(frozen=True, slots=True)
class Unread:
    """One file that could not be answered, and why."""

    file: str
    code: str
    """Stable: ``no-file``, ``too-big``, or a reason of the modality such as ``truncated``."""
    reason: str
    """The same in words."""
    sha256: str = field(default="", compare=False)
    """Of the file's bytes, 64 hex digits; empty: not even they could be read."""

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values; a reader tells it from a prediction by ``error``."""
        return {
            "schema": SCHEMA,
            "file": self.file,
            "error": {"code": self.code, "reason": self.reason},
        }
