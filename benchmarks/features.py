"""From JPEG files to the features of a backbone: how many a second, and what they are worth.

Speed and accuracy stand side by side, because int8 and smaller pictures buy one with the other.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Final

from benchmarks.measure import Side, interleaved, measured, script
from benchmarks.options import Options, Record, Result, skipped
from benchmarks.summaries import spread, table

SIZES: Final = (224, 160, 128)
N_TIMED: Final = 800
VARIANTS: Final = {
    "onnxruntime float32": ("onnxruntime", "float32"),
    "openvino float32": ("openvino", "float32"),
    "onnxruntime int8": ("onnxruntime", "int8"),
    "openvino int8": ("openvino", "int8"),
}


def run(options: Options) -> Result:
    if options.backbone is None:
        return Result(["skipped: --backbone FILE.py names a file that defines graph(size)"])
    if not options.data.is_dir():
        return skipped(options.data)
    sets = [path for path in (options.data, options.data.parent / "flowers") if path.is_dir()]
    records: dict[str, list[Record]] = {}
    accuracy: dict[str, list[str]] = {}
    with tempfile.TemporaryDirectory(prefix="fieldmark-features-") as folder:
        room = Path(folder)
        for size in SIZES:
            given = ("--size", size, "--backbone", options.backbone)
            measured(script("fieldmark_features", "prepare", options.data, room, *given))
        n = min(N_TIMED, options.pictures or N_TIMED)
        sides = [
            Side(f"{size} {name}", timed(extract(options.data, room, size, name), n))
            for size in SIZES
            for name in VARIANTS
        ]
        records = interleaved(sides, options.repeats)
        for size in SIZES:
            for name in VARIANTS:
                accuracy[f"{size} {name}"] = [
                    judged(extract(data, room, size, name), room / "kept.npz", options.pictures)
                    for data in sets
                ]
    rows = [
        [name, spread([each["n"] / each["seconds"] for each in its]), *accuracy[name]]
        for name, its in records.items()
    ]
    heads = ["side", "pictures/s", *(f"{data.name}, %" for data in sets)]
    lines = [
        f"n = {options.repeats} of {n} pictures, decoding in 2 threads; median (min-max)",
        "accuracy of a linear head: the set's own test part, or 5 folds; 95 % interval (Wilson)",
        *table(heads, rows),
    ]
    return Result(lines, {"speed": records, "accuracy": accuracy})


def timed(command: list[str], n: int) -> Callable[[int], list[str]]:
    return lambda _: [*command, "--n", str(n)]


def extract(data: Path, room: Path, size: int, name: str) -> list[str]:
    engine, precision = VARIANTS[name]
    given = ("--size", size, "--engine", engine, "--precision", precision)
    return script("fieldmark_features", "extract", data, room, *given)


def judged(command: list[str], kept: Path, n: int | None) -> str:
    measured([*command, "--keep", str(kept), *(["--n", str(n)] if n else [])])
    found = measured(script("linear_head", kept))
    low, high = wilson(found["n_right"], found["n"])
    return f"{100 * found['n_right'] / found['n']:.1f} ({100 * low:.1f}-{100 * high:.1f})"


def wilson(n_right: int, n: int) -> tuple[float, float]:
    """Return the ends of the 95 % interval of a rate.

    >>> [round(end, 3) for end in wilson(95, 100)]
    [0.888, 0.978]
    """
    z, rate = 1.959964, n_right / n
    middle = rate + z * z / (2 * n)
    half = z * math.sqrt(rate * (1 - rate) / n + z * z / (4 * n * n))
    return (middle - half) / (1 + z * z / n), (middle + half) / (1 + z * z / n)
