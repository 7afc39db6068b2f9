"""Draw small data sets, train on their folds or with several seeds, and count held truths.

Two Gaussian classes that differ in the first of ``width`` columns; a ridge head with a fixed
strength, so that the true accuracy of each trained head is known exactly. The truth of folds is the
mean over all data sets of one kind: what training on that many pictures gives. The truth of seeds
is that of one training part over all seeds; each seed learns from its own two thirds of it.
"""

import argparse
import json
import sys
from collections.abc import Iterator
from statistics import NormalDist

import numpy as np

from fieldmark.evaluation.intervals import wilson_rate
from fieldmark.evaluation.repeats import Outcome, accuracy_of

STRENGTH = 0.1
DATA = ((100, 10, 1.2), (100, 500, 2.0), (300, 10, 1.2), (300, 150, 1.2), (300, 1000, 2.0))
"""Pictures, columns, and half the distance of the classes."""
WAYS = ((5, 1), (5, 3), (10, 1), (0, 3))
"""Folds (0: seeds alone) and repeats."""
VALID = 0.15 / 0.85
N_MANY = 40
"""Seeds that the truth of one training part is taken from."""

Arrays = tuple[np.ndarray, np.ndarray]


def drawn(draw: np.random.Generator, n: int, width: int, apart: float) -> Arrays:
    labels = np.arange(n) % 2
    rows = draw.normal(size=(n, width))
    rows[:, 0] += np.where(labels, apart, -apart)
    return rows, labels


def solved(rows: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, float]:
    middle, wanted = rows.mean(axis=0), np.where(labels, 1.0, -1.0)
    centred, level = rows - middle, wanted.mean()
    n, width = rows.shape
    if width <= n:
        square = centred.T @ centred + STRENGTH * n * np.eye(width)
        weights = np.linalg.solve(square, centred.T @ (wanted - level))
    else:
        square = centred @ centred.T + STRENGTH * n * np.eye(n)
        weights = centred.T @ np.linalg.solve(square, wanted - level)
    return weights, float(level - middle @ weights)


def true_accuracy(weights: np.ndarray, bias: float, apart: float) -> float:
    normal, length = NormalDist(), float(np.linalg.norm(weights))
    ends = ((apart * weights[0] + side * bias) / length for side in (1, -1))
    return sum(normal.cdf(float(end)) for end in ends) / 2


def answered(weights: np.ndarray, bias: float, rows: np.ndarray, labels: np.ndarray) -> Arrays:
    margin = (rows @ weights + bias) * np.where(labels, 1, -1)
    return margin > 0, np.logaddexp(0, -margin)


def by_folds(draw: np.random.Generator, data: Arrays, apart: float, n_folds: int, n_repeats: int):
    """Return the outcomes and the mean true accuracy of the trainings."""
    rows, labels = data
    outcomes, truths = [], []
    for repeat in range(1, n_repeats + 1):
        fold_of = np.empty(len(labels), np.int64)
        for label in (0, 1):
            own = np.flatnonzero(labels == label)
            fold_of[draw.permutation(own)] = np.arange(len(own)) % n_folds
        for fold in range(n_folds):
            rest = draw.permutation(np.flatnonzero(fold_of != fold))
            learned = rest[round(VALID * len(rest)) :]
            head = solved(rows[learned], labels[learned])
            at = np.flatnonzero(fold_of == fold)
            outcomes.append(outcome(repeat, fold + 1, at, answered(*head, rows[at], labels[at])))
            truths.append(true_accuracy(*head, apart))
    return outcomes, float(np.mean(truths))


def by_seeds(draw: np.random.Generator, data: Arrays, apart: float, n_repeats: int):
    """Return the outcomes on one test part and the mean true accuracy over many seeds."""
    rows, labels = data
    test, train = np.arange(len(labels) // 3), np.arange(len(labels) // 3, len(labels))
    outcomes, truths = [], []
    for number in range(N_MANY):
        learned = draw.permutation(train)[: len(train) * 2 // 3]
        head = solved(rows[learned], labels[learned])
        truths.append(true_accuracy(*head, apart))
        if number < n_repeats:
            found = answered(*head, rows[test], labels[test])
            outcomes.append(outcome(number + 1, None, test, found))
    return outcomes, float(np.mean(truths))


def outcome(repeat: int, fold: int | None, at: np.ndarray, found: Arrays) -> Outcome:
    return Outcome(
        repeat=repeat, fold=fold, seed=repeat, at=at, right=found[0], losses=found[1], seconds=0.0
    )


def usual(outcomes: list[Outcome]) -> tuple[float, float]:
    """Bound the mean of the pictures' shares as if nothing else varied."""
    at = np.concatenate([each.at for each in outcomes])
    _, number = np.unique(at, return_inverse=True)
    right = np.bincount(number, np.concatenate([each.right for each in outcomes]))
    means = right / np.bincount(number)
    rate, variance = float(means.mean()), float(means.var(ddof=1)) / len(means)
    n = rate * (1 - rate) / variance if 0 < rate < 1 else float(len(means))
    return wilson_rate(rate, n)


def cells(n_sets: int) -> Iterator[dict[str, object]]:
    for n, width, apart in DATA:
        for n_folds, n_repeats in WAYS:
            truths, ours, others = [], [], []
            for number in range(n_sets):
                draw = np.random.default_rng([n, width, n_folds, n_repeats, number])
                data = drawn(draw, n, width, apart)
                if n_folds:
                    found, truth = by_folds(draw, data, apart, n_folds, n_repeats)
                else:
                    found, truth = by_seeds(draw, data, apart, n_repeats)
                given = accuracy_of(found, np.arange(n), n_folds=n_folds)
                truths.append(truth)
                ours.append((given.low, given.high))
                others.append(usual(found))
            if n_folds:
                truths = [float(np.mean(truths))] * n_sets
            seeds = f"{n_repeats} seeds"
            yield {
                "data": f"{n} x {width:,}",
                "trainings": f"{n_folds} folds x {n_repeats}" if n_folds else seeds,
                "truth": float(np.mean(truths)),
                "n_sets": n_sets,
                "usual": counted(others, truths),
                "ours": counted(ours, truths),
            }


def counted(ends: list[tuple[float, float]], truths: list[float]) -> dict[str, float]:
    held = sum(low <= truth <= high for (low, high), truth in zip(ends, truths, strict=True))
    return {"held": held, "width": float(np.mean([high - low for low, high in ends]))}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("n_sets", type=int)
    given = parser.parse_args()
    json.dump({"cells": list(cells(given.n_sets))}, sys.stdout)


if __name__ == "__main__":
    main()
