"""Go over a folder once, from an empty cache: decode every picture, or check it."""

import argparse
import hashlib
import json
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

import fieldmark as fm
from fieldmark.data import files, scan
from fieldmark.data.reading import decoded_contents
from fieldmark.modalities import MODALITIES
from fieldmark.modalities.base import InputSpec
from fieldmark.modalities.opencv import opencv
from fieldmark.pool import map_ordered

THREADS = 2


def decode_at_224(folder: Path) -> dict[str, object]:
    manifest = scan.hash_contents(scan.scan(folder), threads=THREADS)
    spec = InputSpec(height=224, width=224)
    contents = decoded_contents(manifest, MODALITIES["image"], spec, threads=THREADS)
    return {"n": sum(content.pixels is not None for content in contents)}


def decode_whole(folder: Path) -> dict[str, object]:
    """Read, hash and decode to full size by OpenCV alone: no header, no fitting, no checks."""
    cv2 = opencv()

    def decoded(path: str) -> bool:
        with files.opened(folder / path) as file:
            data = file.read()
        hashlib.sha256(data).hexdigest()
        return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR) is not None

    manifest = scan.scan(folder)
    paths = [example.path for example in manifest.examples]
    return {"n": sum(map_ordered(decoded, paths, threads=THREADS, ahead=8 * THREADS))}


def check(folder: Path) -> dict[str, object]:
    settings = fm.Settings().changed("audit", {"suspects": "no"})
    found = fm.check(folder, settings=settings)
    counts = {code: len(found.of(code)) for code in {each.code for each in found.findings}}
    return {"n": len(found.found.examples), "stages": found.seconds, "findings": counts}


WAYS: dict[str, Callable[[Path], dict[str, object]]] = {
    "decode-224": decode_at_224,
    "decode-whole": decode_whole,
    "check": check,
}
parser = argparse.ArgumentParser()
parser.add_argument("folder", type=Path)
parser.add_argument("way", choices=WAYS)
given = parser.parse_args()
fm.check, fm.Settings  # noqa: B018 - imported before the clock starts
opencv()
started = time.perf_counter()
record = WAYS[given.way](given.folder)
print(json.dumps({"seconds": time.perf_counter() - started, **record}))
