"""Solve one head by fieldmark or scikit-learn: seconds, and the log-loss on unseen rows.

fieldmark's side then measures the out-of-fold answers as a report does, and times that too.
"""

import argparse
import json
import time
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

N_UNSEEN = 4000
N_STRENGTHS = 20


class Solved(NamedTuple):
    """One head and what it took."""

    seconds: float
    strength: float
    n_strengths: int
    """How many of them were solved: fieldmark stops where the loss has clearly turned."""
    logits: Callable[[np.ndarray], np.ndarray]
    judging_s: float = 0.0


def drawn(n: int, n_columns: int, n_classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Return features like a network's: correlated, skewed, zero half of the time."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, n_classes, n)
    size = np.exp(-4 * np.arange(n_columns) / n_columns).astype(np.float32)
    centres = 0.06 * rng.normal(size=(n_classes, n_columns)).astype(np.float32)
    turn = np.linalg.qr(rng.normal(size=(n_columns, n_columns)).astype(np.float32))[0]
    noise = rng.normal(size=(n, n_columns)).astype(np.float32)
    linear = ((noise + centres[labels]) * size) @ turn
    return np.maximum(linear, 0.1 * linear), labels


def fieldmark(
    features: np.ndarray, labels: np.ndarray, strengths: tuple[float, ...], k: int
) -> Solved:
    from fieldmark.training.head import HeadSettings, Rows, solve

    n = len(labels)
    rows = Rows(
        features=features,
        labels=labels.astype(np.int64),
        groups=np.arange(n),
        original=np.ones(n, dtype=bool),
    )
    started = time.perf_counter()
    head = solve(rows, n_classes=k, settings=HeadSettings(strengths=strengths), seed=0)
    seconds = time.perf_counter() - started
    judging = judged(head.out_of_fold, rows.labels, k)
    return Solved(seconds, head.strength, len(head.path), head.logits, judging)


def judged(logits: np.ndarray, labels: np.ndarray, k: int) -> float:
    """Return the seconds for temperature, thresholds, every figure of a report, every interval."""
    from fieldmark.evaluation import calibration, decision
    from fieldmark.evaluation.doubt import measure_doubt
    from fieldmark.evaluation.report import measure

    started = time.perf_counter()
    temperature = calibration.fit_temperature(logits, labels).value
    limit = decision.accept(logits, labels, error=0.05, confidence=0.95, exact=False).margin
    said = [
        "unsure" if limit is None or ahead < limit else "accept"
        for ahead in decision.margins(logits)
    ]
    scores = calibration.softmax(logits, temperature)
    names = tuple(f"class {at}" for at in range(k))
    measure(scores, labels, names, baseline_class=names[0], conditions={}, seed=0)
    measure_doubt(scores, labels, said, temperature=temperature, promise="", seed=0)
    return time.perf_counter() - started


def sklearn(
    features: np.ndarray, labels: np.ndarray, strengths: tuple[float, ...], k: int
) -> Solved:
    from sklearn.linear_model import LogisticRegressionCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    # It sums losses over a fold's rows, and penalises one vector where there are two classes.
    scale = (2 if k == 2 else 1) / len(labels)
    model = LogisticRegressionCV(
        Cs=[scale / each for each in strengths], cv=5, scoring="neg_log_loss", max_iter=1000
    )
    started = time.perf_counter()
    pipe = make_pipeline(StandardScaler(), model).fit(features, labels)
    seconds = time.perf_counter() - started
    best = scale / float(np.ravel(model.C_)[0])
    return Solved(seconds, best, len(strengths), pipe.predict_log_proba)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("side", choices=["fieldmark", "sklearn"])
    parser.add_argument("sizes", type=int, nargs=3, metavar="N")
    given = parser.parse_args()
    n, n_columns, n_classes = given.sizes
    features, labels = drawn(n + N_UNSEEN, n_columns, n_classes)
    strengths = tuple(np.geomspace(10, 1e-4, N_STRENGTHS).tolist())
    solver = fieldmark if given.side == "fieldmark" else sklearn
    solved = solver(features[:n], labels[:n], strengths, n_classes)
    logits = np.asarray(solved.logits(features[n:]), dtype=np.float64)
    logits -= logits.max(axis=1, keepdims=True)
    own = logits[np.arange(N_UNSEEN), labels[n:]]
    loss = float((np.log(np.exp(logits).sum(axis=1)) - own).mean())
    found = {**solved._asdict(), "log_loss": loss}
    del found["logits"]
    print(json.dumps(found))


if __name__ == "__main__":
    main()
