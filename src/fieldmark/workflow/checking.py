"""Look at a folder before anything is trained on it: what is broken, copied, odd or leaking.

Reads every file once and changes none. What is found is the same that ``split`` and ``train`` act
on; here it is shown, with what was done about it.
"""

from __future__ import annotations

import dataclasses
import json
import textwrap
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from fieldmark.atomic import write_whole
from fieldmark.config import Settings
from fieldmark.data import overrides, scan
from fieldmark.data.findings import KINDS, Finding
from fieldmark.data.manifest import SPLITS, Manifest
from fieldmark.errors import DataError, UsageError
from fieldmark.evaluation import check_page
from fieldmark.evaluation.wording import counted, printable
from fieldmark.training.events import Listener, silent
from fieldmark.workflow.auditing import audited
from fieldmark.workflow.check_facts import check_facts, shortcuts_shown, tax_shown
from fieldmark.workflow.dataset import listed
from fieldmark.workflow.deeper import deeper, tax_to_dict
from fieldmark.workflow.leaking import LeakTax
from fieldmark.workflow.machine import cores
from fieldmark.workflow.pages import check_replaceable, write_page
from fieldmark.workflow.suspecting import Shortcut

SCHEMA: Final = "fieldmark.check/2"
N_SHOWN: Final = 4
"""Findings of one kind whose paths are printed; the page and the JSON hold more."""
_REFUSED: Final = {
    "one-class": "one-class",
    "empty-class": "empty-class",
    "class-names-collide": "names-collide",
    "class-name-not-text": "name-not-text",
}
"""What ``train`` refuses a folder for -> the kind of finding that it is here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """What was found in a folder; printed, it is a table."""

    found: Manifest
    """Everything that could be read, and in ``left_out`` what could not."""
    manifest: Manifest
    """Without what would spoil the figures; near copies and bursts marked by ``cluster``."""
    findings: tuple[Finding, ...]
    """In the order of :data:`fieldmark.data.findings.KINDS`, then as found."""
    ranking: tuple[tuple[str, float], ...] = ()
    """Path and probability that its label is wrong, the most suspicious tenth; those above one
    half are findings too."""
    shortcuts: tuple[Shortcut, ...] = ()
    """How well facts that are not content tell the classes apart; those that do are findings."""
    tax: LeakTax | None = None
    """What a split that ignores copies and groups would have added to the accuracy."""
    obeyed: Path | None = None
    """The fix list."""
    notes: tuple[str, ...] = ()
    """What could not be judged, and lines of lists that were not obeyed."""
    seconds: dict[str, float] = field(default_factory=dict)
    """By stage."""

    @property
    def serious(self) -> tuple[Finding, ...]:
        """Findings that make a figure or a label wrong: what ``--strict`` fails on."""
        return tuple(each for each in self.findings if KINDS[each.code].serious)

    def of(self, code: str) -> tuple[Finding, ...]:
        """Return the findings of one kind."""
        return tuple(each for each in self.findings if each.code == code)

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain JSON values."""
        used, found = self.manifest.counts(), self.found.counts()
        left_out = [
            {"path": each.path, "code": each.code, "reason": each.reason}
            for each in self.manifest.left_out
        ]
        return {
            "schema": SCHEMA,
            "folder": self.manifest.name,
            "classes": {name: {"files": found[name], "used": used[name]} for name in used},
            "parts": {part: len(self.manifest.part(part)) for part in SPLITS},
            "findings": [
                each.to_dict() | {"serious": KINDS[each.code].serious} for each in self.findings
            ],
            "left_out": left_out,
            "labels_ranked": [{"path": path, "p_wrong": round(p, 4)} for path, p in self.ranking],
            "shortcuts": [dataclasses.asdict(each) for each in self.shortcuts],
            "leak_tax": tax_to_dict(self.tax),
            "notes": list(self.notes),
            "seconds": {name: round(seconds, 3) for name, seconds in self.seconds.items()},
        }

    def to_json(self) -> str:
        """Return :meth:`to_dict` as JSON; what is no text in a name becomes an escape."""
        return json.dumps(self.to_dict(), indent=1)

    def page(self, *, created: str = "", more: str = "") -> str:
        """Return everything as one HTML page with the pictures side by side.

        Parameters
        ----------
        created : str
            Date and time as text.
        more : str
            The file that holds the full list.
        """
        facts = check_facts(
            self.found,
            self.manifest,
            self.findings,
            seconds=self.seconds,
            created=created,
            more=more,
        )
        return check_page.render(
            dataclasses.replace(
                facts,
                notes=self.notes,
                shortcuts=shortcuts_shown(self.shortcuts),
                tax=tax_shown(self.tax),
            )
        )

    def save(self, path: str | Path, *, created: str = "") -> tuple[Path, Path]:
        """Write the page, and the full list as JSON beside it.

        Returns
        -------
        Path, Path
            Of the page and of the list.

        Raises
        ------
        UsageError
            Codes ``file-exists``: something else stands there; only what ``check`` wrote is
            replaced; ``page-name``: it ends in ``.json``.
        DataError
            Code ``no-folder``.
        """
        page = Path(path)
        if page.suffix.lower() == ".json":
            raise UsageError(
                "The page cannot be called .json.",
                code="page-name",
                where=str(page),
                why="The full list of that name is written beside it.",
                hint="--html NAME.html; or --json > NAME.json for the list alone",
            )
        full = page.with_suffix(".json")
        check_replaceable(full, "check", f'"{SCHEMA}"')
        write_page(page, self.page(created=created, more=full.name), "check")
        write_whole(full, self.to_json())
        return page, full

    def fix_list(self, decided: Path | None = None) -> str:
        """Return the fix list: a line of CSV for every file that a person should decide about.

        Parameters
        ----------
        decided : Path, optional
            An earlier list, whose lines are kept; default: the one that was obeyed.
        """
        earlier = decided or self.obeyed
        return overrides.write(
            self.findings,
            self.found,
            overrides.read(earlier) if earlier else None,
            gone={each.path for each in self.manifest.left_out},
        )

    def lines(self, width: int = 80) -> Iterator[str]:
        """Say it as a table of lines, at most ``width`` wide."""
        # Codes and names stay whole where they can: they are searched for and copied.
        wrap = textwrap.TextWrapper(width, subsequent_indent=" " * 10, break_on_hyphens=False)
        for line in self._lines():
            yield from wrap.wrap(printable(line)) or [""]

    def _lines(self) -> Iterator[str]:
        used, found = self.manifest.counts(), self.found.counts()
        n = sum(found.values())
        took = sum(self.seconds.values())
        name = printable(self.manifest.name)
        yield f"{name}: {n:,} pictures in {len(used)} classes (read in {took:.1f} s)"
        yield ""
        widest = max(len(printable(each)) for each in used)
        yield f"  {'class':<{widest}}   files    used"
        for each in used:
            yield f"  {printable(each):<{widest}}  {found[each]:>6,}  {used[each]:>6,}"
        yield ""
        yield from self._found_lines()
        yield from self._unread_lines()
        if self.tax is not None and self.tax.n_leaked:
            yield self.tax.text
            yield ""
        for note in self.notes:
            yield printable(note)
        if self.notes:
            yield ""
        counts = sorted(used.values())
        yield f"{sum(counts):,} usable. Smallest class {counts[0]:,}, largest {counts[-1]:,}."

    def _found_lines(self) -> Iterator[str]:
        for code, kind in KINDS.items():
            findings = self.of(code)
            if not findings:
                continue
            n_files = len({path for each in findings for path in each.paths})
            what = counted(n_files, "file") if n_files else f"{len(findings):,}"
            done = ", ".join(dict.fromkeys(each.done for each in findings))
            serious = "serious, " if kind.serious else ""
            yield f"  {kind.title}: {what}, {serious}{done} [{code}]"
            for each in findings[:N_SHOWN]:
                names = " = ".join(printable(path) for path in each.paths[:3])
                names = names or ", ".join(printable(label) for label in each.labels)
                more = f" and {len(each.paths) - 3:,} more" if len(each.paths) > 3 else ""
                yield f"      {names}{more}  {each.text}".rstrip()
            if len(findings) > N_SHOWN:
                yield f"      and {len(findings) - N_SHOWN:,} more"
            yield ""

    def _unread_lines(self) -> Iterator[str]:
        """List the files that are no examples or cannot be read, by reason."""
        groups: dict[tuple[str, str], list[str]] = defaultdict(list)
        for each in self.found.left_out:
            # What stands in brackets differs from file to file.
            groups[each.code, each.reason.partition(" (")[0]].append(each.path)
        for (code, reason), paths in sorted(groups.items(), key=lambda item: -len(item[1])):
            yield f"  {printable(reason)}: {counted(len(paths), 'file')}, skipped [{code}]"
            yield "      " + ", ".join(printable(path) for path in paths[:N_SHOWN])
            yield ""

    def __str__(self) -> str:
        return "\n".join(self.lines())


