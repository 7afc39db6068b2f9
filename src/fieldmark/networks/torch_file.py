"""Arrays out of a file of ``torch.save``'s older form, without torch and without unpickling.

Such a file is five pickles (magic number, version, facts about the writer's computer, the state
dict, the storages' keys), then every storage: how many numbers, and the numbers. The pickles are
read by :mod:`~fieldmark.networks.torch_pickle`, which runs nothing.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from fieldmark.networks.torch_pickle import Machine, Storage, Tensor, damaged, unsafe

LIMIT_BYTES: Final = 256 << 20
"""Largest file, and most bytes of arrays; EfficientNet-Lite2 needs a tenth."""
MAX_TENSORS: Final = 10_000

_PREAMBLE: Final = bytes.fromhex("80028a0a6cfc9c46f9206aa850192e" + "80024de9032e")
"""The first two pickles, which are the same in every file: the magic number, and version 1001."""


def read_tensors(data: bytes, *, limit_bytes: int = LIMIT_BYTES) -> dict[str, NDArray[Any]]:
    """Read a state dict that ``torch.save`` wrote in its older form, the one that is no zip.

    Parameters
    ----------
    data : bytes
        The whole file.
    limit_bytes : int, default=256 MiB
        Most bytes of the file, and of all arrays together.

    Returns
    -------
    dict of str to array
        Copies in the file's order, of type float64, float32, float16, int64, int32 or uint8.

    Raises
    ------
    BundleError
        Code ``weights-unsafe``: it asks for anything but arrays, or for more than the limits.
        Code ``weights-damaged``: it ends early or late, or its sizes contradict each other.

    Examples
    --------
    >>> from fieldmark.networks import pretrained
    >>> read_tensors(pretrained.find("efficientnet-lite0"))["_conv_stem.weight"].shape
    (32, 3, 3, 3)
    """
    if len(data) > limit_bytes:
        raise unsafe(f"{len(data):,} bytes, more than {limit_bytes:,}", 0)
    if not data.startswith(_PREAMBLE):
        raise damaged("they do not begin as torch's older form does", 0)
    facts, at = Machine(data, len(_PREAMBLE)).run()
    _check_facts(facts, at)
    machine = Machine(data, at)
    state, at = machine.run()
    tensors = _checked_tensors(state, limit_bytes, at)
    keys, at = Machine(data, at).run()
    buffers = _buffers(data, _in_order(keys, machine.storages, at), at)
    return {name: _array(tensor, buffers) for name, tensor in tensors.items()}


def _check_facts(facts: object, at: int) -> None:
    match facts:
        case {"protocol_version": int(version), "little_endian": True} if version == 1001:
            return
    raise damaged("they were not written by a little-endian computer", at)


def _checked_tensors(state: object, limit_bytes: int, at: int) -> dict[str, Tensor]:
    if not isinstance(state, dict):
        raise unsafe("they are no dict of tensors", at)
    tensors = {name: tensor for name, tensor in state.items() if isinstance(tensor, Tensor)}
    if len(tensors) != len(state):
        raise unsafe("something in the dict is no tensor", at)
    if len(tensors) > MAX_TENSORS:
        raise unsafe(f"{len(tensors):,} tensors, more than {MAX_TENSORS:,}", at)
    n_bytes = sum(tensor.n_bytes for tensor in tensors.values())
    if n_bytes > limit_bytes:
        raise unsafe(f"{n_bytes:,} bytes of arrays, more than {limit_bytes:,}", at)
    return tensors


def _in_order(keys: object, storages: dict[str, Storage], at: int) -> list[Storage]:
    """Return the storages as they follow each other in the file."""
    if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys):
        raise unsafe("the keys of the storages are no list of texts", at)
    if len(keys) != len(storages) or set(keys) != storages.keys():
        raise damaged("other storages are stored than the tensors name", at)
    return [storages[key] for key in keys]


def _buffers(data: bytes, storages: list[Storage], at: int) -> dict[str, memoryview]:
    view = memoryview(data)
    buffers = {}
    for storage in storages:
        start, end = at + 8, at + 8 + storage.n_bytes
        if end > len(data):
            raise damaged(f"they end inside of the storage {storage.key!r}", at)
        if int.from_bytes(view[at:start], "little") != storage.n_numbers:
            raise damaged(f"the storage {storage.key!r} has another length than was said", at)
        buffers[storage.key] = view[start:end]
        at = end
    if at != len(data):
        raise damaged(f"{len(data) - at:,} bytes follow the last storage", at)
    return buffers


def _array(tensor: Tensor, buffers: dict[str, memoryview]) -> NDArray[Any]:
    dtype = tensor.storage.dtype
    view: NDArray[Any] = np.ndarray(
        tensor.shape,
        dtype,
        buffer=buffers[tensor.storage.key],  # NumPy holds strides against its length once more
        offset=tensor.offset * dtype.itemsize,
        strides=[stride * dtype.itemsize for stride in tensor.strides],
    )
    return view.astype(dtype.newbyteorder("="), order="C")
