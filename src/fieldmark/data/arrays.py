"""Arrays of the cache, mapped from their files; whatever is wrong with one is a ValueError."""

from __future__ import annotations

import tokenize
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray


def mapped(path: Path) -> NDArray[Any]:
    """Map a ``.npy`` file read-only; nothing of it is unpickled.

    Raises
    ------
    OSError
        It cannot be opened.
    ValueError
        It is no plain array: NumPy gives the header of a damaged file to Python's parser, which has
        errors of its own.
    """
    try:
        return np.lib.format.open_memmap(path, mode="r")
    except (SyntaxError, tokenize.TokenError, OverflowError, MemoryError, RecursionError) as error:
        raise ValueError(f"the header of {path.name} is damaged") from error
