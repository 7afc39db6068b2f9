"""Subject: look at one model file or one file of weights; note time, memory and the answer."""

import json
import resource
import sys
import time
from pathlib import Path

from fieldmark.errors import FieldmarkError
from fieldmark.networks.torch_file import read_tensors
from fieldmark.workflow.inspecting import inspect

path = Path(sys.argv[1])
if path.suffix == ".fieldmark":
    import safetensors.numpy  # noqa: F401 - importing it is not what the file costs


def peak_mb() -> float:
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


before, started, worked = peak_mb(), time.perf_counter(), time.process_time()
try:
    if path.suffix == ".fieldmark":
        inspect(path)
    else:
        read_tensors(path.read_bytes())
    said = "accepted"
except FieldmarkError as error:
    said = error.code
except Exception as error:
    said = f"bug: {type(error).__name__}"
took, worked = time.perf_counter() - started, time.process_time() - worked
times = {"ms": 1000 * took, "cpu_ms": 1000 * worked}
print(json.dumps({"said": said, **times, "grown_mb": peak_mb() - before}))
