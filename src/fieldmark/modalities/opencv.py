"""The one door to OpenCV, imported on first use and told to start no threads of its own.

OpenCV would split each call over every core; here each picture is one call and the callers bring
the threads, which is faster for small pictures and keeps a run inside the number of threads it was
given.
"""

from __future__ import annotations

import functools
from types import ModuleType


@functools.cache
def opencv() -> ModuleType:
    """Return the ``cv2`` module, single-threaded and without log lines."""
    import cv2

    cv2.setNumThreads(0)
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    module: ModuleType = cv2
    return module
