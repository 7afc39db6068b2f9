"""Draw test sets whose truth is known, and count how often the product's intervals hold it."""

import argparse
import json
import sys
from collections.abc import Callable, Iterator

import numpy as np

from fieldmark import rng
from fieldmark.evaluation import measures
from fieldmark.evaluation.intervals import wilson
from fieldmark.evaluation.resampling import Resampling

SIZE = 5
"""Pictures per group."""
ALIKE = 0.3
"""Correlation of the answers within a group."""
SURE = np.linspace(0.55, 0.95, 9)
"""How sure the answers are, right or wrong: the mean Brier score follows from it."""

Interval = tuple[float, float]


def single(n: int, p: float, draw: np.random.Generator) -> np.ndarray:
    """Right or wrong, each answer on its own."""
    return draw.random(n) < p


def grouped(n: int, p: float, draw: np.random.Generator) -> np.ndarray:
    """Right or wrong, groups of five by a beta-binomial distribution."""
    strength = (1 - ALIKE) / ALIKE
    chances = draw.beta(p * strength, (1 - p) * strength, n // SIZE)
    return draw.random(n) < np.repeat(chances, SIZE)


def sample(right: np.ndarray, draw: np.random.Generator, seed: int, *, groups: bool):
    """Two classes that take turns, group by group; the answers' sureness is drawn apart."""
    n = len(right)
    number = np.arange(n) // SIZE
    truth = number % 2 if groups else np.arange(n) % 2
    sure = draw.choice(SURE, n)
    given = np.where(right, sure, 1 - sure)
    scores = np.stack([np.where(truth == 0, given, 1 - given)] * 2, axis=1)
    scores[:, 1] = 1 - scores[:, 0]
    return measures.Sample.of(scores, truth, Resampling(seed, number if groups else None))


def brier_truth(p: float) -> float:
    return float(p * np.mean((1 - SURE) ** 2) + (1 - p) * np.mean(SURE**2))


def ends(found) -> Interval:
    return found.low, found.high


Kind = tuple[bool, Callable[[measures.Sample], Interval], Callable[[float], float]]
KINDS: dict[str, Kind] = {
    "Wilson: accuracy": (False, lambda s: ends(measures.share("", s, s.right)), float),
    "BCa: balanced accuracy": (False, lambda s: ends(measures.balanced_accuracy(s)), float),
    "BCa: Brier": (False, lambda s: ends(measures.brier(s)), brier_truth),
    "groups, Wilson: accuracy": (True, lambda s: ends(measures.share("", s, s.right)), float),
    "groups, BCa: balanced accuracy": (True, lambda s: ends(measures.balanced_accuracy(s)), float),
    "groups, BCa: Brier": (True, lambda s: ends(measures.brier(s)), brier_truth),
    "groups ignored, Wilson: accuracy": (
        True,
        lambda s: wilson(int(s.right.sum()), s.n),
        float,
    ),
}
"""Whether answers come in groups, what is measured, and its truth."""


def cells(n_sets: int, sizes: list[int], rates: list[float]) -> Iterator[dict[str, object]]:
    """Yield one kind of interval at one size and rate: the share that held, and the mean width."""
    for name, (in_groups, measured, truth) in KINDS.items():
        for n in sizes:
            for p in rates:
                held, below, width = 0, 0, 0.0
                for number in range(n_sets):
                    draw = rng.derive(number, "coverage", name, n, str(p))
                    right = (grouped if in_groups else single)(n, p, draw)
                    low, high = measured(sample(right, draw, number, groups=in_groups))
                    held += low <= truth(p) <= high
                    below += high < truth(p)
                    width += (high - low) / n_sets
                yield {
                    "kind": name,
                    "n": n,
                    "p": p,
                    "held": held,
                    "too_low": below,
                    "n_sets": n_sets,
                    "width": width,
                }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("sets", type=int)
    parser.add_argument("--sizes", type=int, nargs="+", default=[50, 200, 2000])
    parser.add_argument("--rates", type=float, nargs="+", default=[0.5, 0.9, 0.99])
    parser.add_argument("--kinds", nargs="+", default=list(KINDS))
    given = parser.parse_args()
    for name in set(KINDS) - set(given.kinds):
        del KINDS[name]
    found = []
    for cell in cells(given.sets, given.sizes, given.rates):
        print(f"  {cell}", file=sys.stderr, flush=True)
        found.append(cell)
    print(json.dumps({"cells": found}))


if __name__ == "__main__":
    main()
