"""What belongs together lies in one part and one fold, whatever way led there; or it is said."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import fieldmark as fm
from fieldmark.data import grouping
from fieldmark.errors import DataError
from fieldmark.workflow.dataset import prepared
from tests.pictures import unlike

LABELS = ("a", "b")

# What a drawn folder may rightly be refused for: a split file, for one, that leaves a class
# without a training picture.
REFUSALS = ("too-few", "empty-part", "emptied-class", "no-groups", "no-train-part")


@st.composite
def folders(draw: st.DrawFn) -> list[tuple[str, str, str, str]]:
    """Return (path, words of the picture, group, part in a split file) of some files."""
    ready_made = draw(st.booleans())
    tops = ["train/", "test/"] if ready_made else [""]
    files = []
    for top in tops:
        for label in LABELS:
            for at in range(draw(st.integers(6, 9))):
                shared = draw(st.integers(0, 9)) == 0
                words = (
                    f"shared {label} {draw(st.integers(0, 3))}" if shared else f"{top} {label} {at}"
                )
                group = draw(st.sampled_from(["", "", "", "g", "h"]))
                part = draw(st.sampled_from(["train", "train", "valid", "test"]))
                files.append((f"{top}{label}/{group or 'x'}_{at}.png", words, group, part))
    return files


def together(manifest: fm.Dataset | object) -> list[set[object]]:
    examples = manifest.examples  # type: ignore[attr-defined]
    return [{examples[at].split for at in unit.members} for unit in grouping.units(examples)]


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    files=folders(),
    by_group=st.booleans(),
    clean=st.booleans(),
    saved=st.booleans(),
    folds=st.sampled_from([0, 3]),
    keep=st.booleans(),
)
def test_no_unit_is_divided_without_a_word(
    files: list[tuple[str, str, str, str]],
    by_group: bool,
    clean: bool,
    saved: bool,
    folds: int,
    keep: bool,
) -> None:
    with tempfile.TemporaryDirectory() as room:
        root = Path(room) / "data"
        for path, words, _, _ in files:
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_bytes(unlike(words))
        asked = fm.Settings().changed("audit", {"clean": clean}).changed("run", {"cache": False})
        if by_group:
            asked = asked.changed("data", {"groups": "name:^([gh])_"})
        parts: dict[str, object] = {"folds": folds}
        if saved and not files[0][0].startswith("train/"):
            listed = Path(room) / "split.csv"
            rows = [f"{path},{part}" for path, _, _, part in files[::2]]
            listed.write_text("path,split\n" + "\n".join(rows) + "\n")
            parts["file"] = str(listed)
        if keep:
            (root / "overrides.csv").write_text(f"path,action\n{files[0][0]},keep\n")
        try:
            found = prepared(fm.load(root).manifest, asked.changed("split", parts))
        except DataError as error:
            if error.code not in REFUSALS:
                raise
            return
    examples = found.manifest.examples
    paths = [each.path for each in (*examples, *found.manifest.left_out)]
    assert sorted(paths) == sorted(
        {path for path, *_ in files} | set(paths) - {p for p, *_ in files}
    )
    assert all(each.split for each in examples)
    divided = sum(len(sides) > 1 for sides in together(found.manifest))
    assert bool(divided) == any(note.code == "parts-divided" for note in found.notes)
    free = not parts.get("file") and not files[0][0].startswith("train/")
    assert not (free and divided)
    if clean and not keep and not by_group:
        assert not divided
