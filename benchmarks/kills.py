"""What is lost when a command is killed at random moments, again and again? Nothing.

Each subject is started by the real command, stopped at a random moment, looked at from outside,
killed with SIGKILL and started again by the same command, until it has been killed so many times;
then it may finish. What it leaves behind is compared with that of a twin that nobody disturbed,
byte for byte: the model file of a training, the figures of its further trainings, the full list of
a check, the file of answers. The seconds that something took are no part of it.

A fifth of the moments are drawn from the clock; the others aim at what takes little of the time
(:mod:`benchmarks.victims`). Victims write features and looks in segments of 16 pictures, so that
kills fall between and inside them; twins in those of every day.
"""

from __future__ import annotations

import json
import random
import shutil
import struct
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from benchmarks.options import Options, Record, Result
from benchmarks.summaries import table
from benchmarks.victims import MOMENTS, SEGMENT, Kind, Victim

KILLS: Final = 3
"""Of each subject, for each repeat: 105 in all with the usual five."""
A_RUN: Final = 8
"""Kills of one run, before it may finish."""
N_EACH: Final = 60
_TUNED: Final = "INPUT 32x32x3 -> BACKBONE efficientnet-lite0 stages 2 -> FC"


@dataclass(frozen=True)
class Subject:
    """A command, and what of its result is compared."""

    name: str
    kind: Kind
    words: tuple[str, ...]
    """DATA, MODEL and STEPS stand for the pictures, a model file, and settings that keep every
    step."""
    result: Callable[[Path], bytes]
    """From the folder it ran in."""


def _model(room: Path) -> bytes:
    (path,) = room.glob("runs/*/[!.]*.fieldmark")
    return path.read_bytes()


def _repeats(room: Path) -> bytes:
    (path,) = room.glob("runs/*/repeats.json")
    return _model(room) + _timeless(path)


def _report(room: Path) -> bytes:
    return _timeless(room / "page.json")


def _answers(room: Path) -> bytes:
    return (room / "out.csv").read_bytes()


def _timeless(path: Path) -> bytes:
    """Return a JSON file without the seconds that anything took."""

    def without(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: without(each) for name, each in value.items() if name != "seconds"}
        return [without(each) for each in value] if isinstance(value, list) else value

    return json.dumps(without(json.loads(path.read_bytes()))).encode()


_TRAIN: Final = ("train", "DATA", "--json", "--config", "STEPS", "--net")
SUBJECTS: Final = (
    Subject(
        "tutorial",
        "scratch",
        (*_TRAIN, "tutorial", "--recipe", "article", "--epochs", "3"),
        _model,
    ),
    Subject("small", "scratch", (*_TRAIN, "small", "--epochs", "3"), _model),
    Subject("solved head", "head", (*_TRAIN, "features", "--size", "96"), _model),
    Subject(
        "fine-tuning",
        "tuned",
        (*_TRAIN, _TUNED, "--fine-tune", "--epochs", "2", "--copies", "0", "--lr", "0.001"),
        _model,
    ),
    Subject(
        "repeats",
        "repeats",
        (*_TRAIN, "features", "--size", "32", "--folds", "3", "--repeat", "2"),
        _repeats,
    ),
    Subject("check", "check", ("check", "DATA", "--html", "page.html"), _report),
    Subject(
        "predict -o",
        "predict",
        ("predict", "MODEL", "DATA", "--format", "csv", "-o", "out.csv"),
        _answers,
    ),
)
"""``predict`` answers with the solved head's model, or one that is trained for it."""


def run(options: Options, subjects: tuple[Subject, ...] = SUBJECTS) -> Result:
    records: dict[str, list[Record]] = {}
    with tempfile.TemporaryDirectory(prefix="fieldmark-kills-") as name:
        room = Path(name)
        given = {
            "DATA": str(_draw(room / "blocks", options.pictures or N_EACH)),
            "STEPS": str(room / "each_step.toml"),
            "MODEL": str(room / "model.fieldmark"),
        }
        Path(given["STEPS"]).write_text("[run]\ncheckpoint_s = 0\n", encoding="utf-8")
        for subject in subjects:
            if "MODEL" in subject.words and not Path(given["MODEL"]).exists():
                head = next(each for each in SUBJECTS if each.kind == "head")
                maker = Victim(room / "maker", _words(head, given), head.kind)
                maker.finish()
                Path(given["MODEL"]).write_bytes(_model(maker.room))
            records[subject.name] = _killed(subject, given, room, KILLS * options.repeats)
    return Result(_lines(records), records)


def _words(subject: Subject, given: dict[str, str]) -> list[str]:
    return [given.get(word, word) for word in subject.words]


def _killed(subject: Subject, given: dict[str, str], room: Path, n_left: int) -> list[Record]:
    """Kill a subject so many times, in several runs."""
    words = _words(subject, given)
    if subject.kind == "predict":  # more blocks of answers than pictures fill
        words[2:3] = [given["DATA"]] * 10
    twin = Victim(room / "twin", words, subject.kind)
    twin_s = twin.finish()
    records: list[Record] = []
    while n_left > 0:
        draw = random.Random(f"{subject.name}/{len(records)}")
        victim = Victim(room / "victim", words, subject.kind, draw, segment=SEGMENT)
        moments = victim.killed_often(min(n_left, A_RUN), twin_s)
        n_left -= max(1, len(moments))
        same = subject.result(victim.room) == subject.result(twin.room)
        said = f"  {subject.name}: {len(moments)} kills, same: {same}"
        print(said, file=sys.stderr, flush=True)
        records.append({"moments": moments, "same": same, "twin_s": twin_s})
        shutil.rmtree(victim.room)
    shutil.rmtree(twin.room)
    return records


def _lines(records: dict[str, list[Record]]) -> list[str]:
    counts = {
        name: Counter(m for each in its for m in each["moments"]) for name, its in records.items()
    }
    rows = [[moment, *(str(counts[name][moment]) for name in records)] for moment in MOMENTS]
    n = sum(sum(each.values()) for each in counts.values())
    its = [each for of_one in records.values() for each in of_one]
    same = sum(each["same"] for each in its)
    return [
        *table(["killed while", *records], rows),
        f"{n} kills of {len(its)} runs; {same} of {len(its)} ended with the bytes of their twin",
    ]


def _draw(folder: Path, n: int) -> Path:
    """Write bitmaps of noise, brighter in one half or the other: two classes."""
    draw, side = random.Random(0), 48
    for label in ("left", "right"):
        (folder / label).mkdir(parents=True)
        for number in range(n):
            pixels = bytearray()
            for _ in range(side):
                for x in range(side):
                    bright = 60 * ((x < side // 2) == (label == "left"))
                    pixels += bytes(draw.randrange(150) + bright for _ in range(3))
            head = struct.pack("<2sIHHI", b"BM", 54 + len(pixels), 0, 0, 54)
            head += struct.pack("<IiiHHIIiiII", 40, side, side, 1, 24, 0, len(pixels), 0, 0, 0, 0)
            (folder / label / f"{number}.bmp").write_bytes(head + pixels)
    return folder
