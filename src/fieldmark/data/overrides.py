"""The fix list: what a person decided about single files, obeyed wherever the folder is used.

A CSV file with the columns ``path`` and ``action``, and where wanted ``value``, ``reason`` and
``sha256``; the pictures themselves are never touched. Actions:

* ``leave-out``: not used;
* ``keep``: used, although a check would leave it out;
* ``relabel``: ``value`` is its class, perhaps a new one;
* ``group``: ``value`` is its group;
* none: undecided, nothing is done. ``fieldmark check`` writes its suggestions so.

A line with a hash is about that content only: once the file has changed it is not obeyed, and said.
"""

from __future__ import annotations

import dataclasses
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from fieldmark.data import scan
from fieldmark.data.findings import KINDS, Finding
from fieldmark.data.listing import PATH
from fieldmark.data.manifest import Example, LeftOut, Manifest, Note
from fieldmark.data.table import Form, Names, lines, plain, written
from fieldmark.errors import DataError, UsageError

FILE: Final = "overrides.csv"
"""The name that is found by itself at the top of a data folder."""

ACTIONS: Final = ("leave-out", "keep", "relabel", "group")

DECIDED_BY_PERSONS: Final = frozenset(
    {
        "label-conflict",
        "near-copy-labels",
        "leak",
        "near-leak",
        "suspect-label",
        "blank",
        "dark",
        "bright",
        "blurred",
        "odd-size",
        "odd-shape",
    }
)
"""Findings that become lines of a fix list; the others are settled or about whole classes."""

