"""Where a training stands, on disk: a kill at any moment costs the steps since the last one.

Touches the disk. What it promises:

* A checkpoint is one file, written whole, and its name holds the hash of its bytes: what does not
  hash to its name is not read. The one before it is kept and taken when the newest is damaged.
* Nothing that was written is lost to a kill, a crash, a full disk or a cut of power while the next
  one is written: temporary name, fsync, rename, fsync of the folder; only then is an old one gone.
* Floats come back as the bits they were.
* Next to the training it costs under 2 %: the longer a write takes, the longer until the next.

The file is safetensors; what is not an array is JSON in its header.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from fieldmark.atomic import storing, write_whole
from fieldmark.errors import out_of_memory
from fieldmark.training.events import EpochDone, Stopped

FORMAT: Final = 1
KEPT: Final = 2
"""The newest and the one before it."""
SPACING: Final = 50
"""Seconds of training between two writes for each second that a write takes."""
EVERY_S: Final = 30.0

_KEY: Final = "fieldmark.checkpoint"
_NAME: Final = re.compile(r"(?P<what>[a-z]+)-(?P<number>[0-9]{6,})-(?P<hash>[0-9a-f]{32})")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class State:
    """A training after a whole number of steps, or after its end."""

    step: int
    """Steps done, of all epochs."""
    sums: tuple[float, float]
    """Of the running epoch: loss and right answers, summed over its examples so far."""
    n: int
    """Those examples."""
    epoch_s: float
    """Seconds spent on the running epoch."""
    spent_s: float
    """Seconds spent on this training."""
    history: tuple[EpochDone, ...]
    """Of the epochs that are done; the running one is the next."""
    best_epoch: int
    asked_epochs: int | None
    """What the recipe said before anything was decided."""
    epochs: int
    lr: float
    """The highest rate, given or found."""
    stopped: Stopped | None = None
    """None: it was under way."""
    arrays: dict[str, NDArray[Any]]
    """``model/N`` and ``optimizer/N``: every variable, draws included; ``average/NAME`` and
    ``best/NAME``: weights; ``probe/rates`` and ``probe/losses`` of a range test."""

    def named(self, kind: str) -> dict[str, NDArray[Any]]:
        """Return the arrays of one kind, by what follows the first slash."""
        prefix = f"{kind}/"
        return {
            name.removeprefix(prefix): array
            for name, array in self.arrays.items()
            if name.startswith(prefix)
        }


def packed(state: State) -> bytes:
    """Return a state as the bytes of a safetensors file; :func:`unpacked` gives it back."""
    from safetensors.numpy import save

    facts = {
        field.name: getattr(state, field.name)
        for field in dataclasses.fields(state)
        if field.name not in ("arrays", "history", "stopped")
    }
    facts["history"] = [dataclasses.asdict(each) for each in state.history]
    facts["stopped"] = dataclasses.asdict(state.stopped) if state.stopped else None
    text = json.dumps({"format": FORMAT, **facts}, allow_nan=False)
    arrays = {name: np.asarray(array, order="C") for name, array in state.arrays.items()}
    return bytes(save(arrays, {_KEY: text}))


def unpacked(data: bytes) -> State:
    """Read the bytes of :func:`packed`.

    Raises
    ------
    ValueError
        They are something else, or of another format.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        arrays = load(data)  # checks the header against the file before anything is made of it
        end = 8 + int.from_bytes(data[:8], "little")
        facts = json.loads(json.loads(data[8:end])["__metadata__"][_KEY])
        if facts.pop("format") != FORMAT:
            raise ValueError("a checkpoint of another format")
        facts["history"] = tuple(EpochDone(**each) for each in facts["history"])
        facts["stopped"] = Stopped(**facts["stopped"]) if facts["stopped"] else None
        facts["sums"] = tuple(facts["sums"])
        return State(**facts, arrays=arrays)
    except (SafetensorError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(f"no checkpoint: {error}") from error


class Checkpoints:
    """The checkpoints of one training, in a folder that other trainings may share.

    Parameters
    ----------
    folder : Path
        Made when the first is written.
    what : str
        Lower-case letters that name this training.
    every_s : float, default=30
        Seconds between two at least; 0: after every step, whatever it costs.

    Examples
    --------
    >>> import tempfile
    >>> state = State(step=7, sums=(0.5, 3.0), n=4, epoch_s=1.0, spent_s=2.0, history=(),
    ...               best_epoch=0, asked_epochs=2, epochs=2, lr=0.1,
    ...               arrays={"model/0": np.zeros(3, np.float32)})
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     kept = Checkpoints(Path(folder), "scratch")
    ...     kept.write(state)
    ...     kept.newest().step
    7
    """

    def __init__(self, folder: Path, what: str, *, every_s: float = EVERY_S) -> None:
        self.folder = folder
        self.what = what
        self.every_s = every_s
        self.damaged: list[str] = []
        """Names of files that :meth:`newest` could not use."""
        self.spent_s = 0.0
        """Seconds that a training has spent on keeping states here."""
        self._failed = False
        self._due = time.monotonic() + every_s
        self._number = max((number for number, _, _ in self._files()), default=0)

    @property
    def due(self) -> bool:
        """Whether it is time for the next."""
        return time.monotonic() >= self._due

    def attempt(self, state: Callable[[], State]) -> str:
        """Write if it is possible; training goes on in any case, and tries again later.

        Returns
        -------
        str
            What to say the first time it is not; else empty.
        """
        try:
            self.write(state())
        except Exception as error:
            if not (isinstance(error, OSError) or out_of_memory(error)):
                raise
            self._due = time.monotonic() + self.every_s
            said, self._failed = self._failed, True
            reason = getattr(error, "strerror", None) or str(error) or "memory ran out"
            why = f"No checkpoint could be written: {reason}."
            cost = "Training goes on; a kill would cost what has been done since the last one."
            return "" if said else f"{why} {cost}"
        return ""

    def write(self, state: State) -> None:
        """Keep a state, and of the earlier ones the newest that is not known to be damaged.

        Raises
        ------
        StorageError
            What was kept before is kept still, and it is not :attr:`due` again at once.
        """
        began = time.monotonic()
        self._due = began + self.every_s
        data = packed(state)
        digest = hashlib.sha256(data).hexdigest()[:32]
        with storing(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
        self._number += 1
        name = f"{self.what}-{self._number:06d}-{digest}.safetensors"
        write_whole(self.folder / name, data)
        kept = self.good()[:KEPT]
        for _, path, _ in self._files():
            if path in kept:
                continue
            with contextlib.suppress(OSError):  # it costs room, and goes the next time
                path.unlink(missing_ok=True)
        now = time.monotonic()
        if self.every_s:
            self._due = now + max(self.every_s, SPACING * (now - began))

    def newest(self) -> State | None:
        """Return the newest state whose bytes are what they were; None: there is none."""
        for _, path, digest in self._files():
            try:
                data = path.read_bytes()
                if hashlib.sha256(data).hexdigest()[:32] != digest:
                    raise ValueError("its bytes have changed")
                return unpacked(data)
            except (OSError, ValueError):
                self.damaged.append(path.name)
        return None

    def good(self) -> list[Path]:
        """List the files of which :meth:`newest` found no damage, newest first."""
        return [path for _, path, _ in self._files() if path.name not in self.damaged]

    def _files(self) -> list[tuple[int, Path, str]]:
        """List (number, path, hash), newest first."""
        found = []
        for path in self.folder.glob(f"{self.what}-*.safetensors"):
            match = _NAME.fullmatch(path.stem)
            if match and match["what"] == self.what:
                found.append((int(match["number"]), path, match["hash"]))
        return sorted(found, reverse=True)