def check(
    folder: str | Path,
    *,
    labels: str | Path | None = None,
    label_from: str = "folder",
    settings: Settings | None = None,
    listen: Listener = silent,
) -> Check:
    """Find broken, copied, mislabelled, odd and leaking files. Changes nothing.

    Parameters
    ----------
    folder, labels, label_from
        As for :func:`fieldmark.load`.
    settings : Settings, optional
        ``data`` and ``audit`` are read.
    listen : callable
        Gets :class:`~fieldmark.training.events.Progress`.

    Returns
    -------
    Check

    Raises
    ------
    DataError
        ``no-folder``, ``no-classes`` and others where there is nothing to look at. A folder that
        ``train`` would refuse is described all the same.

    Examples
    --------
    ::

        found = fieldmark.check("flowers")
        print(found)
        found.of("label-conflict")
    """
    asked = settings or Settings()
    started = time.monotonic()
    manifest, refusals = scan.survey(
        Path(folder), labels=Path(labels) if labels else None, label_from=label_from
    )
    source = {"folder": str(folder), "labels": str(labels or ""), "label_from": label_from}
    found = checked(manifest, asked.changed("data", source), refusals=refusals, listen=listen)
    took = time.monotonic() - started - sum(found.seconds.values())
    return dataclasses.replace(found, seconds={"list": took} | found.seconds)


