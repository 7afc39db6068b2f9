"""What does it take without a training framework? Install fieldmark alone, and go the whole way."""

from __future__ import annotations

import tempfile
from pathlib import Path

from benchmarks import environments
from benchmarks.measure import Side, interleaved, script
from benchmarks.options import REPOSITORY, Options, Result

N_LARGEST = 5


def run(options: Options) -> Result:
    with tempfile.TemporaryDirectory(prefix="fieldmark-benchmark-lean-") as folder:
        python = environments.made(Path(folder) / "venv", [str(REPOSITORY)])
        # -I: what is installed there answers, not this checkout.
        side = Side(
            "lean",
            lambda _: ["-I", *script("lean_flow", "--", *options.train)],
            python=python,
        )
        record = interleaved([side], 1)["lean"][0]
    largest = sorted(record["packages_mb"].items(), key=lambda item: -item[1])[:N_LARGEST]
    lines = [
        f"pip install fieldmark: {record['installed_mb']:,.0f} MB on disk in "
        f"{len(record['packages_mb'])} packages, and pip itself {record['pip_mb']:,.0f} MB",
        "largest: " + ", ".join(f"{name} {size:,.0f} MB" for name, size in largest),
        f"none of {', '.join(record['absent'])} is installed",
    ]
    for step, seconds in record["seconds"].items():
        lines.append(f"{step}: {seconds:.1f} s")
    return Result(lines, record)
