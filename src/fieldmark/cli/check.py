"""``fieldmark check``."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fieldmark.cli.options import Json, LabelFrom, Labels, Quiet
from fieldmark.cli.screen import screen, shown

if TYPE_CHECKING:
    from fieldmark.data.manifest import Manifest


def check(
    folder: Annotated[str, typer.Argument(help="Class folders, ready-made parts, or a CSV.")],
    labels: Labels = "",
    label_from: LabelFrom = "folder",
    json_: Json = False,
    quiet: Quiet = False,
) -> int:
    """Read every picture once and name those that cannot be used. Changes nothing.

    Example: fieldmark check flowers
    """
    from fieldmark.workflow.checking import check as look

    out = screen().settle(as_json=json_, quiet=quiet)
    found = look(folder, labels=labels or None, label_from=label_from)
    if json_:
        out.json(_facts(found))
    else:
        out.results(_lines(found))
        out.next(f"fieldmark train {shown(folder)}")
    return 0


def _facts(found: Manifest) -> dict[str, Any]:
    return {
        "schema": "fieldmark.check/1",
        "classes": found.counts(),
        "parts": {part: len(found.part(part)) for part in ("train", "valid", "test")},
        "left_out": [
            {"path": each.path, "code": each.code, "reason": each.reason} for each in found.left_out
        ],
    }


def _lines(found: Manifest) -> list[str]:
    n = len(found.examples)
    name = shown(Path(found.root).resolve().name)
    lines = [f"{name}: {n:,} usable pictures in {len(found.classes)} classes", ""]
    widest = max(len(shown(each)) for each in found.classes)
    lines += [f"  {shown(label):<{widest}}  {k:>8,}" for label, k in found.counts().items()]
    # What stands in brackets differs from file to file.
    reasons = Counter((each.code, each.reason.partition(" (")[0]) for each in found.left_out)
    if reasons:
        lines += ["", "  left out"]
        lines += [f"  {k:>8,}  {reason} [{code}]" for (code, reason), k in reasons.most_common()]
        shown_files = [each.path for each in found.left_out[:10]]
        lines += [f"            {shown(path)}" for path in shown_files]
        if len(found.left_out) > len(shown_files):
            lines.append(f"            and {len(found.left_out) - len(shown_files):,} more: --json")
    return lines