def checked(
    manifest: Manifest,
    settings: Settings,
    *,
    refusals: Sequence[DataError] = (),
    listen: Listener = silent,
) -> Check:
    """Check a folder that was listed.

    Parameters
    ----------
    manifest : Manifest
    settings : Settings
    refusals : sequence of DataError
        What ``train`` would refuse it for.
    listen : callable
    """
    started = time.monotonic()
    found = listed(manifest, settings, refuse=False, listen=listen)
    read = time.monotonic() - started
    result = audited(
        found.manifest,
        settings,
        threads=cores(),
        kept=found.kept,
        describe=True,
        listen=listen,
    )
    more = deeper(result, settings, threads=cores(), listen=listen)
    # A class missing from the training part is a finding of the audit already.
    obeyed = overrides.find(settings.data.overrides, manifest.root)
    objections = found.refusals if obeyed else refusals
    refused = [each for each in objections if each.code in _REFUSED]
    findings = [*map(_refused, refused), *result.audit.findings, *more.findings]
    order = {code: place for place, code in enumerate(KINDS)}
    return Check(
        found=result.audit.seen,
        manifest=result.audit.manifest,
        findings=tuple(sorted(findings, key=lambda each: order[each.code])),
        obeyed=obeyed,
        ranking=more.ranking,
        shortcuts=more.shortcuts,
        tax=more.tax,
        notes=(*(str(note) for note in (*found.notes, *result.notes)), *more.notes),
        seconds={"read": read} | result.seconds | more.seconds,
    )


def _refused(error: DataError) -> Finding:
    return Finding(code=_REFUSED[error.code], text=error.what)
