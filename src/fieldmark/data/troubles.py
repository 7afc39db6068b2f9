"""The words for a folder that cannot be learned from: what it holds, and what to type next.

Pure: values in, one :class:`~fieldmark.errors.DataError` out. Apart from
:mod:`fieldmark.data.scan` so that the rules there fit on a screen.
"""

from __future__ import annotations

import re
import shlex
from collections import Counter
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Final

from fieldmark.data.manifest import Manifest
from fieldmark.errors import DataError

_WORD_PATTERNS: Final = (r"^(\w+?)_", r"^(\w+?)-", r"^([^\W\d_]+) ?\(?\d")
"""What is tried to find a label in file names: a word before a line, a dash or a number."""


def no_folder(root: Path) -> DataError:
    """Tell that the folder is missing, or is a file that is no list."""
    what = "is a file, not a folder" if root.is_file() else "does not exist"
    return DataError(
        f'"{root}" {what}.',
        code="no-folder",
        hint="give a folder with one sub-folder of pictures per class, or a CSV list",
    )


def no_classes(manifest: Manifest) -> DataError:
    """Tell what lies there instead of class folders, and how its labels could be found."""
    root = manifest.root
    command = f"fieldmark train {shlex.quote(str(root))}"
    given = f"If you have a list:         {command} --labels list.csv"
    loose = [
        PurePosixPath(entry.path).name
        for entry in manifest.left_out
        if entry.code in ("no-class-folder", "no-label-in-name", "outside-parts")
    ]
    if manifest.layout == "csv":
        return DataError(
            "The list names no picture that can be used.",
            code="no-classes",
            where=str(root),
            why=_reasons(manifest) or "It has no lines.",
            hint="the first line is path,label; paths are relative to the list's folder",
        )
    if not loose:
        return DataError(
            f'no pictures in class folders under "{root}".',
            code="no-classes",
            where=str(root),
            why=f"It holds no pictures at all. {_reasons(manifest)}".strip(),
            hint="make one sub-folder per class and put the pictures into them",
        )
    pattern, words = _first_words(loose)
    why = f"It holds {_pictures(len(loose))} directly, in no sub-folder."
    if manifest.layout == "name":
        why = f"{_pictures(len(loose)).capitalize()} have names that do not fit the pattern."
    if not words:
        hint = f"make one sub-folder per class\n{given}"
        return DataError(_NO_CLASSES.format(root), code="no-classes", why=why, hint=hint)
    shown = ", ".join(f"{word} ({count})" for word, count in words.most_common(6))
    more = ", ..." if len(words) > 6 else ""
    guess = f"If that word is the label:  {command} --label-from 'name:{pattern}'"
    return DataError(
        _NO_CLASSES.format(root),
        code="no-classes",
        why=f"{why} Their names start with {len(words)} words: {shown}{more}.",
        hint=f"{guess}\n{given}",
    )


_NO_CLASSES: Final = 'no pictures in class folders under "{}".'


def _first_words(names: Sequence[str]) -> tuple[str, Counter[str]]:
    """Return the pattern that most names fit and the count of each word; no words if none."""
    for pattern in _WORD_PATTERNS:
        found = [match for name in names if (match := re.match(pattern, name))]
        # Shown with the line or dash that ends it, without the number.
        words = Counter(match[0].rstrip(" (0123456789") or match[0] for match in found)
        fits = sum(words.values()) >= 0.9 * len(names)
        # IMG_0001, IMG_0002: one word for all is no label; nearly as many words as files are no
        # classes.
        if fits and 2 <= len(words) <= max(2, len(names) // 2):
            return pattern, words
    return "", Counter()


def _reasons(manifest: Manifest) -> str:
    counts = Counter(entry.reason for entry in manifest.left_out)
    return "; ".join(f"{count}: {reason}" for reason, count in counts.most_common(4))


def _pictures(number: int) -> str:
    return f"{number:,} picture{'' if number == 1 else 's'}"


def one_class(manifest: Manifest, name: str) -> DataError:
    """Tell that there is nothing to tell apart."""
    return DataError(
        f"all {_pictures(len(manifest.examples))} have one label: {name}.",
        code="one-class",
        where=str(manifest.root),
        why="A network learns to tell classes apart; it needs at least two.",
        hint="add a folder for the other class, for example of pictures that show something else",
    )


def empty_class(root: Path, folders: Sequence[str]) -> DataError:
    """Name class folders without a file."""
    return DataError(
        f"{len(folders)} class folder{'' if len(folders) == 1 else 's'} without a file: "
        f"{_names(folders)}.",
        code="empty-class",
        where=str(root),
        why="A class that was never seen can be neither learned nor tested.",
        hint="put pictures into it, or remove the folder",
    )


def class_only_in_test(manifest: Manifest, names: Sequence[str]) -> DataError:
    """Name classes that the training part lacks."""
    return DataError(
        f"not in the training part, only in the validation or test part: {_names(names)}.",
        code="class-only-in-test",
        where=str(manifest.root),
        why="The network could never answer with it, so every such picture would count as wrong.",
        hint="add training pictures of it, or take it out of the other parts",
    )


def names_collide(root: Path, spellings: Sequence[str]) -> DataError:
    """Name classes that differ only in case or in the way accents are stored."""
    shown = ", ".join(ascii(name) if name.isascii() else f"{name} ({name!a})" for name in spellings)
    return DataError(
        f"class names that are the same on other computers: {shown}.",
        code="class-names-collide",
        where=str(root),
        why="On macOS and Windows they are one folder.",
        hint="rename one of them, or put their pictures together",
    )


def not_text(root: Path, names: Sequence[str]) -> DataError:
    """Name class folders whose names are not valid Unicode."""
    bad = [name for name in names if not name.isprintable() or not _encodes(name)]
    return DataError(
        f"class names that are not text: {', '.join(map(ascii, bad))}.",
        code="class-name-not-text",
        where=str(root),
        why="They cannot be written into a model or a report.",
        hint="rename the folder",
    )


def _encodes(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def parts_collide(root: Path, folders: Sequence[str]) -> DataError:
    """Name two folders that stand for one part."""
    return DataError(
        f"two folders for the same part: {_names(folders)}.",
        code="parts-collide",
        where=str(root),
        why="It is not clear which of them is meant.",
        hint="keep one of train/training/training_set, val/valid/validation and test/test_set",
    )


def _names(names: Sequence[str]) -> str:
    shown = ", ".join(names[:8])
    return f"{shown} and {len(names) - 8} more" if len(names) > 8 else shown
