"""Subject: the import statement."""

import time

started = time.perf_counter()
import fieldmark  # noqa: E402, F401

took = time.perf_counter() - started
print(f'{{"import_ms": {1000 * took:.3f}}}')