_FORM: Final = Form(
    what="fix list",
    option="--overrides",
    columns={
        "path": PATH,
        "action": ("action",),
        "value": ("value",),
        "reason": ("reason",),
        "sha256": ("sha256",),
    },
    needed=("path", "action"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Override:
    """One line of a fix list."""

    path: str
    """As the cell stands in the file."""
    action: str
    """One of :data:`ACTIONS`; empty: undecided."""
    value: str = ""
    """As the cell stands in the file, accents joined."""
    reason: str = ""
    sha256: str = ""
    """In lower case; empty: whatever the file holds."""
    line: int = 0
    """In the file, from 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Overrides:
    """A fix list."""

    lines: tuple[Override, ...] = ()
    file: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Applied:
    """What a fix list made of a manifest."""

    manifest: Manifest
    kept: frozenset[str]
    """Paths that no check may leave out."""
    notes: tuple[Note, ...]
    """Lines that were not obeyed, and why."""
    refusals: tuple[DataError, ...] = ()
    """What the classes would be refused for, where nothing was refused."""


def find(setting: str, root: Path) -> Path | None:
    """Return the file that the setting ``overrides`` means.

    Parameters
    ----------
    setting : str
        A path; ``none``; or ``auto``: :data:`FILE` at the top of ``root``, where there is one.
    root : Path
        The data folder.

    Examples
    --------
    >>> find("none", Path("photos")) is None
    True
    """
    if setting == "none":
        return None
    if setting != "auto":
        return Path(setting)
    lying = root / FILE
    return lying if lying.is_file() else None


def read(file: Path) -> Overrides:
    """Read a fix list.

    Raises
    ------
    DataError
        Codes ``no-list``, ``list-damaged``, ``no-columns``; with the line ``override-action`` (an
        unknown word), ``override-value`` (a class or group is missing), ``override-conflict`` (two
        lines that contradict each other).
    """
    found = tuple(
        _checked_line(
            Override(
                path=row.cells["path"],
                action=row.word("action").lower().replace("_", "-").replace(" ", "-"),
                value=unicodedata.normalize("NFC", row.word("value")),
                reason=plain(row.word("reason")),
                sha256=row.word("sha256").lower(),
                line=row.number,
            ),
            file,
        )
        for row in lines(file, _FORM)
    )
    by_content: dict[tuple[str, str], list[Override]] = defaultdict(list)
    for each in found:  # which of two contents is there shows only when the list is applied
        by_content[plain(each.path.strip()), each.sha256].append(each)
    for (path, _), together in by_content.items():
        _refuse_contradictions(path, together, file)
    return Overrides(lines=found, file=file)


def apply(
    manifest: Manifest, overrides: Overrides, *, to_learn: bool = True, refuse: bool = True
) -> Applied:
    """Do what a fix list says; pure, and the same when done twice.

    Parameters
    ----------
    manifest : Manifest
        With hashes, if a line of the list has one.
    overrides : Overrides
        Of :func:`read`.
    to_learn : bool, default=True
        Object to a list that leaves nothing of a class, or no two classes.
    refuse : bool, default=True
        Raise what is objected to; False: return it, to be shown.

    Returns
    -------
    Applied
        Files left out have the code ``left-out-by-list``. Codes of its notes: ``override-stale``
        (the file has another content than the line is about), ``override-no-file``,
        ``override-unused`` (the file was left out for another reason).

    Raises
    ------
    DataError
        ``override-conflict``, ``emptied-class``, and what :func:`fieldmark.data.scan.checked` says
        to the new labels.
    UsageError
        ``not-hashed``.
    """
    manifest = _without_list(manifest, overrides.file)
    by_path, notes = _found(manifest, overrides)
    classes = Names(manifest.classes)
    groups = Names(example.group for example in manifest.examples if example.group)
    examples: list[Example] = []
    left_out: list[LeftOut] = []
    kept: set[str] = set()
    for example in manifest.examples:
        together = by_path.get(example.path, [])
        _refuse_contradictions(example.path, together, overrides.file)
        gone = next((each for each in together if each.action == "leave-out"), None)
        if gone is not None:
            reason = gone.reason or "the fix list says so"
            left_out.append(LeftOut(path=example.path, code="left-out-by-list", reason=reason))
            continue
        for each in together:
            if each.action == "relabel":
                example = dataclasses.replace(example, label=_meant(each.value, classes))
            elif each.action == "group":
                example = dataclasses.replace(example, group=_meant(each.value, groups))
            else:
                kept.add(example.path)
        examples.append(example)
    changed = manifest.with_examples(tuple(examples), tuple(left_out))
    refusals: tuple[DataError, ...] = ()
    if changed.examples or to_learn:
        emptied = _emptied(manifest, changed, overrides.file) if to_learn else ()
        changed, refusals = scan.named(changed, to_learn, emptied)
    if refuse and refusals:
        raise refusals[0]
    return Applied(manifest=changed, kept=frozenset(kept), notes=notes, refusals=refusals)


def _without_list(manifest: Manifest, file: Path | None) -> Manifest:
    """Do not count the list itself among the files that were left out."""
    if file is None or not file.is_relative_to(manifest.root):
        return manifest
    own = file.relative_to(manifest.root).as_posix()
    left_out = tuple(entry for entry in manifest.left_out if entry.path != own)
    return dataclasses.replace(manifest, left_out=left_out)


def _meant(value: str, known: Names) -> str:
    r"""Return the name that is known, or a new one as it is written: ``\tau`` holds no tab."""
    return known.find(value) or (value if "\\" in value else plain(value))


def suggested(
    findings: Iterable[Finding], manifest: Manifest, gone: Collection[str] = ()
) -> tuple[Override, ...]:
    """Return a line for each file that a person must decide about, in the order of the findings.

    The action is ``leave-out`` for the paths in ``gone``, which the check left out, and empty
    elsewhere.
    """
    shas = {example.path: example.sha256 for example in manifest.examples}
    reasons: dict[str, list[str]] = defaultdict(list)
    for finding in findings:
        if finding.code not in DECIDED_BY_PERSONS:
            continue
        for path in finding.paths:
            reasons[path].append(_reason(finding, path))
    return tuple(
        Override(
            path=path,
            action="leave-out" if path in gone else "",
            reason="; ".join(dict.fromkeys(why)),
            sha256=shas.get(path, ""),
        )
        for path, why in reasons.items()
    )


def write(
    findings: Iterable[Finding],
    manifest: Manifest,
    decided: Overrides | None = None,
    *,
    gone: Collection[str] = (),
) -> str:
    r"""Return a fix list as CSV text, to be filled in by a person.

    Parameters
    ----------
    findings : iterable of Finding
    manifest : Manifest
        As it was checked, with what the check left out still in it: hashes come from here.
    decided : Overrides, optional
        An earlier list: its lines come first and are not asked for again.
    gone : collection of str
        Paths that the check left out.

    Examples
    --------
    >>> from fieldmark.data.manifest import Manifest
    >>> one = Finding(code="blank", paths=("cat/1.jpg",), text="no detail")
    >>> print(write([one], Manifest(root=Path("x"), examples=(), classes=())).splitlines()[1])
    cat/1.jpg,,,blank: hardly anything to see: no detail,
    """
    earlier = list(decided.lines if decided else ())
    known = Names(example.path for example in manifest.examples)
    settled = {known.find(each.path) or each.path for each in earlier}
    asked = [each for each in suggested(findings, manifest, gone) if each.path not in settled]
    rows = [[plain(each.path), *_rest(each)] for each in earlier]
    rows += [[each.path, *_rest(each)] for each in asked]
    return written(("path", "action", "value", "reason", "sha256"), rows)


def _rest(each: Override) -> list[str]:
    return [each.action, plain(each.value), each.reason, each.sha256]


def _reason(finding: Finding, path: str) -> str:
    others = [other for other in finding.paths if other != path]
    more = f" and {len(others) - 2} more" if len(others) > 2 else ""
    beside = f" (with {', '.join(others[:2])}{more})" if others else ""
    return f"{KINDS[finding.code].title}: {finding.text}{beside}"


def _checked_line(each: Override, file: Path) -> Override:
    where = f"{file}, line {each.line}"
    if each.action and each.action not in ACTIONS:
        raise DataError(
            f"The fix list asks for something unknown: {each.action!r}.",
            code="override-action",
            where=where,
            hint=f"write {', '.join(ACTIONS[:-1])} or {ACTIONS[-1]}; or nothing: undecided",
        )
    if each.action in ("relabel", "group") and not each.value:
        wanted = "class" if each.action == "relabel" else "group"
        raise DataError(
            f"The fix list does not say which {wanted} is meant.",
            code="override-value",
            where=where,
            hint=f"write the {wanted}'s name into the column value",
        )
    return each


def _refuse_contradictions(path: str, together: Sequence[Override], file: Path | None) -> None:
    acting = [each for each in together if each.action]
    for one in acting:
        for other in acting:
            apart = one.action != other.action and "leave-out" in (one.action, other.action)
            if apart or (one.action == other.action != "keep" and one.value != other.value):
                numbers = sorted((one.line, other.line))
                raise DataError(
                    f"Two lines of the fix list contradict each other about {path}.",
                    code="override-conflict",
                    where=f"{file}, lines {numbers[0]} and {numbers[1]}",
                    why=f"One says {_words(one)}, the other {_words(other)}.",
                    hint="remove one of the two lines",
                )


def _words(each: Override) -> str:
    return f"{each.action} {each.value}".strip()


def _found(
    manifest: Manifest, overrides: Overrides
) -> tuple[dict[str, list[Override]], tuple[Note, ...]]:
    """Return the lines to obey, by the path of their example, and notes about the others."""
    examples = {example.path: example for example in manifest.examples}
    gone = {entry.path: entry for entry in manifest.left_out}
    names = Names([*examples, *gone])
    by_path: dict[str, list[Override]] = defaultdict(list)
    notes = []
    for each in overrides.lines:
        if not each.action:
            continue
        path = names.find(each.path)
        if path is None:
            text = f"Line {each.line} of the fix list: there is no file {each.path}."
            notes.append(Note(code="override-no-file", text=text))
        elif path not in examples:
            entry = gone[path]
            if each.action != "leave-out":
                text = f"Line {each.line} of the fix list: {path} is left out all the same"
                notes.append(Note(code="override-unused", text=f"{text} ({entry.reason})."))
        elif each.sha256 and not examples[path].sha256:
            raise _not_hashed()
        elif each.sha256 and each.sha256 != examples[path].sha256:
            text = f"Line {each.line} of the fix list is about another content of {path}."
            notes.append(Note(code="override-stale", text=text))
        else:
            by_path[path].append(each)
    return by_path, tuple(notes)


def _not_hashed() -> UsageError:
    return UsageError(
        "The fix list cannot be obeyed before the files have been read.",
        code="not-hashed",
        why="Its lines are about certain contents.",
        hint="call scan.hash_contents first",
    )


def _emptied(before: Manifest, after: Manifest, file: Path | None) -> tuple[DataError, ...]:
    left = Counter(example.label for example in after.examples)
    had = Counter(example.label for example in before.examples)
    emptied = [name for name in before.classes if had[name] and not left[name]]
    if not emptied:
        return ()
    return (
        DataError(
            f"The fix list leaves nothing of: {', '.join(emptied[:8])}.",
            code="emptied-class",
            where=str(file or before.root),
            why="A class without a picture can be neither learned nor tested.",
            hint="take the class out of the data folder, or keep some of its pictures",
        ),
    )
