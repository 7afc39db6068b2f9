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

    from fieldmark.cli import run
    from fieldmark.workflow.machine import affinity, cores

    if "OMP_NUM_THREADS" not in os.environ and cores() < affinity():
        # NumPy's library knows no quotas: on 64 processors of which a container may use 2 it would
        # start 64 threads. It looks for this when it is loaded, and not again.
        os.environ.setdefault("OPENBLAS_NUM_THREADS", str(cores()))
    status = run(sys.argv[1:])
    sys.stderr.flush()
    sys.exit(status)


if __name__ == "__main__":
    main()
