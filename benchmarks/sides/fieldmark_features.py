"""Subject: from JPEG files to features, with every engine in float32 and int8.

``prepare`` writes the float graph and the int8 graph of a backbone; ``extract`` decodes in two
threads while the network runs, says how long that took, and may keep the features.
"""

import argparse
import json
import runpy
import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path

import numpy as np

from fieldmark.errors import UnreadableExample
from fieldmark.inference.runtime import open_runtime
from fieldmark.modalities import MODALITIES
from fieldmark.modalities.base import InputSpec
from fieldmark.quantization import CALIBRATION_PICTURES, quantize

BATCH = 8
"""Pictures per run: at 224 x 224, larger batches leave the processor's caches."""

parser = argparse.ArgumentParser()
parser.add_argument("work", choices=["prepare", "extract"])
parser.add_argument("data", type=Path)
parser.add_argument("room", type=Path, help="where the graphs are")
parser.add_argument("--size", type=int, required=True)
parser.add_argument("--backbone", type=Path, help="prepare: a file that defines graph(size)")
parser.add_argument("--precision", choices=["float32", "int8"], default="float32")
parser.add_argument("--engine", choices=["onnxruntime", "openvino"], default="onnxruntime")
parser.add_argument("--n", type=int, help="so many pictures, evenly over all; default: every one")
parser.add_argument("--keep", type=Path, help="write the features with their labels here")
given = parser.parse_args()
spec = InputSpec(height=given.size, width=given.size, fit="stretch")


def pictures(n: int | None) -> list[Path]:
    found = sorted(given.data.rglob("*.jpg"))
    return found if n is None else found[:: max(1, len(found) // n)][:n]


def decoded(path: Path) -> np.ndarray:
    try:
        return MODALITIES["image"].decode(path.read_bytes(), spec)
    except UnreadableExample:
        return np.zeros(spec.shape, np.uint8)  # counts as work, and as a mistake for every side


def batches(paths: list[Path]) -> Iterator[np.ndarray]:
    with ThreadPoolExecutor(2) as pool:
        todo = iter(paths)
        under_way = deque(pool.submit(decoded, path) for path in islice(todo, 8 * BATCH))
        while under_way:
            batch = [under_way.popleft().result() for _ in range(min(BATCH, len(under_way)))]
            under_way.extend(pool.submit(decoded, path) for path in islice(todo, len(batch)))
            yield np.stack(batch)


def graph_file(precision: str) -> Path:
    return given.room / f"{precision}-{given.size}.onnx"


if given.work == "prepare":
    graph = runpy.run_path(str(given.backbone))["graph"](given.size)
    graph_file("float32").write_bytes(graph)
    training = given.data / "training_set"
    given.data = training if training.is_dir() else given.data
    started = time.perf_counter()
    int8 = quantize(graph, batches(pictures(CALIBRATION_PICTURES)))
    print(json.dumps({"quantize_s": time.perf_counter() - started, "bytes": len(int8)}))
    graph_file("int8").write_bytes(int8)
else:
    paths = pictures(given.n)
    started = time.perf_counter()
    runtime = open_runtime(graph_file(given.precision).read_bytes(), engine=given.engine, bulk=True)
    opened = time.perf_counter()
    found = [answer.features for answer in runtime.stream(batches(paths), ("features",))]
    seconds = time.perf_counter() - opened
    if given.keep:
        labels = [path.parent.name for path in paths]
        in_test = ["test_set" in path.parts for path in paths]
        np.savez(given.keep, features=np.concatenate(found), labels=labels, in_test=in_test)
    record = {"n": len(paths), "seconds": seconds, "open_s": opened - started}
    print(json.dumps(record | {"engine": runtime.name}))
