"""Multinomial logistic regression on frozen features, for several row weightings at once.

The folds of a cross-validation differ in their row weights only (0 for what is held out), so all of
them are solved side by side: one matrix product per pass over the features serves every class of
every fold. The objective of one problem, with row weights that add up to 1, is

    sum_i w_i (-ln p_i[label_i]) + strength / 2 * |W|^2

over standardised features; the intercept is free. Two classes are solved as one vector of log-odds
v with half the strength, which is the same problem: its minimum is at W = (-v/2, v/2).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fieldmark.training.descent import Numbers, Points, minimised
from fieldmark.training.design import Design

RANK = 192
"""Directions of the features whose spread the preconditioner knows exactly (nearly)."""
_SKETCH_ROWS = 4096
_SKETCH_PASSES = 2
_LEAST_CURVATURE = 1e-3

UNSEEN = 0.5
"""Examples that a class counts for where it is scored without having been seen."""


@dataclass(frozen=True, slots=True, eq=False)
class Spread:
    """The features' covariance as a few directions and one number for all others."""

    directions: NDArray[np.float32]
    """(rank, n_features), orthonormal rows."""
    values: NDArray[np.float64]
    """(rank,), the variance along each."""
    rest: float
    """The mean variance across all of them."""

    def inverse(
        self, curvature: NDArray[np.float64], strength: float
    ) -> Callable[[Points], Points]:
        """Return the product with ``inv(curvature * covariance + strength)``, per output.

        Parameters
        ----------
        curvature : float array of shape (n_problems, n_outputs)
            What the loss' second derivative is on average.
        strength : float
            Of the penalty.
        """
        across = curvature[..., None] * self.rest + strength
        along = 1 / (curvature[..., None] * self.values + strength) - 1 / across
        outside = (1 / across).astype(np.float32).reshape(-1, 1)
        inside = along.astype(np.float32).reshape(-1, len(self.values))
        intercept = (1 / curvature).astype(np.float32)

        def apply(points: Points) -> Points:
            out = np.empty_like(points)
            slopes = points[..., 1:].reshape(-1, points.shape[-1] - 1)
            known = (slopes @ self.directions.T) * inside
            out[..., 1:] = (slopes * outside + known @ self.directions).reshape(*out.shape[:2], -1)
            out[..., 0] = points[..., 0] * intercept
            return out

        return apply


