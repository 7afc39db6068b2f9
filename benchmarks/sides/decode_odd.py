"""Subject: decode every file of a folder, one by one, and note time and memory of each."""

import json
import sys
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

from fieldmark.errors import UnreadableExample
from fieldmark.inference.predictor import MAX_FILE_BYTES
from fieldmark.modalities import MODALITIES
from fieldmark.modalities.base import InputSpec


def memory_mb(what: str) -> float:
    """VmRSS is now, VmHWM the highest since the mark was reset."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(what):
            return int(line.split()[1]) * 1024 / 1e6
    return 0.0


def reset_peak() -> None:
    Path("/proc/self/clear_refs").write_text("5")


folder = Path(sys.argv[1])
image, spec = MODALITIES["image"], InputSpec(height=64, width=64)
# One file of each kind first: importing a decoder is not what that file costs.
for path in {each.suffix.lower(): each for each in folder.rglob("*") if each.is_file()}.values():
    with suppress(UnreadableExample):
        image.decode(path.read_bytes(), spec)

files, escaped, counts, peak = [], [], Counter(), 0.0
before = memory_mb("VmRSS")
for path in sorted(each for each in folder.rglob("*") if each.is_file()):
    name = path.relative_to(folder).as_posix()
    data = path.read_bytes()[:MAX_FILE_BYTES]
    reset_peak()
    start_mb, started = memory_mb("VmRSS"), time.perf_counter()
    try:
        image.decode(data, spec)
        said = "read"
    except UnreadableExample as error:
        said = error.code
    except Exception as error:
        said = f"bug: {type(error).__name__}"
        escaped.append(name)
    took = 1000 * (time.perf_counter() - started)
    grown = memory_mb("VmHWM") - start_mb
    counts[said] += 1
    files.append({"file": name, "said": said, "ms": took, "peak_mb": grown})
    peak = max(peak, memory_mb("VmHWM"))
line = {
    "files": files,
    "counts": dict(counts.most_common()),
    "escaped": escaped,
    "before_mb": before,
    "peak_mb": peak,
}
print(json.dumps(line))
