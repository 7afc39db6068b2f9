"""Plant faults into a copy of a clean folder, check it, and say what was found of each kind."""

import argparse
import itertools
import json
import random
import tempfile
import time
from collections import defaultdict
from pathlib import Path

import planting
from planting import Planted

from fieldmark.config import Settings
from fieldmark.data import cache
from fieldmark.data.looks import look_at
from fieldmark.workflow.checking import Check, check
from fieldmark.workflow.leaking import leak_tax
from fieldmark.workflow.machine import cores
from fieldmark.workflow.suspecting import looked, shortcuts, suspected

COPY_CODES = ("exact-copy", "near-copy", "burst", "label-conflict", "near-copy-labels")
LEAK_CODES = ("leak", "near-leak")


def pairs_shown(found: Check, codes: tuple[str, ...]) -> set[frozenset[str]]:
    """Return every two paths that one finding of these kinds names."""
    return {
        frozenset(pair)
        for finding in found.findings
        if finding.code in codes
        for pair in itertools.combinations(finding.paths, 2)
    }


def natural_copies(base: Path) -> set[str]:
    """Return the pictures of a base that have near copies before anything is planted.

    Found by what is to be measured, so it was looked at: all 38 pairs of ``flowers`` are near
    copies or frames of one scene; ``cats-and-dogs`` has none.
    """
    found = check(base, settings=Settings().changed("audit", {"suspects": "no"}))
    return {path for each in found.findings if each.code in COPY_CODES for path in each.paths}


def of_pairs(planted: list[Planted], shown: set[frozenset[str]]) -> dict[str, list[int]]:
    """Return per kind how many were planted and how many of them are shown."""
    counts: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    for each in planted:
        counts[each.kind][0] += 1
        counts[each.kind][1] += frozenset((each.path, each.source)) in shown
    return dict(counts)


def false_pairs(planted: list[Planted], shown: set[frozenset[str]]) -> list[list[str]]:
    """Return the pairs shown that do not stem from one original."""
    source = {each.path: each.source for each in planted if each.source}
    return sorted(
        sorted(pair) for pair in shown if len({source.get(path, path) for path in pair}) > 1
    )


def of_paths(planted: list[Planted], shown: set[str]) -> dict[str, object]:
    paths = {each.path for each in planted}
    return {"planted": len(paths), "found": len(paths & shown), "false": len(shown - paths)}


def copies(folder: Path, rng: random.Random, record: dict) -> None:
    planted = planting.plant_copies(folder, 0.4, rng)
    found = check(folder)
    shown = pairs_shown(found, COPY_CODES)
    n = len(found.found.examples)
    record["copies"] = {
        "kinds": of_pairs(planted, shown),
        "false": false_pairs(planted, shown),
        "n_pairs": n * (n - 1) // 2,
        "n_pictures": n,
        "seconds": sum(found.seconds.values()),
    }
    features = looked(found.found, threads=cores())
    if features is not None:
        record["copies"]["leak_tax"] = leak_tax(features).text


def flips(folder: Path, rng: random.Random, record: dict) -> None:
    planted = {each.path for each in planting.plant_flips(folder, 0.05, rng)}
    found = check(folder)
    result = suspected(looked(found.manifest, threads=cores()))
    ranked = [each.path for each in result.ranked]
    listed = [each.paths[0] for each in result.findings]
    sure = [each.paths[0] for each in result.findings if (each.measure or 0) >= 0.8]
    n_tenth = -(-len(ranked) // 10)
    record["flips"] = {
        "planted": len(planted & set(ranked)),
        "found": len(planted & set(ranked[:n_tenth])),
        "tenth": n_tenth,
        "listed": len(listed),
        "listed_planted": len(planted & set(listed)),
        "sure": len(sure),
        "sure_planted": len(planted & set(sure)),
        "notes": list(result.notes),
        "seconds": result.seconds,
    }


def truncations(folder: Path, rng: random.Random, record: dict) -> None:
    planted = planting.plant_truncations(folder, 0.1, rng)
    gone = {each.path for each in check(folder).found.left_out}
    record["truncated"] = of_paths(planted, gone)


def suffixes(folder: Path, rng: random.Random, record: dict) -> None:
    renamed = planting.plant_suffixes(folder, 0.1, rng)
    shown = {path for each in check(folder).of("wrong-suffix") for path in each.paths}
    record["wrong extension"] = of_paths(renamed, shown)


def leaks(folder: Path, rng: random.Random, record: dict) -> None:
    parts = folder.with_name("parts")
    planting.into_parts(folder, parts, rng)
    planted = planting.plant_leaks(parts, 0.1, rng)
    found = check(parts)
    shown = pairs_shown(found, LEAK_CODES)
    across = {pair for pair in shown if len({path.split("/")[0] for path in pair}) > 1}
    record["leaks"] = {"kinds": of_pairs(planted, across), "false": false_pairs(planted, across)}
    features = looked(found.found, threads=cores())
    if features is not None:
        record["leaks"]["leak_tax"] = leak_tax(features).text


def sizes(folder: Path, rng: random.Random, record: dict) -> None:
    for name, per_class in (("size by class", True), ("size by chance", False)):
        copied = folder.with_name(name.replace(" ", "-"))
        planting.clean_set(folder, copied, 10**6, random.Random(0))
        planting.plant_sizes(copied, per_class, rng)
        found = check(copied)
        kept = cache.safe_directory(copied) if Settings().run.cache else None
        _, looks = look_at(found.found, threads=cores(), directory=kept)
        said = shortcuts(found.found, looks)
        record[name] = {
            "warned": [each.fact for each in said if each.warns],
            "words": [str(each) for each in said if each.warns],
        }


STEPS = (copies, flips, truncations, suffixes, leaks, sizes)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("base", type=Path)
    parser.add_argument("--pictures", type=int, default=150, help="per class")
    given = parser.parse_args()
    started, record = time.monotonic(), {}
    with tempfile.TemporaryDirectory(prefix="fieldmark-planted-") as room:
        natural = natural_copies(given.base)
        record["natural"] = len(natural)
        originals = planting.clean_set(
            given.base, Path(room) / "clean", given.pictures, random.Random(0), natural
        )
        before = {path: (planting.hash_of(path), path.stat().st_mtime_ns) for path in originals}
        for step in STEPS:
            folder = Path(room) / step.__name__ / "set"
            folder.parent.mkdir()
            planting.clean_set(given.base, folder, given.pictures, random.Random(0), natural)
            step(folder, random.Random(step.__name__), record)
        after = {path: (planting.hash_of(path), path.stat().st_mtime_ns) for path in originals}
    if after != before:
        raise SystemExit("an original was changed")
    record |= {"originals": len(originals), "unchanged": True, "took": time.monotonic() - started}
    print(json.dumps(record))


if __name__ == "__main__":
    main()
