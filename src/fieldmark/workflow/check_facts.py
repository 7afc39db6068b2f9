"""From what a check found to what its page shows: words from the kinds, thumbnails from the disk.

Reads the files of the findings that are shown, and changes none.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from fieldmark.data.findings import KINDS, Finding
from fieldmark.data.manifest import SPLITS, Manifest, Split
from fieldmark.evaluation import check_page
from fieldmark.evaluation.check_page import (
    MAX_FINDINGS,
    MAX_PICTURES,
    CheckFacts,
    Section,
    Shown,
)
from fieldmark.evaluation.measurement import Measurement
from fieldmark.evaluation.thumbnails import Picture
from fieldmark.workflow.leaking import LeakTax
from fieldmark.workflow.picturing import pictured
from fieldmark.workflow.suspecting import Shortcut

_PARTS: Final[Mapping[Split, str]] = {
    "train": "training part",
    "valid": "validation part",
    "test": "test part",
}
_STAGES: Final = {
    "read": "reading",
    "look": "looking",
    "compare": "comparing",
    "ask": "asking",
    "list": "listing",
    "suspects": "wrong labels",
    "leak tax": "leak tax",
}


def check_facts(
    found: Manifest,
    used: Manifest,
    findings: Sequence[Finding],
    *,
    seconds: Mapping[str, float],
    created: str = "",
    more: str = "",
) -> CheckFacts:
    """Gather what :func:`fieldmark.evaluation.check_page.render` needs.

    Parameters
    ----------
    found : Manifest
        Everything that could be read, and in ``left_out`` what could not.
    used : Manifest
        What is left of it after cleaning; its ``left_out`` names everything.
    findings : sequence of Finding
        Of each kind the most important first; only the first few are read again, for thumbnails.
    seconds : mapping
        Stage to time taken.
    created : str
        Date and time as text.
    more : str
        The file that holds the full list.

    Returns
    -------
    CheckFacts
        Shortcuts and what copies add are not in it: ``dataclasses.replace`` puts them there.
    """
    before, after = found.counts(), used.counts()
    n_found = len(found.examples) + len(found.left_out)
    return CheckFacts(
        name=found.name,
        folder=str(found.root),
        created=created,
        n_found=n_found,
        n_used=len(used.examples),
        n_left_out=n_found - len(used.examples),
        counts={label: (before[label], after[label]) for label in found.classes},
        parts=_parts(used),
        sections=_sections(found, findings),
        left_out=tuple(dataclasses.asdict(each) for each in used.left_out),
        looked_for=("files that cannot be read", *(kind.title for kind in KINDS.values())),
        timings={_STAGES.get(stage, stage): f"{taken:.1f} s" for stage, taken in seconds.items()},
        more=more,
    )


def _parts(manifest: Manifest) -> dict[str, dict[str, int]]:
    """Count what is used by class and ready-made part; nothing where there are none."""
    if not any(example.split for example in manifest.examples):
        return {}
    counts = {part: manifest.counts(part) for part in SPLITS}
    return {label: {part: counts[part][label] for part in SPLITS} for label in manifest.classes}


def _sections(manifest: Manifest, findings: Sequence[Finding]) -> tuple[Section, ...]:
    groups = {code: [each for each in findings if each.code == code] for code in KINDS}
    thumbnails = _thumbnails(
        manifest, [each for group in groups.values() for each in group[:MAX_FINDINGS]]
    )
    return tuple(_section(code, group, thumbnails) for code, group in groups.items() if group)


def _thumbnails(manifest: Manifest, shown: Sequence[Finding]) -> dict[str, Picture]:
    """Read each file that is shown once, however many findings it is in."""
    splits = {example.path: example.split for example in manifest.examples}
    wanted: dict[str, Picture] = {}
    for finding in shown:
        for path, label in _labelled(finding)[:MAX_PICTURES]:
            split = splits.get(path)
            note = _PARTS[split] if split else ""
            wanted.setdefault(path, Picture(path=path, label=label, note=note))
    return {each.path: each for each in pictured(Path(manifest.root), wanted.values())}


def _labelled(finding: Finding) -> list[tuple[str, str]]:
    labels = [*finding.labels, *[""] * len(finding.paths)]
    return list(zip(finding.paths, labels, strict=False))


def _section(code: str, findings: Sequence[Finding], thumbnails: Mapping[str, Picture]) -> Section:
    kind = KINDS[code]
    return Section(
        code=code,
        title=kind.title,
        why=kind.why,
        next=kind.next,
        serious=kind.serious,
        n=len(findings),
        n_files=len({path for each in findings for path in each.paths}),
        # All of them: what was done is said of all, although only the first are shown.
        findings=tuple(_shown(each, thumbnails) for each in findings),
    )


def _shown(finding: Finding, thumbnails: Mapping[str, Picture]) -> Shown:
    return Shown(
        pictures=tuple(
            dataclasses.replace(thumbnails.get(path, Picture(path=path)), label=label)
            for path, label in _labelled(finding)
        ),
        labels=() if finding.paths else finding.labels,
        text=finding.text,
        done=finding.done,
    )


def shortcuts_shown(shortcuts: Sequence[Shortcut]) -> tuple[check_page.Shortcut, ...]:
    """Return the rows of the page's table of shortcuts."""
    shown = []
    for each in shortcuts:
        rate = Measurement("balanced accuracy", each.accuracy, each.low, each.high, each.n)
        verdict = "tells the classes apart: a warning" if each.warns else "no warning"
        if each.content:
            verdict = "partly content, so no warning"
        verdict += f"; {each.telling}" if each.telling else ""
        fact = each.fact
        shown.append(
            check_page.Shortcut(fact=fact, accuracy=rate, baseline=each.baseline, verdict=verdict)
        )
    return tuple(shown)


def tax_shown(tax: LeakTax | None) -> check_page.Tax | None:
    """Return what the page says of the leak tax; None where nothing leaks or can be measured."""
    if tax is None or tax.naive is None or tax.honest is None:
        return None
    naive, honest = (
        Measurement("accuracy", rate.value, rate.low, rate.high, rate.n)
        for rate in (tax.naive, tax.honest)
    )
    return check_page.Tax(naive=naive, honest=honest, text=tax.text)
