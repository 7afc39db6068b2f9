"""Subject: an installed fieldmark, without a training framework, from a folder to an answer.

Runs in an environment of its own and knows nothing of the checkout.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from importlib import metadata, util
from pathlib import Path

ABSENT = ("keras", "tensorflow", "torch", "jax")
INSTALLER = ("pip", "setuptools", "wheel")


def pictures(folder: Path, n: int) -> None:
    """Draw two classes that colour tells apart, with noise."""
    import cv2
    import numpy as np

    rng = np.random.default_rng(0)
    for label, channel in (("blue", 0), ("red", 2)):
        (folder / label).mkdir(parents=True)
        for number in range(n):
            pixels = rng.integers(0, 120, (80, 96, 3), dtype=np.uint8)
            pixels[..., channel] += 100
            if not cv2.imwrite(str(folder / label / f"{label}{number}.jpg"), pixels):
                sys.exit("a picture could not be written")


def size_mb(dist: metadata.Distribution) -> float:
    """Return what the files of a package take on the disk, in 10**6 bytes."""
    paths = {Path(str(dist.locate_file(file))) for file in dist.files or ()}
    return sum(path.stat().st_blocks * 512 for path in paths if path.is_file()) / 1e6


def fieldmark(*arguments: object) -> float:
    around = {name: value for name, value in os.environ.items() if name != "KERAS_BACKEND"}
    started = time.perf_counter()
    command = [sys.executable, "-I", "-m", "fieldmark", *map(str, arguments)]
    done = subprocess.run(command, env=around, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(command)}: exit {done.returncode}\n{done.stderr[-2000:]}")
    return time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--pictures", type=int, default=40, help="per class")
    parser.add_argument("train", nargs="*", help="options of fieldmark train, after --")
    given = parser.parse_args()

    there = [name for name in ABSENT if util.find_spec(name)]
    if there:
        sys.exit(f"installed, and should not be: {', '.join(there)}")
    sizes = {dist.name: size_mb(dist) for dist in metadata.distributions()}
    pictures(Path("colours"), given.pictures)
    seconds = {
        "train": fieldmark("train", "colours", *given.train),
        "evaluate": fieldmark("evaluate", "latest", "colours", "--min-accuracy", "0.9"),
        "predict": fieldmark("predict", "latest", *sorted(Path("colours/red").glob("*.jpg"))[:2]),
    }
    line = {
        "absent": ABSENT,
        "packages_mb": {name: mb for name, mb in sizes.items() if name not in INSTALLER},
        "pip_mb": sum(mb for name, mb in sizes.items() if name in INSTALLER),
        "seconds": seconds,
    }
    line["installed_mb"] = sum(line["packages_mb"].values())
    print(json.dumps(line))


if __name__ == "__main__":
    main()
