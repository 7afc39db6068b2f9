"""Measure saved probabilities, fieldmark's and the peers' alike."""

import argparse
import json
from pathlib import Path

import numpy as np

from fieldmark.evaluation.report import measure

parser = argparse.ArgumentParser()
parser.add_argument("answers", type=Path, help="JSON with classes, probs and labels")
given = parser.parse_args()

saved = json.loads(given.answers.read_text(encoding="utf-8"))
classes = tuple(saved["classes"])
labels = np.array([classes.index(saved["labels"][path]) for path in saved["probs"]])
probs = np.array(list(saved["probs"].values()))
report = measure(probs, labels, classes, baseline_class=classes[0], conditions={}, seed=0)
line = {
    name: [found.value, found.low, found.high]
    for name, found in (
        ("accuracy", report.accuracy),
        ("log_loss", report.log_loss),
        ("macro_f1", report.macro_f1),
    )
}
print(json.dumps(line | {"n": report.n}))
