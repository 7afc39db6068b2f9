"""From a model's answers to its test part to where it fails: slices, errors, nearest, labels.

Works on what is there already: the answers, the looks of the audit, the features of the training.
Nothing here has a say in the model.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from fieldmark.data.grouping import unit_numbers
from fieldmark.data.manifest import Example, Manifest
from fieldmark.evaluation import metrics
from fieldmark.evaluation.fact_parts import Values
from fieldmark.evaluation.nearest import nearest
from fieldmark.evaluation.slices import Groups, Nearest, Slices, slices
from fieldmark.evaluation.suspects import Suspects, suspects
from fieldmark.evaluation.unknown import MAX_PICTURES
from fieldmark.inference.predictor import Judged
from fieldmark.modalities.encode import encode_jpeg
from fieldmark.modalities.thumbnail import shrunk
from fieldmark.training.features import Features
from fieldmark.training.head import Head
from fieldmark.workflow.facts import RunFacts
from fieldmark.workflow.parts import labels_of, positions, spread
from fieldmark.workflow.picture_facts import GROUP
from fieldmark.workflow.weak_spots import MAX_ERRORS, N_NEAREST, ErrorSpot, Suspect, WeakSpots

MAX_KNOWN: Final = 20_000
"""Training pictures that are searched for the nearest ones, evenly taken."""
MAX_SUSPECTS: Final = 200
"""Of the training part that are named."""
MAX_SCORES: Final = 500_000
"""Pictures times classes up to which labels are judged; more take seconds."""
SIDE: Final = 96
"""Pixels of the longer side of a training picture beside an error."""
_LEAST: Final = 1e-12


class Mistakes:
    """The features of the worst answers, gathered part by part; final.

    Parameters
    ----------
    labels : int array of shape (n_test,)
        Of the whole test part, in the order in which it is answered.
    """

    def __init__(self, labels: NDArray[np.int64]) -> None:
        self._labels = labels
        self._n = 0
        self._at = np.zeros(0, np.int64)
        self._loss = np.zeros(0)
        self._rows: NDArray[np.float32] | None = None

    @property
    def at(self) -> NDArray[np.int64]:
        """Positions in the test part, the highest loss first; at most :data:`MAX_ERRORS`."""
        return self._at

    @property
    def features(self) -> NDArray[np.float32] | None:
        """(n, n_features) of these; None where the model gave none."""
        return self._rows

    def add(self, judged: Judged) -> None:
        """Take the answers to the next pictures of the test part."""
        n = len(judged.scores)
        labels = self._labels[self._n : self._n + n]
        wrong = np.flatnonzero(judged.scores.argmax(axis=1) != labels)
        at = np.concatenate([self._at, self._n + wrong])
        self._n += n
        loss = np.concatenate([self._loss, _losses(judged.scores, labels)[wrong]])
        order = np.argsort(-loss, kind="stable")[:MAX_ERRORS]
        if judged.features is not None:
            own = judged.features[wrong]
            known = own[:0] if self._rows is None else self._rows
            self._rows = np.concatenate([known, own])[order]
        self._at, self._loss = at[order], loss[order]


def _losses(scores: NDArray[np.float32], labels: NDArray[np.int64]) -> NDArray[np.float64]:
    return metrics.loss_if(scores[np.arange(len(labels)), labels].astype(np.float64))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Gallery:
    """Rows of features of training pictures, of the network whose answers are looked at."""

    rows: NDArray[np.float32]
    """May be memory-mapped, and hold others too."""
    at: NDArray[np.int64]
    """(n,): which of them are those of ``examples``."""
    examples: tuple[Example, ...]

    @classmethod
    def of_features(cls, features: Features) -> Gallery:
        """Take the training part of extracted features, evenly where it is large."""
        chosen = spread(positions(features.manifest, "train"), MAX_KNOWN).tolist()
        examples = tuple(features.manifest.examples[at] for at in chosen)
        rows = np.array([features.row_of[each.sha256] for each in examples], np.int64)
        return cls(rows=features.rows, at=rows, examples=examples)

    @classmethod
    def of_known(cls, known: NDArray[np.float32], manifest: Manifest) -> Gallery:
        """Take the training pictures that the network looked at to know what is familiar."""
        chosen = spread(positions(manifest, "train"), MAX_PICTURES).tolist()
        examples = tuple(manifest.examples[at] for at in chosen)
        return cls(rows=known, at=np.arange(len(known)), examples=examples)

    def near(self, features: NDArray[np.float32]) -> list[tuple[Nearest, ...]]:
        """Return for every row the training pictures that lie nearest."""
        of = {row: example for row, example in zip(self.at.tolist(), self.examples, strict=True)}
        among = np.array(list(of), np.int64)  # equal files share a row
        found, similar = nearest(features, self.rows, N_NEAREST, among=among)
        return [
            tuple(
                Nearest(file=of[row].path, label=of[row].label, similarity=round(cosine, 6))
                for row, cosine in zip(rows, cosines, strict=True)
            )
            for rows, cosines in zip(found.tolist(), similar.tolist(), strict=True)
        ]


def sliced(
    right: NDArray[np.bool_], examples: tuple[Example, ...], facts: dict[str, Values]
) -> Slices:
    """Look for slices; what belongs together is one accident, a group as a fact is its pictures."""
    alone = [dataclasses.replace(each, group="") for each in examples]
    return slices(
        right,
        facts,
        groups=unit_numbers(examples),
        groups_of={GROUP: unit_numbers(alone)},
    )


def weak_spots(
    manifest: Manifest,
    scores: NDArray[np.float32],
    mistakes: Mistakes,
    *,
    facts: dict[str, Values],
    gallery: Gallery | None = None,
    solved: tuple[Features, Head] | None = None,
) -> WeakSpots:
    """Say where a model fails on its test part.

    Parameters
    ----------
    manifest : Manifest
        With parts.
    scores : float array of shape (n_test, n_classes)
        In the order of the test part.
    mistakes : Mistakes
        Of the same answers.
    facts : dict of str to values
        Of the test pictures, as :func:`fieldmark.workflow.picture_facts.facts_of` gives them.
    gallery : Gallery, optional
        Training pictures for the nearest ones.
    solved : tuple of Features and Head, optional
        For suspects in the training part.

    Returns
    -------
    WeakSpots
    """
    examples = manifest.part("test")
    labels = labels_of(manifest)[positions(manifest, "test")]
    wrong = scores.argmax(axis=1) != labels
    judged = _judged(scores, labels, unit_numbers(examples))
    near: list[tuple[Nearest, ...]] = [()] * len(mistakes.at)
    if gallery is not None and mistakes.features is not None:
        near = gallery.near(mistakes.features)
    losses = _losses(scores, labels)
    errors = []
    for at, nearby in zip(mistakes.at.tolist(), near, strict=True):
        best = int(scores[at].argmax())
        p_wrong = np.nan if judged is None else float(judged.p_wrong[at])
        errors.append(
            ErrorSpot(
                file=examples[at].path,
                label=examples[at].label,
                predicted=manifest.classes[best],
                score=round(float(scores[at, best]), 6),
                loss=round(float(losses[at]), 6),
                nearest=nearby,
                p_wrong_label=None if np.isnan(p_wrong) else round(p_wrong, 4),
            )
        )
    return WeakSpots(
        slices=sliced(~wrong, examples, facts) if facts else None,
        errors=tuple(errors),
        n_errors=int(wrong.sum()),
        n_known=len(gallery.examples) if any(near) and gallery is not None else 0,
        n_training=len(manifest.part("train")),
        suspects_in_training=_in_training(*solved) if solved else (),
    )


def thumbnails(facts: RunFacts, files: Iterable[str]) -> dict[str, bytes]:
    """Return pictures of a run as small JPEGs, for the page.

    Parameters
    ----------
    facts : RunFacts
    files : iterable of str
        Relative to the data folder, such as those of :class:`~fieldmark.evaluation.slices.Nearest`;
        one that is not of the run is passed over.
    """
    wanted = set(files)
    places = {
        each.path: at for at, each in enumerate(facts.manifest.examples) if each.path in wanted
    }
    return {
        path: encode_jpeg(shrunk(np.array(facts.pixels[facts.rows[at]]), SIDE), quality=80)
        for path, at in places.items()
    }


def _judged(
    scores: NDArray[np.floating], labels: NDArray[np.int64], groups: Groups
) -> Suspects | None:
    """Judge labels by answers of a model that saw none of them; None where that takes too long."""
    if scores.size > MAX_SCORES:
        return None
    return suspects(np.log(np.maximum(scores, _LEAST)), labels, groups=groups)


def _in_training(features: Features, head: Head) -> tuple[Suspect, ...]:
    """Judge the labels of the training part by heads that had not seen them."""
    manifest = features.manifest
    examples = manifest.part("train")
    if not len(head.scored) or head.out_of_fold.size > MAX_SCORES:
        return ()
    # The rows a head is solved from: every example, and behind it its copies.
    n_rows = [1 + len(features.copies_of.get(each.sha256, ())) for each in examples]
    at = np.searchsorted(np.cumsum(n_rows), head.scored, side="right")
    scored = [examples[place] for place in at.tolist()]
    index = {name: place for place, name in enumerate(manifest.classes)}
    labels = np.array([index[each.label] for each in scored], np.int64)
    found = suspects(head.out_of_fold, labels, groups=unit_numbers(scored))
    return tuple(
        Suspect(
            file=scored[place].path,
            label=scored[place].label,
            likely=manifest.classes[found.likely[place]],
            p_wrong=round(float(found.p_wrong[place]), 4),
        )
        for place in found.listed[:MAX_SUSPECTS].tolist()
    )
