"""Same initial weights, same batches: does fieldmark's loss curve equal plain Keras'?"""

from __future__ import annotations

from benchmarks.measure import SideFailed, measured, script
from benchmarks.options import Options, Result, skipped
from benchmarks.pictures import shared_pictures
from benchmarks.summaries import target

N_STEPS = 50
TOLERANCE = 1e-3


def run(options: Options) -> Result:
    if not options.data.is_dir():
        return skipped(options.data)
    with shared_pictures(options) as pictures:
        start = pictures.room / "start.npz"
        ours = measured(script("fieldmark_steps", pictures.folder, start, "--steps", N_STEPS))
        theirs = measured(script("keras_steps", start))
    pairs = list(zip(ours["losses"], theirs["losses"], strict=True))
    if len(pairs) != N_STEPS:
        raise SideFailed(f"{len(pairs)} steps were made instead of {N_STEPS}")
    gaps = [abs(a - b) for a, b in pairs]
    worst = max(range(N_STEPS), key=gaps.__getitem__)
    lines = [
        f"{N_STEPS} steps of 32 pictures, no augmentation: loss {pairs[0][1]:.4f} at the first, "
        f"{pairs[-1][1]:.4f} at the last",
        f"largest difference {gaps[worst]:.2e}, at step {worst + 1}",
        target("largest difference", [gaps[worst]], TOLERANCE, at_least=False),
    ]
    return Result(lines, {"fieldmark": ours, "keras": theirs})
