"""Lay out the parts that fieldmark draws as folders of links, for peers that want folders."""

import argparse
import json
from pathlib import Path

import fieldmark as fm

parser = argparse.ArgumentParser()
parser.add_argument("data", type=Path)
parser.add_argument("out", type=Path)
parser.add_argument("--seed", type=int, default=0)
given = parser.parse_args()

dataset = fm.load(given.data).split(seed=given.seed)
for example in dataset:
    folder = given.out / str(example.split) / example.label
    folder.mkdir(parents=True, exist_ok=True)
    target = given.data / example.path
    (folder / target.name).symlink_to(target)
counts = {part: len(dataset.manifest.part(part)) for part in ("train", "valid", "test")}
print(json.dumps(counts))
