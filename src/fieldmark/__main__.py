"""``python -m fieldmark`` and the ``fieldmark`` command."""

from __future__ import annotations

import os
import sys


def main() -> None:
    """Run the command line and exit with its status."""
    # Python's stderr gets a descriptor of its own, so that the notes which numeric libraries write
    # to descriptor 2 while they load can be kept off the screen (training.backend).
    sys.stderr.flush()
    sys.stderr = open(os.dup(2), "w", buffering=1, encoding="utf-8", errors="backslashreplace")  # noqa: PTH123, SIM115

    # One thread for NumPy's matrices, whose number changes the bits of a solved head, and costs
    # more than it brings where a computer is busy. Looked for once, when NumPy is loaded.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

    from fieldmark.cli import run

    status = run(sys.argv[1:])
    sys.stderr.flush()
    sys.exit(status)


if __name__ == "__main__":
    main()
