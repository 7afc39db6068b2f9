"""Arrays of the cache, mapped from their files; whatever is wrong with one is a ValueError."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

_HEADER: Final = re.compile(
    rb"\x93NUMPY\x01\x00..\{'descr': '[|<>][a-z][0-9]+', 'fortran_order': False, "
    rb"'shape': \([0-9, ]*\), \} *\n",
    re.DOTALL,
)
"""In the one spelling that NumPy writes; other headers go to Python's parser, which has warnings
and errors of its own."""
_HEADER_BYTES: Final = 128


def mapped(path: Path) -> NDArray[Any]:
    """Map a ``.npy`` file read-only; nothing of it is unpickled.

    Raises
    ------
    OSError
        It cannot be opened.
    ValueError
        It is no plain array.
    """
    with path.open("rb") as file:
        head = file.read(_HEADER_BYTES)
    if not _HEADER.match(head):
        raise ValueError(f"the header of {path.name} is damaged")
    try:
        return np.lib.format.open_memmap(path, mode="r")
    except (OverflowError, MemoryError) as error:
        raise ValueError(f"the header of {path.name} is damaged") from error
