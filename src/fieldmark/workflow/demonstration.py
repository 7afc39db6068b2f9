"""The demonstration: real handwritten digits that scikit-learn carries, as class folders.

Alpaydin and Kaynak, "Optical Recognition of Handwritten Digits", UCI Machine Learning Repository,
1998 (CC BY 4.0): 1,797 pictures of 8x8 pixels.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np

from fieldmark.config import Settings
from fieldmark.data import table
from fieldmark.errors import MissingExtra, UsageError
from fieldmark.modalities.encode import encode_png
from fieldmark.training.events import Listener
from fieldmark.workflow.checking import Check, check
from fieldmark.workflow.run import Run
from fieldmark.workflow.training import train as train_workflow

SIZE: Final = 32
EPOCHS: Final = 12


def write_digits(folder: Path) -> Path:
    """Write the digits as PNG files in class folders; return the folder of the classes.

    Raises
    ------
    UsageError
        Code ``exists``: nothing is overwritten.
    MissingExtra
        Code ``extra-missing``: scikit-learn is not installed.
    """
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise MissingExtra(
            "The demonstration's pictures come with scikit-learn, which is not installed.",
            code="extra-missing",
            hint='pip install "fieldmark[demo]"',
        ) from error
    if folder.exists():
        raise UsageError(
            f"{folder} exists already.",
            code="exists",
            why="Nothing is overwritten.",
            hint="give another folder: fieldmark demo -o FOLDER",
        )
    digits = load_digits()
    pictures = folder / "digits"
    for at, (image, label) in enumerate(zip(digits.images, digits.target, strict=True)):
        path = pictures / str(label) / f"{at:04d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        grey = np.round(image * (255 / 16)).astype(np.uint8)
        path.write_bytes(encode_png(np.kron(grey, np.ones((4, 4), np.uint8))))
    return pictures


def look(pictures: Path) -> Check:
    """Look at every picture once; without a network, the demonstration should be quick."""
    return check(pictures, settings=Settings().changed("audit", {"suspects": "no"}))


def command(pictures: Path, folder: Path) -> list[str]:
    """Return the command line that does what :func:`train` does."""
    options = ["--net", "small", "--size", str(SIZE), "--epochs", str(EPOCHS)]
    options += ["--augment", "none", "-o", str(folder / "runs")]
    return ["fieldmark", "train", str(pictures), *options]


def train(pictures: Path, folder: Path, *, listen: Listener, command: str) -> Run:
    """Train ``small``; no augmentation, because a mirrored 3 is no 3."""
    settings = (
        Settings()
        .changed("net", {"size": SIZE})
        .changed("train", {"augment": "none"})
        .changed("run", {"out": str(folder / "runs")})
    )
    return train_workflow(
        pictures, "small", epochs=EPOCHS, settings=settings, listen=listen, command=command
    )


def one_test_picture(run: Run, pictures: Path) -> Path:
    """Return the first picture of the test part."""
    return pictures / table.rows(run.folder / "predictions.csv")[0]["path"]
