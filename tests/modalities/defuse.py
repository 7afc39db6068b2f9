"""Decode every bomb in one process and print a line of JSON for each: time and memory."""

from __future__ import annotations

import io
import json
import time
from pathlib import Path

from PIL import Image

from fieldmark.errors import UnreadableExample
from fieldmark.modalities.base import InputSpec
from fieldmark.modalities.image import IMAGE
from tests.modalities.bombs import BOMBS, saved

SPEC = InputSpec(height=64, width=64)


def memory(what: str) -> int:
    """VmRSS is now, VmHWM the highest since the mark was reset; in bytes."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(what))


def pixels_of(data: bytes) -> int:
    try:
        with Image.open(io.BytesIO(data)) as image:
            return image.width * image.height
    except Exception:
        return 0


def main() -> None:
    for kind in ("JPEG", "PNG", "GIF", "WEBP", "AVIF", "TIFF", "BMP"):  # what importing costs
        IMAGE.decode(saved((64, 64), kind), SPEC)
    for name, make in BOMBS.items():
        data = make()
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
        before, began = memory("VmRSS"), time.process_time()
        try:
            IMAGE.decode(data, SPEC)
            said = "read"
        except UnreadableExample as error:
            said = error.code
        facts = {
            "name": name,
            "said": said,
            "cpu_s": time.process_time() - began,
            "grown": memory("VmHWM") - before,
            "bytes": len(data),
            "pixels": pixels_of(data) if said == "read" else 0,
        }
        print(json.dumps(facts), flush=True)


if __name__ == "__main__":
    main()
