"""What a model says of pictures that no training saw becomes its temperature and its thresholds."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from fieldmark import rng
from fieldmark.config import DecideSettings
from fieldmark.data.cache import Decoded
from fieldmark.data.grouping import unit_numbers
from fieldmark.evaluation import calibration, decision, unknown
from fieldmark.inference.runtime import Runtime
from fieldmark.workflow.parts import labels_of, positions, spread

_BATCH: Final = 16


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Evidence:
    """Answers on the validation part, and the features of training pictures."""

    known: NDArray[np.float32]
    """(n_known, n_features): of training pictures, as many as are needed."""
    known_labels: NDArray[np.int64]
    features: NDArray[np.float32]
    """(n, n_features): of the validation part."""
    logits: NDArray[np.float32]
    """(n, n_classes)"""
    labels: NDArray[np.int64]
    """(n,)"""
    units: NDArray[np.int64]
    """(n,): pictures with the same number belong together."""
    untouched: bool
    """Whether the validation part had no say in the training."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Rules:
    """Two parts of a model file, and what they mean in words."""

    decision: dict[str, Any]
    """``decision.json``"""
    arrays: dict[str, NDArray[np.float32]]
    """``unknown.safetensors``; empty: not judged."""
    texts: tuple[str, ...]
    """About the temperature, the acceptance and the unknown, one sentence or two each."""

    @property
    def temperature(self) -> float:
        """What the logits are divided by."""
        return float(self.decision["temperature"])

    @property
    def promise(self) -> str:
        """What is promised of accepted answers, in words."""
        return self.texts[1]


def gathered(runtime: Runtime, decoded: Decoded, *, untouched: bool) -> Evidence:
    """Let the network that ships look at the validation part and at some training pictures."""
    manifest, labels = decoded.manifest, labels_of(decoded.manifest)
    valid = positions(manifest, "valid")
    train = spread(positions(manifest, "train"), unknown.MAX_PICTURES)
    logits, features = answered(runtime, decoded, valid)
    _, known = answered(runtime, decoded, train)
    return Evidence(
        known=known,
        known_labels=labels[train],
        features=features,
        logits=logits,
        labels=labels[valid],
        units=unit_numbers([manifest.examples[at] for at in valid]),
        untouched=untouched,
    )


def answered(
    runtime: Runtime, decoded: Decoded, at: NDArray[np.int64]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return logits and features of the examples at some positions."""
    rows = decoded.rows[at]
    chunks = (decoded.pixels[rows[i : i + _BATCH]] for i in range(0, len(rows), _BATCH))
    given = list(runtime.stream(chunks, ("logits", "features")))
    logits = [each.logits for each in given if each.logits is not None]
    features = [each.features for each in given if each.features is not None]
    return np.concatenate(logits), np.concatenate(features)


def decided(evidence: Evidence, settings: DecideSettings, *, seed: int) -> Rules:
    """Fit the temperature and choose the thresholds.

    The order keeps the promise exact: what is unknown is decided by one order statistic of the
    distances, so the pictures that lie nearer are a sample of such pictures, and only they are used
    to bound the errors; the bound looks at margins, which no temperature reorders.

    Pictures that belong together are no independent evidence: of each group one picture, drawn by
    the seed, says what is promised. The temperature is fitted on all, and kept only if it helps on
    groups it was not fitted on.

    Parameters
    ----------
    evidence : Evidence
    settings : DecideSettings
    seed : int

    Returns
    -------
    Rules
    """
    temperature = calibration.fit_temperature(evidence.logits, evidence.labels, evidence.units)
    n_all = len(evidence.labels)
    evidence = _one_of_each(evidence, seed)
    logits, labels = evidence.logits, evidence.labels
    strange, arrays, far = _strange(evidence, settings, seed)
    accepted = decision.accept(
        logits[~far],
        labels[~far],
        error=settings.error,
        confidence=settings.confidence,
        exact=evidence.untouched,
    )
    promise = accepted.said(grouped=len(labels) < n_all)
    found: dict[str, Any] = {
        "temperature": temperature.value,
        "calibration": asdict(temperature) if n_all else {"text": temperature.text},
        "accept": asdict(accepted) | {"text": promise},
        "unknown_text": strange["text"],
    }
    if arrays:
        found["unknown"] = {key: strange[key] for key in ("distance", "share", "n")}
    behind = decision.set_margin(logits, labels, settings.confidence)
    if behind is not None:
        found["sets"] = {"margin": behind, "confidence": settings.confidence, "n": len(labels)}
    texts = (temperature.text, promise, strange["text"])
    return Rules(decision=found, arrays=arrays, texts=texts)


def _one_of_each(evidence: Evidence, seed: int) -> Evidence:
    """Keep one picture of each unit, in their order."""
    order = rng.derive(seed, "one of each group").permutation(len(evidence.units))
    _, first = np.unique(evidence.units[order], return_index=True)
    kept = np.sort(order[first])
    return replace(
        evidence,
        features=evidence.features[kept],
        logits=evidence.logits[kept],
        labels=evidence.labels[kept],
        units=evidence.units[kept],
    )


def _strange(
    evidence: Evidence, settings: DecideSettings, seed: int
) -> tuple[dict[str, Any], dict[str, NDArray[np.float32]], NDArray[np.bool_]]:
    """Return the rule for what is unknown, its arrays, and which validation pictures it takes."""
    share, n = settings.unknown, len(evidence.labels)
    nobody = np.zeros(n, np.bool_)
    if not share:
        return {"text": "Unknown pictures are not looked for: [decide] unknown is 0."}, {}, nobody
    model = unknown.familiar(
        evidence.known,
        evidence.known_labels,
        evidence.logits.shape[1],
        rng=rng.derive(seed, "familiar"),
    )
    if model is None:
        text = "Unknown pictures are not recognised: the features of known ones do not differ."
        return {"text": text}, {}, nobody
    found = unknown.distances(model, evidence.features)
    distance = unknown.stranger_from(found, share)
    if distance is None or distance <= 0:
        text = f"Unknown pictures are not recognised: that needs {round(1 / share) - 1:,} "
        text += f"validation pictures to call {100 * share:g} % of known ones unknown, not {n:,}."
        return {"text": text}, {}, nobody
    text = f"A picture farther from the training pictures than {100 * (1 - share):g} % of {n:,} "
    text += "validation pictures is unknown; how many unknown ones that finds is not promised."
    rule = {"distance": distance, "share": share, "n": n, "text": text}
    arrays = {"means": model.means, "basis": model.basis, "scales": model.scales}
    return rule, arrays, found >= distance
