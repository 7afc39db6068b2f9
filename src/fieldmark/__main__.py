"""``python -m fieldmark`` and the ``fieldmark`` command."""

from __future__ import annotations

import os
import sys

from fieldmark import ending


def main() -> None:
    """Run the command line and exit with its status."""
    # One thread for NumPy's matrices, whose number changes the bits of a solved head, and costs
    # more than it brings where a computer is busy. Looked for once, when NumPy is loaded.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    ending.open_streams()
    try:
        with ending.by_signals():
            from fieldmark.cli import run

            status = run(sys.argv[1:])
    except ending.Ended as stopped:
        sys.stderr.write(f"fieldmark: {stopped}\n")
        status = stopped.status
    ending.close_streams()
    sys.exit(status)


if __name__ == "__main__":
    main()
