"""Solve one head by fieldmark or scikit-learn: seconds, and the log-loss on unseen rows."""

import argparse
import json
import time

import numpy as np

N_UNSEEN = 4000
N_STRENGTHS = 20


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


def fieldmark(features: np.ndarray, labels: np.ndarray, strengths: tuple[float, ...], k: int):
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
    return time.perf_counter() - started, head.strength, head.logits


def sklearn(features: np.ndarray, labels: np.ndarray, strengths: tuple[float, ...], k: int):
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
    return seconds, scale / float(np.ravel(model.C_)[0]), pipe.predict_log_proba


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("side", choices=["fieldmark", "sklearn"])
    parser.add_argument("sizes", type=int, nargs=3, metavar="N")
    given = parser.parse_args()
    n, n_columns, n_classes = given.sizes
    features, labels = drawn(n + N_UNSEEN, n_columns, n_classes)
    strengths = tuple(np.geomspace(10, 1e-4, N_STRENGTHS).tolist())
    solver = fieldmark if given.side == "fieldmark" else sklearn
    seconds, strength, scored = solver(features[:n], labels[:n], strengths, n_classes)
    logits = np.asarray(scored(features[n:]), dtype=np.float64)
    logits -= logits.max(axis=1, keepdims=True)
    own = logits[np.arange(N_UNSEEN), labels[n:]]
    loss = float((np.log(np.exp(logits).sum(axis=1)) - own).mean())
    print(json.dumps({"seconds": seconds, "strength": strength, "log_loss": loss}))


if __name__ == "__main__":
    main()
