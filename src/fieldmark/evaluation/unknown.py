"""Whether a picture is like those a network was trained on: a distance of its features.

Pure NumPy. Features are brought to length 1; the distance is Mahalanobis' to the nearest class mean
with one covariance for all classes, of which only the main directions are kept and the rest counts
as equally wide. That is a shrunken covariance in a few hundred kilobytes. Measured against the
highest score, energy and nearest neighbours: ``docs/decisions/014-decisions.md``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from fieldmark.evaluation.metrics import Labels

WIDTH: Final = 32
"""Directions that are kept. With 16 to 256 the figures are the same."""
MAX_PICTURES: Final = 4000
"""Training pictures that are looked at, evenly taken."""
_ROUNDS: Final = 6
_SPARE: Final = 16
_MAX_NUMBERS: Final = 1 << 22
_FLOOR: Final = 1e-4
"""Smallest width of a direction, as a share of the mean one: dead features stay harmless."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Familiar:
    """What the training pictures' features look like."""

    means: NDArray[np.float32]
    """(n_classes, n_features): of each class, of features of length 1."""
    basis: NDArray[np.float32]
    """(n_directions, n_features): orthonormal rows."""
    scales: NDArray[np.float32]
    """(n_directions + 1,): standard deviation along each, and of every direction beside them."""

    @property
    def n_bytes(self) -> int:
        """What it takes in a model file, but for a few names."""
        return self.means.nbytes + self.basis.nbytes + self.scales.nbytes


def normalised(features: NDArray[np.floating]) -> NDArray[np.float64]:
    """Bring each row to length 1; a row of zeros stays one.

    Examples
    --------
    >>> normalised(np.array([[3.0, 4.0]])).tolist()
    [[0.6, 0.8]]
    """
    values = np.asarray(features, np.float64)
    lengths = np.linalg.norm(values, axis=1, keepdims=True)
    unit: NDArray[np.float64] = values / np.maximum(lengths, 1e-12)
    return unit


def familiar(
    features: NDArray[np.float32], labels: Labels, n_classes: int, *, rng: np.random.Generator
) -> Familiar | None:
    """Describe the features of training pictures.

    Parameters
    ----------
    features : float array of shape (n, n_features)
    labels : int array of shape (n,)
    n_classes : int
        A class without pictures gets the mean of all.
    rng : numpy.random.Generator
        Where the search for the main directions begins; it hardly matters.

    Returns
    -------
    Familiar or None
        None where there is nothing to describe: one feature, no more pictures than classes, or
        features that do not differ.

    References
    ----------
    Lee et al., NeurIPS 2018 (Mahalanobis distance); Mueller and Hein, "Mahalanobis++", 2025
    (length 1); Tipping and Bishop, JRSS B 1999 (main directions and one width for the rest).
    """
    at = np.unique(np.linspace(0, len(features) - 1, min(len(features), MAX_PICTURES)).astype(int))
    if len(at) <= n_classes or features.shape[1] < 2:
        return None
    unit, truth = normalised(features[at]), np.asarray(labels)[at]
    means = np.tile(unit.mean(axis=0), (n_classes, 1))
    for each in np.unique(truth):
        means[each] = unit[truth == each].mean(axis=0)
    rest = unit - means[truth]
    total = float((rest**2).sum()) / len(rest)
    if not np.isfinite(total) or total < 1e-12:
        return None
    n_features = unit.shape[1]
    basis, variances = _directions(rest, min(WIDTH, n_features - 1), rng)
    beside = max(total - float(variances.sum()), 0.0) / (n_features - len(basis))
    widths = np.sqrt(np.append(variances, beside))
    return Familiar(
        means=means.astype(np.float32),
        basis=basis.astype(np.float32),
        scales=np.maximum(widths, _FLOOR * np.sqrt(total / n_features)).astype(np.float32),
    )


def _directions(
    rest: NDArray[np.float64], n_wanted: int, rng: np.random.Generator
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return main directions as rows, and the variance along each: by subspace iteration."""
    n, n_features = rest.shape
    drawn = rng.standard_normal((n_features, min(n_wanted + _SPARE, n_features)))
    found, _ = np.linalg.qr(drawn)
    for _ in range(_ROUNDS):
        found, _ = np.linalg.qr(rest.T @ (rest @ found))
    seen = rest @ found
    variances, turned = np.linalg.eigh(seen.T @ seen / n)
    order = np.argsort(-variances)[:n_wanted]
    return (found @ turned[:, order]).T, np.maximum(variances[order], 0.0)


def distances(known: Familiar, features: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return how far each picture is from the nearest class, in standard deviations.

    Parameters
    ----------
    known : Familiar
    features : float array of shape (n, n_features)

    Returns
    -------
    float64 array of shape (n,)
        At least 0.
    """
    basis, means = known.basis.astype(np.float64), known.means.astype(np.float64)
    scales = known.scales.astype(np.float64)
    centres = means @ basis.T
    lengths = (means**2).sum(axis=1)
    found = np.empty(len(features))
    size = max(1, _MAX_NUMBERS // max(centres.size, means.shape[1]))
    for start in range(0, len(features), size):
        unit = normalised(features[start : start + size])
        inside = (unit @ basis.T)[:, None] - centres
        whole = (unit**2).sum(axis=1)[:, None] + lengths - 2 * unit @ means.T
        beside = np.maximum(whole - (inside**2).sum(axis=2), 0.0)
        squared = ((inside / scales[:-1]) ** 2).sum(axis=2) + beside / scales[-1] ** 2
        found[start : start + size] = np.sqrt(squared.min(axis=1))
    return found


def stranger_from(found: NDArray[np.float64], share: float) -> float | None:
    """Return the distance from which on a picture is unknown.

    Parameters
    ----------
    found : float array of shape (n,)
        Distances of validation pictures.
    share : float
        Of known pictures that may be called unknown, in (0, 1).

    Returns
    -------
    float or None
        The rank is that of a conformal test: of new pictures like these, on average at most
        ``share`` lie as far away. None where there are fewer than ``1 / share - 1`` pictures.

    Examples
    --------
    >>> stranger_from(np.arange(99.0), 0.02), stranger_from(np.arange(48.0), 0.02)
    (97.0, None)
    """
    rank = int(share * (len(found) + 1) + 1e-9)
    return float(np.sort(found)[len(found) - rank]) if rank else None
