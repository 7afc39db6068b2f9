"""Rows of features to solve heads from: classes are Gaussian clouds in a skewed space."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from fieldmark.training.rows import Rows


def blobs(n: int, n_columns: int, n_classes: int, *, seed: int = 0, apart: float = 1.0) -> Rows:
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % n_classes
    centres = rng.normal(size=(n_classes, n_columns)) * apart / np.sqrt(n_columns) * 3
    mixing = np.linalg.qr(rng.normal(size=(n_columns, n_columns)))[0] * np.geomspace(
        1, 0.05, n_columns
    )
    features = (centres[labels] + rng.normal(size=(n, n_columns))) @ mixing.T
    return rows_of(features, labels)


def rows_of(features: np.ndarray, labels: np.ndarray, groups: np.ndarray | None = None) -> Rows:
    return Rows(
        features=np.ascontiguousarray(features, dtype=np.float32),
        labels=np.asarray(labels, dtype=np.int64),
        groups=np.arange(len(labels)) if groups is None else np.asarray(groups, dtype=np.int64),
        original=np.ones(len(labels), dtype=bool),
    )


def taken(rows: Rows, which: np.ndarray) -> Rows:
    return Rows(
        features=rows.features[which],
        labels=rows.labels[which],
        groups=rows.groups[which],
        original=rows.original[which],
    )


def with_copies(rows: Rows, n_copies: int, *, noise: float = 0.0, seed: int = 0) -> Rows:
    rng = np.random.default_rng(seed)
    which = np.repeat(np.arange(len(rows.labels)), n_copies + 1)
    every = taken(rows, which)
    original = np.tile(np.arange(n_copies + 1) == 0, len(rows.labels))
    shaken = rng.normal(size=every.features.shape) * noise * ~original[:, None]
    return replace(every, original=original, features=(every.features + shaken).astype(np.float32))


def softmax(logits: np.ndarray) -> np.ndarray:
    wide = np.exp(logits.astype(np.float64) - logits.max(axis=1, keepdims=True))
    return wide / wide.sum(axis=1, keepdims=True)
