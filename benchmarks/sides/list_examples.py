"""List the labelled examples that fieldmark finds, with the hashes of their files."""

import argparse
import json
from pathlib import Path

import fieldmark as fm
from fieldmark.workflow.dataset import hashed

parser = argparse.ArgumentParser()
parser.add_argument("data", type=Path, help="a folder, or a CSV list")
given = parser.parse_args()

manifest = hashed(fm.load(given.data).manifest)
rows = [[each.path, each.label, each.sha256, each.split or ""] for each in manifest.examples]
print(json.dumps({"root": str(manifest.root), "examples": rows}))
