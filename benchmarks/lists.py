"""Lists for ``fieldmark train --labels``: learning curves and folds. Pure, but for the writing."""

from __future__ import annotations

import csv
import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.measure import SideFailed, measured, script


@dataclass(frozen=True)
class Listed:
    """One labelled file, as fieldmark found it."""

    path: str
    """Relative to the data folder."""
    label: str
    sha256: str
    split: str = ""
    """The ready-made part it came in, if any."""


Row = tuple[Listed, str]
"""An example and the part it is given: train, valid or test."""


def examples_of(data: Path) -> tuple[Path, list[Listed]]:
    """Return the folder that paths are relative to, and fieldmark's own list of the examples."""
    record = measured(script("list_examples", data))
    return Path(record["root"]), [Listed(*row) for row in record["examples"]]


def write(path: Path, rows: Iterable[Row]) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["path", "label", "split"])
        writer.writerows([each.path, each.label, part] for each, part in rows)
    return path


def shuffled(examples: Iterable[Listed], *words: object) -> list[Listed]:
    """Put examples in an order that depends on their content and the words alone."""

    def rank(each: Listed) -> str:
        return hashlib.sha256(repr((words, each.sha256)).encode()).hexdigest()

    return sorted(examples, key=lambda each: (rank(each), each.path))


# -- a learning curve


def unseen(examples: Sequence[Listed]) -> dict[str, list[Listed]]:
    """Return what may be learned from, by label: one file of each content, none of the test part's.

    A copy would make n examples fewer than n, and a copy of a test picture would be known.
    """
    met = {each.sha256 for each in examples if each.split == "test"}
    found: dict[str, list[Listed]] = defaultdict(list)
    for each in examples:
        if each.sha256 not in met:
            met.add(each.sha256)
            found[each.label].append(each)
    return dict(found)


def curve_rows(examples: Sequence[Listed], n_train: int, n_valid: int, seed: int) -> list[Row]:
    """Draw ``n_train`` and ``n_valid`` examples of every class; the test part stays as it is.

    For one seed, the validation part is the same for every ``n_train``, and a larger training part
    holds the smaller ones.
    """
    rows: list[Row] = [(each, "test") for each in examples if each.split == "test"]
    for label, pool in sorted(unseen(examples).items()):
        if len(pool) < n_train + n_valid:
            raise SideFailed(f"{label}: {len(pool)} examples are fewer than {n_train} + {n_valid}")
        order = shuffled(pool, "curve", seed)
        rows += [(each, "valid") for each in order[:n_valid]]
        rows += [(each, "train") for each in order[n_valid : n_valid + n_train]]
    return rows


# -- folds


def folds(examples: Sequence[Listed], n_folds: int, seed: int = 0) -> list[int]:
    """Give every example one of ``n_folds`` test folds, 0 to ``n_folds - 1``.

    Files with the same content are in the same fold. The numbers of examples of a class differ
    between folds by one, as far as copies allow.
    """
    of_class: Counter[tuple[int, str]] = Counter()
    of_fold: Counter[int] = Counter()
    drawn: dict[str, int] = {}
    for together in _by_content(shuffled(examples, "folds", seed)):
        labels = [each.label for each in together]
        fold = min(
            range(n_folds),
            key=lambda n: (sum(of_class[n, label] for label in labels), of_fold[n], n),
        )
        drawn[together[0].sha256] = fold
        of_class.update((fold, label) for label in labels)
        of_fold[fold] += len(together)
    return [drawn[each.sha256] for each in examples]


def fold_rows(
    examples: Sequence[Listed], drawn: Sequence[int], fold: int, valid: float = 0.1
) -> list[Row]:
    """Test on one fold and learn from the others, ``valid`` of each class's examples set aside."""
    rest = [each for each, its in zip(examples, drawn, strict=True) if its != fold]
    wanted = {label: max(1, round(valid * n)) for label, n in _counts(rest).items()}
    parts = {each.sha256: "test" for each, its in zip(examples, drawn, strict=True) if its == fold}
    for together in _by_content(shuffled(rest, "valid", fold)):
        need = _counts(together)
        aside = all(wanted[label] >= n for label, n in need.items())
        parts[together[0].sha256] = "valid" if aside else "train"
        if aside:
            for label, n in need.items():
                wanted[label] -= n
    return [(each, parts[each.sha256]) for each in examples]


def _by_content(order: Sequence[Listed]) -> list[list[Listed]]:
    found: dict[str, list[Listed]] = defaultdict(list)
    for each in order:
        found[each.sha256].append(each)
    return list(found.values())


def _counts(examples: Iterable[Listed]) -> Counter[str]:
    return Counter(each.label for each in examples)
