"""What an audit asks about single pictures, names and classes.

Pure. Every question is a function of :class:`~fieldmark.data.duplicates.Seen`. What counts as odd
is judged against the folder's own pictures wherever there is no scale that fits all.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter, defaultdict
from pathlib import PurePosixPath
from typing import Final

import numpy as np
from numpy.typing import NDArray

from fieldmark.data.duplicates import Seen
from fieldmark.data.findings import Finding
from fieldmark.data.manifest import SPLITS, Example

TINY_CLASS: Final = 20
IMBALANCE: Final = 4.0
"""Largest class over smallest."""
AREA_FACTOR: Final = 8.0
"""Times more or fewer pixels than the middle picture of the folder."""
SHAPE_FACTOR: Final = 2.0
ROBUST_SD: Final = 4.0
"""Robust standard deviations from the middle."""
BLANK_CONTRAST: Final = 2.5
DARK: Final = 50
"""Grey level that nearly all of a very dark picture lies below: mean plus 1.65 deviations."""
BRIGHT: Final = 215
"""The same from the other side."""
_NEARLY_ALL: Final = 1.65
BLURRED: Final = 0.62
_SUFFIXES: Final = {
    "JPEG": {".jpg", ".jpeg", ".jpe", ".jfif", ".mpo"},
    "MPO": {".jpg", ".jpeg", ".jpe", ".jfif", ".mpo"},
    "PNG": {".png", ".apng"},
    "GIF": {".gif"},
    "BMP": {".bmp", ".dib"},
    "DIB": {".bmp", ".dib"},
    "TIFF": {".tif", ".tiff"},
    "WEBP": {".webp"},
    "AVIF": {".avif"},
    "PPM": {".ppm", ".pgm", ".pbm", ".pnm"},
}


def wrong_suffixes(seen: Seen) -> list[Finding]:
    """Is a file named as another format would be?"""
    found = []
    for example, look in _each(seen):
        kind = bytes(look["format"]).decode("ascii", "replace")
        suffix = PurePosixPath(example.path).suffix.lower()
        if suffix not in _SUFFIXES.get(kind, {suffix}):
            text = f"a {kind} picture, its name ends in {suffix or 'nothing'}"
            found.append(_one("wrong-suffix", example, text))
    return found


def odd_sizes(seen: Seen) -> list[Finding]:
    """Is a picture much smaller or larger than the others?"""
    examples, looks = _all(seen)
    pixels = looks["width"].astype(float) * looks["height"]
    odd, middle = _outliers(np.log(np.maximum(pixels, 1)), np.log(AREA_FACTOR))
    typical = f"the middle one has {np.exp(middle):,.0f} pixels"
    return [
        _one(
            "odd-size",
            examples[at],
            f"{looks['width'][at]}x{looks['height'][at]}; {typical}",
            float(pixels[at]),
        )
        for at in odd
    ]


def odd_shapes(seen: Seen) -> list[Finding]:
    """Is a picture much longer or taller than the others?"""
    examples, looks = _all(seen)
    shape = looks["width"].astype(float) / np.maximum(looks["height"], 1)
    odd, middle = _outliers(np.log(np.maximum(shape, 1e-3)), np.log(SHAPE_FACTOR))
    return [
        _one(
            "odd-shape",
            examples[at],
            f"{looks['width'][at]}x{looks['height'][at]}, width over height {shape[at]:.2f}; "
            f"the middle one has {np.exp(middle):.2f}",
            float(shape[at]),
        )
        for at in odd
    ]


def blank(seen: Seen) -> list[Finding]:
    """Is there a picture with hardly anything to see?"""
    return [
        _one(
            "blank",
            example,
            f"grey levels spread by {look['contrast']:.1f} of 255",
            float(look["contrast"]),
        )
        for example, look in _each(seen)
        if look["contrast"] < BLANK_CONTRAST
    ]


def dark(seen: Seen) -> list[Finding]:
    """Is a picture very dark?"""
    return [
        _exposed("dark", example, look)
        for example, look in _each(seen)
        if look["contrast"] >= BLANK_CONTRAST
        and look["brightness"] + _NEARLY_ALL * look["contrast"] < DARK
    ]


def bright(seen: Seen) -> list[Finding]:
    """Is a picture very bright?"""
    return [
        _exposed("bright", example, look)
        for example, look in _each(seen)
        if look["contrast"] >= BLANK_CONTRAST
        and look["brightness"] - _NEARLY_ALL * look["contrast"] > BRIGHT
    ]


def _exposed(code: str, example: Example, look: NDArray[np.void]) -> Finding:
    text = f"mean grey {look['brightness']:.0f} of 255, spread {look['contrast']:.0f}"
    return _one(code, example, text, float(look["brightness"]))


def blurred(seen: Seen) -> list[Finding]:
    """Is a picture blurred, and more so than the others?"""
    examples, looks = _all(seen)
    blur = looks["blur"].astype(float)
    if not len(blur):
        return []
    middle = float(np.median(blur))
    limit = max(BLURRED, middle + ROBUST_SD * _robust_sd(blur, middle), middle + 0.15)
    return [
        _one(
            "blurred",
            examples[at],
            f"blur {blur[at]:.2f} of 1; the middle one has {middle:.2f}",
            float(blur[at]),
        )
        for at in np.flatnonzero((blur > limit) & (looks["contrast"] >= BLANK_CONTRAST))
    ]


def tiny_classes(seen: Seen) -> list[Finding]:
    """Has a class few pictures?"""
    return [
        Finding(
            code="tiny-class",
            labels=(name,),
            text=f"{n} of {name}; from {TINY_CLASS} on a figure means something",
            measure=float(n),
        )
        for name, n in seen.manifest.counts().items()
        if n < TINY_CLASS
    ]


def imbalance(seen: Seen) -> list[Finding]:
    """Are the classes of very different size?"""
    counts = {name: n for name, n in seen.manifest.counts().items() if n}
    if len(counts) < 2:
        return []
    small, large = min(counts, key=counts.__getitem__), max(counts, key=counts.__getitem__)
    times = counts[large] / counts[small]
    if times < IMBALANCE:
        return []
    text = f"{counts[large]:,} of {large}, {counts[small]:,} of {small}: {times:.1f} times"
    return [Finding(code="imbalance", labels=(large, small), text=text, measure=times)]


def missing_from_parts(seen: Seen) -> list[Finding]:
    """Is a class missing from a ready-made part?"""
    found = []
    for part in SPLITS:
        counts = seen.manifest.counts(part)
        if any(counts.values()):
            found += [
                Finding(
                    code="class-not-in-part",
                    labels=(name,),
                    text=f"none of {name} in the {part} part",
                )
                for name, n in counts.items()
                if n == 0
            ]
    return found


def colliding_names(seen: Seen) -> list[Finding]:
    """Do two names become one on other computers?"""
    alike: dict[str, list[Example]] = defaultdict(list)
    for example in seen.manifest.examples:
        alike[unicodedata.normalize("NFC", example.path).casefold()].append(example)
    return [
        Finding(
            code="names-collide",
            paths=tuple(each.path for each in same),
            labels=tuple(each.label for each in same),
            text="the same but for capitals or the way accents are stored",
        )
        for same in alike.values()
        if len(same) > 1
    ]


def names_not_text(seen: Seen) -> list[Finding]:
    """Is a file name no text?"""
    found = []
    for example in seen.manifest.examples:
        if any("\ud800" <= letter <= "\udfff" for letter in example.path):
            found.append(_one("name-not-text", example, "bytes that are not UTF-8"))
        elif not example.path.isprintable():
            found.append(_one("name-not-text", example, "control characters"))
    return found


def groups_in_names(seen: Seen) -> list[Finding]:
    """Do the file names hold a word that looks like a group?"""
    names = [PurePosixPath(example.path).stem for example in seen.manifest.examples]
    words = [re.split(r"[_\-. ]+", name) for name in names]
    n_words = Counter(map(len, words)).most_common(1)
    if not n_words or n_words[0][1] < 0.9 * len(names) or not 2 <= n_words[0][0] <= 8:
        return []
    n = n_words[0][0]
    usual = [at for at, each in enumerate(words) if len(each) == n]
    labels = [seen.manifest.examples[at].label for at in usual]
    found = []
    for place in range(n):
        values = [words[at][place] for at in usual]
        if _looks_like_group(values, labels):
            shown = ", ".join(f"{word} ({k})" for word, k in Counter(values).most_common(4))
            before = r"(?:[^_\-. ]+[_\-. ]+)" + f"{{{place}}}" if place else ""
            text = f"{len(set(values)):,} words at place {place + 1}: {shown}"
            hint = rf"--groups 'name:^{before}([^_\-. ]+)'"
            found.append(Finding(code="groups-in-names", text=f"{text}; {hint}"))
    return found


def _looks_like_group(values: list[str], labels: list[str]) -> bool:
    """Few enough words to repeat, too many to be one thing; not the label, not a running number."""
    counts = Counter(values)
    pairs = set(zip(values, labels, strict=True))
    repeats = sum(k for k in counts.values() if k > 1) / len(values)
    is_label = len(pairs) == len(counts) and len(counts) <= len(set(labels))
    numbers = sorted({int(value) for value in counts if value.isdecimal()})
    running = len(numbers) == len(counts) and numbers == list(
        range(numbers[0], numbers[0] + len(numbers))
    )
    return 3 <= len(counts) <= len(values) / 3 and repeats > 0.9 and not is_label and not running


def _each(seen: Seen) -> list[tuple[Example, NDArray[np.void]]]:
    examples, looks = _all(seen)
    return list(zip(examples, looks, strict=True))


def _all(seen: Seen) -> tuple[list[Example], NDArray[np.void]]:
    """Return one example per content, and what it looks like."""
    first: dict[str, Example] = {}
    for example in seen.manifest.examples:
        if example.sha256 in seen.looks.row_of:
            first.setdefault(example.sha256, example)
    return list(first.values()), seen.looks.of(list(first))


def _robust_sd(values: NDArray[np.float64], middle: float) -> float:
    return 1.4826 * float(np.median(np.abs(values - middle)))


def _outliers(values: NDArray[np.float64], least: float) -> tuple[list[int], float]:
    """Return what lies more than ``least`` and 4 deviations off the middle, and the middle."""
    if not len(values):
        return [], 0.0
    middle = float(np.median(values))
    limit = max(least, ROBUST_SD * _robust_sd(values, middle))
    return [int(at) for at in np.flatnonzero(np.abs(values - middle) > limit)], middle


def _one(code: str, example: Example, text: str, measure: float | None = None) -> Finding:
    return Finding(
        code=code, paths=(example.path,), labels=(example.label,), text=text, measure=measure
    )
