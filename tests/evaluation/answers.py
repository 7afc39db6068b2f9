"""Answers of a network that is sometimes right, for properties that must hold for all of them."""

import numpy as np
from hypothesis import strategies as st

from fieldmark import rng


@st.composite
def measured(draw, min_classes=2):
    """Scores and labels of a network that is sometimes right; some classes may not occur."""
    n_classes = draw(st.integers(min_classes, 7))
    n = draw(st.integers(1, 80))
    numbers = rng.derive(draw(st.integers(0, 2**32)), "scores")
    labels = numbers.integers(0, draw(st.integers(1, n_classes)), n)
    logits = numbers.normal(size=(n, n_classes)) * draw(st.sampled_from([0.1, 1.0, 30.0, 300.0]))
    logits[np.arange(n), labels] += draw(st.floats(0, 3))
    logits -= logits.max(axis=1, keepdims=True)
    probs = np.exp(logits)
    return probs / probs.sum(axis=1, keepdims=True), labels
