"""Randomness that is passed in and named: each draw is a function of its seed and its purpose.

Nothing depends on the order of calls, on the number of workers or on timing. Two forms:

* :func:`derive` gives one purpose its own NumPy generator (shuffling, initial weights).
* :func:`uniforms` gives many examples their own few numbers at once (augmentation), because making
  a generator costs about 20 microseconds and a training step has room for none of that.
"""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)


def _digest(seed: int, key: tuple[str | int, ...]) -> bytes:
    # str(), not repr(): NumPy prints np.int64(3) and 3 differently, and both must mean 3. The
    # length before each word keeps ("a/b",) and ("a", "b") apart.
    words = "".join(f"{len(str(word))}:{word}" for word in (seed, *key))
    return hashlib.blake2b(words.encode(), digest_size=16).digest()


def derive(seed: int, *key: str | int) -> np.random.Generator:
    """Give one purpose its own generator.

    The same ``(seed, key)`` draws the same numbers on any machine, in any order, with any number of
    workers.

    Examples
    --------
    >>> bool(derive(7, "order", 3).random() == derive(7, "order", 3).random())
    True
    >>> bool(derive(7, "order", 3).random() == derive(7, "order", 4).random())
    False
    """
    return np.random.default_rng(int.from_bytes(_digest(seed, key), "little"))


def uniforms(
    seed: int, *key: str | int, ids: NDArray[np.uint64], n_draws: int
) -> NDArray[np.float64]:
    """Draw ``n_draws`` numbers per example, each a function of ``(seed, key, id, draw)`` alone.

    Parameters
    ----------
    seed : int
        The run's seed.
    *key : str or int
        The purpose, and usually the epoch.
    ids : uint64 array of shape (n_examples,)
        One stable number per example, from its content's hash.
    n_draws : int
        How many numbers each example gets.

    Returns
    -------
    float64 array of shape (n_examples, n_draws)
        Uniform in [0, 1).

    References
    ----------
    SplitMix64: Steele, Lea and Flood, "Fast Splittable Pseudorandom Number Generators",
    OOPSLA 2014.

    Examples
    --------
    >>> ids = np.array([5, 9], dtype=np.uint64)
    >>> both = uniforms(7, "augment", 0, ids=ids, n_draws=3)
    >>> alone = uniforms(7, "augment", 0, ids=ids[1:], n_draws=3)
    >>> bool((both[1] == alone[0]).all())
    True
    """
    start = np.uint64(int.from_bytes(_digest(seed, key)[:8], "little"))
    with np.errstate(over="ignore"):  # arithmetic modulo 2**64 is the method
        stream = _mix(np.asarray(ids, dtype=np.uint64) ^ start)
        steps = np.arange(1, n_draws + 1, dtype=np.uint64) * _GOLDEN
        bits = _mix(stream[:, None] + steps[None, :])
    return (bits >> np.uint64(11)).astype(np.float64) * 2.0**-53


def _mix(z: NDArray[np.uint64]) -> NDArray[np.uint64]:
    z = (z ^ (z >> np.uint64(30))) * _MIX_1
    z = (z ^ (z >> np.uint64(27))) * _MIX_2
    return z ^ (z >> np.uint64(31))
