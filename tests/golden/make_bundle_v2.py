"""Makes ``bundle_v2.fieldmark``: format 2, a file that also holds its network in int8.

The same network as in ``make_bundle_v1.py``, written by fieldmark itself, and quantised. The files
beside this one are committed and read for ever. Run as ``python tests/golden/make_bundle_v2.py
FOLDER``.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np

from fieldmark import bundle
from fieldmark.networks.onnx_graph import onnx_graph
from fieldmark.networks.parser import parse
from fieldmark.networks.volumes import plan
from fieldmark.quantization import quantize

sys.path.insert(0, str(Path(__file__).parent))
import make_bundle_v1 as tiny


def main(folder: Path) -> None:
    """Write the two files."""
    onnx = onnx_graph(plan(parse(tiny.LAYERS), len(tiny.CLASSES)), tiny.weights())
    made = bundle.Bundle(
        name="waders-2",
        network=tiny.LAYERS,
        onnx=onnx,
        int8=quantize(onnx, [tiny.pixels(64, seed=2)]),
        classes=tiny.CLASSES,
        spec=tiny.SPEC,
        golden_inputs=tiny.pixels(),
        golden_scores=tiny.softmax(tiny.logits(tiny.pixels()) / 1.5),
        weights=tiny.weights(),
        decision={"temperature": 1.5},
        card="# waders-2\n\nThree birds, for tests.\n",
        created="2026-11-24T07:00:00Z",
    )
    model_id = bundle.write(folder / "bundle_v2.fieldmark", made)
    expected = {
        "name": made.name,
        "model_id": model_id,
        "classes": list(made.classes),
        "temperature": made.temperature,
        "scores": np.round(made.golden_scores.astype(np.float64), 6).tolist(),
    }
    text = json.dumps(expected, ensure_ascii=False, indent=1)
    (folder / "bundle_v2.expected.json").write_text(f"{text}\n", encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
