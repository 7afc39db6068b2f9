"""The four ways to refuse a model file, each with the reason and the next step. Pure."""

from __future__ import annotations

from typing import Final, Literal, NoReturn

from fieldmark.errors import BundleError

Code = Literal["model-damaged", "model-newer", "model-unsafe", "model-foreign"]

_ADVICE: Final[dict[Code, tuple[str, str]]] = {
    "model-damaged": (
        "It is not what was written, so its answers could not be trusted.",
        "copy or download the file again, or write it anew from its run",
    ),
    "model-foreign": (
        "Files of this kind can run code when they are opened, so fieldmark never opens one.",
        "train with fieldmark, or export the network to ONNX where you trust the file",
    ),
    "model-newer": (
        "It may hold something that this version would misread.",
        "upgrade fieldmark",
    ),
    "model-unsafe": (
        "A model file must not be able to run code, reach files or exhaust this machine.",
        "do not use this file; ask for one written by fieldmark",
    ),
}


def refuse(
    code: Code, what: str, *, why: str = "", hint: str = "", cause: BaseException | None = None
) -> NoReturn:
    """Raise the error of that code; whoever knows the file's path adds it as ``where``.

    ``why`` and ``hint`` replace the usual reason and next step.

    Raises
    ------
    BundleError
        Always.

    Examples
    --------
    >>> refuse("model-newer", "It has format 9; this version reads up to 1.")
    Traceback (most recent call last):
    ...
    fieldmark.errors.BundleError: It has format 9; this version reads up to 1. [model-newer]
      why:   It may hold something that this version would misread.
      next:  upgrade fieldmark
    """
    because, usual = _ADVICE[code]
    raise BundleError(what, code=code, why=why or because, hint=hint or usual) from cause
