"""Every exception fieldmark raises on purpose.

::

    FieldmarkError             exit status
    ├── UsageError             2   what was asked for makes no sense
    │   ├── ConfigError            a setting is unknown or out of range
    │   └── LayerListError         a layer list is wrong; points at the place in the text
    ├── DataError              3   the folder, or some of its files
    │   └── UnreadableExample      one file, with the reason as its code
    ├── TrainingDiverged       3   the loss became infinite before anything was learned
    ├── StorageError           3   a disk is full, read-only or failing; an OSError too
    ├── OutOfMemory            3   what was asked for needs more memory than there is
    ├── GateError              4   a gate that was asked for was not met
    │   └── ParityError            the exported network disagrees with the trained one
    ├── MissingExtra           5   an optional dependency is not installed
    ├── BundleError            6   a model file is damaged, unsafe or too new
    └── Terminated           143   the system asked the process to end; the training can go on

Catch ``FieldmarkError`` to catch all of it. Anything else that escapes is a bug. Every error has
four parts: what happened, where, why that matters, and what to do next; and a stable ``code``,
explained in ``docs/errors.md``.
"""

from __future__ import annotations

import errno
from functools import partial
from typing import Any, ClassVar, Final


class FieldmarkError(Exception):
    """An error a person can act on.

    Parameters
    ----------
    what : str
        What happened, with the values, in one sentence.
    code : str
        Stable and documented, for example ``"no-classes"``.
    where : str, default=""
        The file, setting or place in a text.
    why : str, default=""
        Why that stops the work.
    hint : str, default=""
        What to do next, as something to type where possible.

    Examples
    --------
    >>> error = DataError("no pictures", code="no-classes", where="photos/", hint="fieldmark -h")
    >>> print(error)
    no pictures [no-classes]
      where: photos/
      next:  fieldmark -h
    """

    exit_status: ClassVar[int] = 1

    def __init__(
        self, what: str, *, code: str, where: str = "", why: str = "", hint: str = ""
    ) -> None:
        super().__init__(what)
        self.what = what
        self.code = code
        self.where = where
        self.why = why
        self.hint = hint

    def __str__(self) -> str:
        lines = [f"{self.what} [{self.code}]"]
        for name, text in (("where: ", self.where), ("why:   ", self.why), ("next:  ", self.hint)):
            if text:
                indented = text.replace("\n", "\n         ")
                lines.append(f"  {name}{indented}")
        return "\n".join(lines)

    def __reduce__(self) -> tuple[partial[FieldmarkError], tuple[str], dict[str, Any]]:
        # Exception's own way drops keyword arguments, and a worker's error could not come home.
        again = partial(type(self), code=self.code, where=self.where, why=self.why, hint=self.hint)
        return again, (self.what,), self.__dict__

    def to_dict(self) -> dict[str, str]:
        """Return the parts for machines; the keys are stable."""
        return {
            "code": self.code,
            "what": self.what,
            "where": self.where,
            "why": self.why,
            "next": self.hint,
        }


class UsageError(FieldmarkError, ValueError):
    """What was asked for makes no sense."""

    exit_status = 2


class ConfigError(UsageError):
    """A setting is unknown, of the wrong type or out of range."""


class LayerListError(UsageError):
    """A layer list is wrong; ``where`` shows the text with a mark under the place."""


class DataError(FieldmarkError, ValueError):
    """The folder or some of its files cannot be used."""

    exit_status = 3


class UnreadableExample(DataError):
    """One file cannot be turned into an array; the code is the reason."""


class TrainingDiverged(FieldmarkError, ArithmeticError):
    """The loss became infinite or not a number before one good epoch."""

    exit_status = 3


class StorageError(FieldmarkError, OSError):
    """Something of our own could not be written; ``errno`` and ``strerror`` are the system's."""

    exit_status = 3

    errno: int | None = None  # in __dict__, so that they come home from a worker as well
    strerror: str | None = None


class OutOfMemory(FieldmarkError, MemoryError):
    """What was asked for needs more memory than there is, or than it may take."""

    exit_status = 3

    late: bool = False
    """Whether epochs of a training were done before."""


class GateError(FieldmarkError):
    """A condition that was asked for was not met."""

    exit_status = 4


class ParityError(GateError):
    """The exported network disagrees with the trained one."""


class MissingExtra(FieldmarkError, ImportError):
    """An optional dependency is not installed."""

    exit_status = 5


class BundleError(FieldmarkError, ValueError):
    """A model file is damaged, unsafe or too new."""

    exit_status = 6


class Terminated(FieldmarkError):
    """SIGTERM came while a network was trained; where it stands is kept."""

    exit_status = 143


_NO_MEMORY: Final = (
    "resource_exhausted",
    "out of memory",
    "oom when allocating",
    "bad_alloc",
    "bad allocation",
    "allocate memory",
)
_CLASSES: Final = ("ResourceExhaustedError", "OutOfMemoryError", "XlaRuntimeError", "Fail")


def out_of_memory(error: BaseException | None) -> bool:
    """Whether an error of Python, of a training backend or of an engine means: no memory is left.

    By name and words, because their classes are known only once they are imported.

    Examples
    --------
    >>> out_of_memory(MemoryError()), out_of_memory(ValueError("3 classes"))
    (True, False)
    >>> out_of_memory(RuntimeError("DefaultCPUAllocator: can't allocate memory: 12 bytes"))
    True
    """
    if error is None or isinstance(error, FieldmarkError):
        return False  # ours say for themselves what is to be done
    if isinstance(error, MemoryError) or getattr(error, "errno", None) == errno.ENOMEM:
        return True
    words = str(error).lower()
    said = any(each in words for each in _NO_MEMORY)
    return said and (isinstance(error, RuntimeError) or type(error).__name__ in _CLASSES)
