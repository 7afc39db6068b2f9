"""Makes ``bundle_v3.fieldmark``: format 3, a file that decides and knows what known pictures are.

The same network as in ``make_bundle_v1.py``, written by fieldmark itself. The files beside this one
are committed and read for ever. Run as ``python tests/golden/make_bundle_v3.py FOLDER``.
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

sys.path.insert(0, str(Path(__file__).parent))
import make_bundle_v1 as tiny

DECISION = {
    "temperature": 1.5,
    "accept": {"margin": 1.9, "error": 0.05, "confidence": 0.95, "text": "At most 5 %."},
    "unknown": {"distance": 2.0, "share": 0.02},
    "sets": {"margin": 1.2, "confidence": 0.95},
}


def known(n_features: int) -> dict[str, np.ndarray]:
    """What known pictures look like: made up, and the same for ever."""
    draw = np.random.default_rng(3)
    basis, _ = np.linalg.qr(draw.standard_normal((n_features, 2)))
    means = np.full((len(tiny.CLASSES), n_features), n_features**-0.5)
    return {
        "means": means.astype(np.float32),
        "basis": basis.T.astype(np.float32),
        "scales": np.array([0.5, 0.4, 0.3], np.float32),
    }


def made() -> bundle.Bundle:
    """Return the bundle that the file holds."""
    planned = plan(parse(tiny.LAYERS), len(tiny.CLASSES))
    return bundle.Bundle(
        name="waders-3",
        network=tiny.LAYERS,
        onnx=onnx_graph(planned, tiny.weights()),
        classes=tiny.CLASSES,
        spec=tiny.SPEC,
        golden_inputs=tiny.pixels(),
        golden_scores=tiny.softmax(tiny.logits(tiny.pixels()) / 1.5),
        weights=tiny.weights(),
        decision=DECISION,
        unknown=known(planned.steps[-1].input[0]),
        card="# waders-3\n\nThree birds, for tests.\n",
        created="2026-11-24T11:00:00Z",
    )


def main(folder: Path) -> None:
    """Write the two files."""
    bundled = made()
    model_id = bundle.write(folder / "bundle_v3.fieldmark", bundled)
    expected = {
        "name": bundled.name,
        "model_id": model_id,
        "classes": list(bundled.classes),
        "temperature": bundled.temperature,
        "scores": np.round(bundled.golden_scores.astype(np.float64), 6).tolist(),
    }
    text = json.dumps(expected, ensure_ascii=False, indent=1)
    (folder / "bundle_v3.expected.json").write_text(f"{text}\n", encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
