"""Subject: many trainings on one folder in one process, which share fieldmark's cache."""

import argparse
import json
import sys
import time
from pathlib import Path

from fieldmark.cli import run

parser = argparse.ArgumentParser()
parser.add_argument("data", type=Path)
parser.add_argument("room", type=Path, help="holds NAME.csv")
parser.add_argument("names", nargs="+", help="as SIZE-SEED")
own, further = sys.argv[1:], []
if "--" in own:
    at = own.index("--")
    own, further = own[:at], own[at + 1 :]
given = parser.parse_args(own)

seconds = {}
for name in given.names:
    started = time.perf_counter()
    which = ["--labels", str(given.room / f"{name}.csv"), "--name", name]
    seed = ["--seed", name.split("-")[1]]
    status = run(["train", str(given.data), *which, *seed, "--quiet", *further])
    if status:
        sys.exit(f"training {name} ended with status {status}")
    seconds[name] = time.perf_counter() - started
print(json.dumps({"seconds": seconds}))
