"""Fit the learning curve to a quarter of a folder and hold its forecasts against the rest of it."""

import argparse
import dataclasses
import json
import sys
from pathlib import Path

import numpy as np

from fieldmark import rng
from fieldmark.config import Settings
from fieldmark.training.features import Features
from fieldmark.workflow import more_data
from fieldmark.workflow.backbone import features_of_all
from fieldmark.workflow.dataset import load, prepared
from fieldmark.workflow.parts import labels_of, positions


def features_of(folder: Path) -> Features:
    settings = Settings()
    manifest = prepared(load(folder).manifest, settings).manifest
    found = features_of_all(manifest, settings=settings, threads=2)
    if found is None:
        raise SystemExit("no backbone is installed")
    return found


def quarter(features: Features, places: np.ndarray, train: np.ndarray) -> Features:
    """Keep a quarter of the training part, and the whole validation part."""
    gone = set(train[places > 0.25].tolist())
    kept = tuple(each for at, each in enumerate(features.manifest.examples) if at not in gone)
    return dataclasses.replace(features, manifest=features.manifest.with_examples(kept))


def truths(features: Features, places: np.ndarray, train: np.ndarray) -> tuple[float, ...]:
    """Return the accuracy with the quarter, with the half around it and with everything."""
    manifest, labels = features.manifest, labels_of(features.manifest)
    valid = positions(manifest, "valid")

    def rows(at: np.ndarray) -> np.ndarray:
        return features.rows[[features.row_of[manifest.examples[i].sha256] for i in at]]

    heads = more_data.Heads.of(rows(train), labels[train], rows(valid), labels[valid])
    tuned = heads.tuned(np.flatnonzero(places <= 0.25))
    subsets = [np.flatnonzero(places <= share) for share in (0.25, 0.5, 1.0)]
    return tuple(float(1 - heads.scored(each, *tuned)[0].mean()) for each in subsets)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("n_draws", type=int)
    given = parser.parse_args()
    features = features_of(given.folder)
    train = positions(features.manifest, "train")
    examples = [features.manifest.examples[at] for at in train]
    labels = labels_of(features.manifest)[train]
    found = []
    for number in range(given.n_draws):
        places = more_data.order(examples, labels, rng.derive(number, "forecast benchmark"))
        curve = more_data.measured(
            quarter(features, places, train), features.rows.shape[1], seed=number
        )
        if curve is None:
            raise SystemExit("too few pictures for a curve")
        now, half, whole = truths(features, places, train)
        twice, fourfold = (each for each in curve.accuracy if each.forecast)
        found.append(
            {
                "truths": [now, half, whole],
                "values": [twice.value, fourfold.value],
                "held": [
                    twice.low <= half <= twice.high,
                    fourfold.low <= whole <= fourfold.high,
                    curve.gain_low <= half - now <= curve.gain_high,
                ],
                "widths": [
                    twice.high - twice.low,
                    fourfold.high - fourfold.low,
                    curve.gain_high - curve.gain_low,
                ],
                "gain": curve.gain,
            }
        )
        print(found[-1], file=sys.stderr, flush=True)
    held, widths = (np.array([each[key] for each in found]) for key in ("held", "widths"))
    summary = {"held": held.sum(axis=0).tolist(), "mean_widths": widths.mean(axis=0).tolist()}
    print(json.dumps({"draws": found, "n_draws": len(found), **summary}))


if __name__ == "__main__":
    main()
