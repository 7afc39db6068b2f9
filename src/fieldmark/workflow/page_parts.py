"""What the page of a run shows beside its numbers: pictures, mix-ups, how it was chosen.

Pure but for pixels, which are read from the decoded pictures and never from the data folder: the
page shows what the network was shown.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from fieldmark.data.grouping import unit_numbers
from fieldmark.data.manifest import Example, Manifest
from fieldmark.evaluation.page_facts import BACKBONE, HeadPoint, MixUp, RateTest
from fieldmark.evaluation.page_rows import MAX_CONTACT, MAX_CONTACT_CLASSES
from fieldmark.evaluation.risk_coverage import CoveragePoint, risk_coverage
from fieldmark.evaluation.thumbnails import Picture
from fieldmark.evaluation.wording import counted
from fieldmark.modalities.encode import encode_jpeg
from fieldmark.modalities.thumbnail import shrunk
from fieldmark.networks.layer_table import LayerTable
from fieldmark.training.fitted import Fitted
from fieldmark.workflow.facts import RunFacts
from fieldmark.workflow.parts import labels_of, positions, spread

CONTACT_SIDE: Final = 96
"""Pixels of the longer side of a picture of the contact sheet."""


def contact(facts: RunFacts) -> tuple[Picture, ...]:
    """Return a few training pictures of each of the first classes, evenly from the whole part."""
    train = positions(facts.manifest, "train")
    labels = labels_of(facts.manifest)[train]
    found = []
    for at, name in enumerate(facts.manifest.classes[:MAX_CONTACT_CLASSES]):
        for position in spread(train[labels == at], MAX_CONTACT):
            example = facts.manifest.examples[position]
            pixels = np.array(facts.pixels[facts.rows[position]])
            jpeg = encode_jpeg(shrunk(pixels, CONTACT_SIDE), quality=80)
            found.append(Picture(path=example.path, label=name, thumbnail=jpeg))
    return tuple(found)


def together(manifest: Manifest) -> str:
    """Say how many examples belong together, and why."""
    said = []
    n, n_in = _shared(example.group for example in manifest.examples)
    if n:
        said.append(f"{counted(n, 'group')} that a person named, with {counted(n_in)}")
    n, n_in = _shared(example.cluster for example in manifest.examples)
    if n:
        said.append(f"{counted(n, 'cluster')} of near copies and bursts, with {counted(n_in)}")
    if said:
        return f"{'; '.join(said)}: each is on one side of the split only."
    return "Near copies were looked for, and none were found." if manifest.audited else ""


def _shared(keys: Iterable[str]) -> tuple[int, int]:
    """Count the keys that several examples share, and those examples."""
    found = [n for key, n in Counter(keys).items() if key and n > 1]
    return len(found), sum(found)


def mix_ups(
    test: Iterable[Example], scores: NDArray[np.float32], classes: tuple[str, ...]
) -> tuple[MixUp, ...]:
    """List the test pictures behind each mistake, most frequent first, the surest file first.

    Parameters
    ----------
    test : iterable of n Example
    scores : float32 array of shape (n, n_classes)
    classes : tuple of str
    """
    files: dict[tuple[str, str], list[tuple[float, str]]] = defaultdict(list)
    for example, row in zip(test, scores, strict=True):
        best = int(row.argmax())
        if classes[best] != example.label:
            files[example.label, classes[best]].append((-float(row[best]), example.path))
    pairs = sorted(files, key=lambda pair: (-len(files[pair]), pair))
    return tuple(
        MixUp(
            label=label,
            predicted=predicted,
            files=tuple(path for _, path in sorted(files[label, predicted])),
        )
        for label, predicted in pairs
    )


def risk(facts: RunFacts, scores: NDArray[np.float32]) -> tuple[CoveragePoint, ...]:
    """Return the error among the surest answers of the test part."""
    labels = labels_of(facts.manifest)[positions(facts.manifest, "test")]
    groups = unit_numbers([example for _, example in facts.test])
    return risk_coverage(scores, labels, groups=groups)


def rate_test(fitted: Fitted) -> RateTest | None:
    """Return how the learning rate was found; None where it was given or there is none."""
    test = fitted.range_test
    return None if test is None else RateTest(test.rates, test.losses, test.chosen)


def head_path(fitted: Fitted) -> tuple[HeadPoint, ...]:
    """Return what cross-validation of a solved head compared."""
    head = fitted.head
    if head is None:
        return ()
    return tuple(
        HeadPoint(
            strength=point.strength,
            n_columns=point.n_columns,
            log_loss=point.log_loss,
            log_loss_se=point.log_loss_se,
            accuracy=point.accuracy,
            chosen=(point.strength, point.n_columns) == (head.strength, head.n_columns),
        )
        for point in head.path
    )


def layers(table: LayerTable, backbone: str) -> tuple[dict[str, str | int], ...]:
    """Return the rows of the layer table; those of a backbone from elsewhere say so."""
    kinds = [row.kind for row in table.rows]
    # What is learned here begins with the first fully connected layer; a backbone has none.
    end = kinds.index("FC") if backbone and "FC" in kinds else 0
    return tuple(
        {
            "number": "" if row.number is None else row.number,
            "layer": row.kind,
            "does": row.what,
            "volume": "x".join(str(size) for size in row.output_shape),
            "weights": row.weights,
            "why": row.formula,
            "part": BACKBONE if 0 < at < end else "",
        }
        for at, row in enumerate(table.rows)
    )