def spread(design: Design, draw: np.random.Generator) -> Spread:
    """Find the directions of largest spread, roughly: they only speed the descent up.

    References
    ----------
    Halko, Martinsson and Tropp, "Finding structure with randomness", SIAM Review 2011, algorithm
    4.4.
    """
    every = -(-design.n_rows // _SKETCH_ROWS)
    rows = np.concatenate(
        [block[-(part.start or 0) % every :: every] for part, block in design.blocks()]
    )
    sample = rows[:, 1:]
    n, width = sample.shape
    rank = min(RANK, n, width)
    basis = draw.standard_normal((width, rank), dtype=np.float32)
    for _ in range(_SKETCH_PASSES):
        basis, _ = np.linalg.qr(sample.T @ (sample @ basis))
    seen = sample @ basis
    values, turn = np.linalg.eigh((seen.T @ seen).astype(np.float64) / n)
    values = np.maximum(values, 0)
    total = float(np.square(sample).sum(dtype=np.float64)) / n
    rest = max(total - float(values.sum()), 0) / max(width - rank, 1)
    return Spread(np.ascontiguousarray((basis @ turn.astype(np.float32)).T), values, rest)


@dataclass(frozen=True, slots=True, eq=False)
class Problems:
    """Several weightings of the same rows."""

    design: Design
    labels: NDArray[np.int64]
    """(n_rows,)"""
    n_classes: int
    weights: NDArray[np.float32]
    """(n_problems, n_rows); each row adds up to 1."""
    unseen: NDArray[np.bool_]
    """(n_problems, n_classes): classes without weight, which are left out of the softmax."""
    spread: Spread

    @property
    def paired(self) -> bool:
        """Whether one vector of log-odds stands for two classes."""
        return self.n_classes == 2 and not self.unseen.any()

    def start(self) -> Points:
        """Return all zeros, in the solver's form: one output if ``paired``, else one per class."""
        n_outputs = 1 if self.paired else self.n_classes
        return np.zeros((len(self.weights), n_outputs, self.design.n_columns), dtype=np.float32)

    def solved(self, strength: float, start: Points, *, tolerance: float) -> Points:
        """Solve all problems for one strength from a start."""
        strength = strength / 2 if self.paired else strength

        def objective(points: Points) -> tuple[Numbers, Points]:
            value, gradient, _ = self._passed(points)
            slopes = points[..., 1:].reshape(len(points), -1)
            gradient[..., 1:] += np.float32(strength) * points[..., 1:]
            return value + strength / 2 * np.square(slopes).sum(axis=1, dtype=np.float64), gradient

        curvature = np.maximum(self._passed(start)[2], _LEAST_CURVATURE)
        precondition = self.spread.inverse(curvature, strength)
        return minimised(objective, start, precondition, tolerance=tolerance)

    def per_class(self, points: Points) -> Points:
        """Return weights of every class, their intercepts adding up to 0."""
        if self.paired:
            return np.concatenate([points / -2, points / 2], axis=1)
        centred = points.copy()
        centred[..., 0] -= points[..., 0].mean(axis=1, keepdims=True)
        return centred

    def inner(self, classes: Points) -> Points:
        """Return weights of every class in the solver's form: undoes :meth:`per_class`."""
        return classes[:, 1:] - classes[:, :1] if self.paired else classes

    def _passed(self, points: Points) -> tuple[Numbers, Points, NDArray[np.float64]]:
        """Pass over the rows: mean losses, their gradients and mean curvatures."""
        n_problems, n_outputs, width = points.shape
        value = np.zeros(n_problems)
        curvature = np.zeros((n_problems, n_outputs))
        gradient = np.zeros_like(points)
        flat = points.reshape(-1, width)
        for part, block in self.design.blocks():
            logits = (flat @ block.T).reshape(n_problems, n_outputs, len(block))
            labels, weights = self.labels[part], self.weights[:, part]
            if self.paired:
                losses, errors = _log_odds(logits, labels)
            else:
                logits[self.unseen] = -np.inf
                losses, errors = _softmax(logits, labels)
            value += np.einsum("pn,pn->p", weights, losses, dtype=np.float64)
            probs = np.abs(errors)
            curvature += np.einsum("pon,pn->po", probs - np.square(probs), weights)
            errors *= weights[:, None]
            gradient += (errors.reshape(-1, len(block)) @ block).reshape(points.shape)
        return value, gradient, curvature


def _log_odds(
    logits: NDArray[np.float32], labels: NDArray[np.int64]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return losses (n_problems, n) and, per output, probability minus truth."""
    # As the odds of being wrong: exact however large they are.
    against = np.where(labels == 1, -logits, logits)
    small = np.exp(-np.abs(against))
    losses = np.maximum(against, 0) + np.log1p(small)
    wrong = np.where(against > 0, 1, small) / (1 + small)
    return losses[:, 0], np.where(labels == 1, -wrong, wrong)


def _softmax(
    logits: NDArray[np.float32], labels: NDArray[np.int64]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return losses (n_problems, n) and, per class, probability minus truth; reuses the logits.

    Rows whose own class is unseen have no weight; their loss is 0 here.
    """
    at = np.arange(len(labels))
    top = logits.max(axis=1)
    own = logits[:, labels, at]
    logits -= top[:, None]
    probs = np.exp(logits, out=logits)
    total = probs.sum(axis=1)
    probs /= total[:, None]
    losses = np.where(np.isfinite(own), np.log(total) + top - own, 0)
    probs[:, labels, at] -= np.isfinite(own)
    return losses, probs


def held_out(
    logits: NDArray[np.float32], unseen: NDArray[np.bool_], n_learned: float
) -> NDArray[np.float32]:
    """Give classes that a fold has not seen the probability of half an example.

    Parameters
    ----------
    logits : float32 array of shape (n, n_classes)
        Of one fold's held-out rows.
    unseen : bool array of shape (n_classes,)
        Classes of which the fold learned nothing; at least one is seen.
    n_learned : float
        How many examples it learned from.
    """
    if not unseen.any():
        return logits
    seen = logits[:, ~unseen]
    top = seen.max(axis=1)
    whole = top + np.log(np.exp(seen - top[:, None]).sum(axis=1))
    out = logits.copy()
    out[:, unseen] = (whole + np.log(UNSEEN / n_learned))[:, None]
    return out
