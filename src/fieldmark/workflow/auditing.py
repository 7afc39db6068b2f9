"""Look at every picture once, compare them all, and clean the folder's manifest: reads only.

One way for every verb: ``check`` shows what is found, ``split`` and ``train`` act on it.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from fieldmark.config import Settings
from fieldmark.data import audit, cache, looks
from fieldmark.data.audit import Audit
from fieldmark.data.duplicates import Seen
from fieldmark.data.manifest import Manifest, Note
from fieldmark.training.events import Listener, Progress, silent


@dataclass(frozen=True, slots=True, kw_only=True)
class Audited:
    """An audit, what it was made from, and how long it took."""

    audit: Audit
    seen: Seen
    notes: tuple[Note, ...] = ()
    """Files that a person said to keep and that cannot be read."""
    seconds: dict[str, float] = field(default_factory=dict)
    """``look``: every picture decoded and measured; ``compare``: near copies; ``ask``: the rest."""


def audited(
    manifest: Manifest,
    settings: Settings,
    *,
    threads: int,
    kept: frozenset[str] = frozenset(),
    describe: bool = False,
    listen: Listener = silent,
) -> Audited:
    """Audit a manifest with hashes.

    Parameters
    ----------
    manifest : Manifest
    settings : Settings
        Their table ``audit``; and whether anything is kept in the cache.
    threads : int
    kept : frozenset of str
        Paths that a person said to keep, whatever is found.
    describe : bool, default=False
        Ask every question, and describe a folder that is mostly unreadable instead of refusing it.
    listen : callable

    Returns
    -------
    Audited
        With ``audit.clean`` false, nothing is left out but what cannot be read.

    Raises
    ------
    DataError
        ``mostly-unreadable``, ``emptied-class``.
    UsageError
        ``cache-inside-data``.
    """
    started = time.monotonic()

    def said(stage: str) -> cache.Progress:
        return lambda done, total: listen(Progress(stage=stage, done=done, total=total))

    readable, found = looks.look_at(
        manifest,
        threads=threads,
        directory=cache.safe_directory(manifest.root) if settings.run.cache else None,
        refuse=not describe,
        progress=said("look"),
    )
    looked = time.monotonic()
    seen = audit.see(
        readable,
        found,
        near=settings.audit.near,
        kept=kept,
        threads=threads,
        progress=said("compare"),
    )
    compared = time.monotonic()
    result = audit.audit(seen, clean=settings.audit.clean, ask=describe)
    seconds = {
        "look": looked - started,
        "compare": compared - looked,
        "ask": time.monotonic() - compared,
    }
    gone = {each.path: each.reason for each in readable.left_out}
    notes = tuple(
        Note(code="override-unused", text=f"The fix list keeps {path}, but it is no use: {why}.")
        for path, why in gone.items()
        if path in kept
    )
    if found.problem:
        notes += (Note(code="cache-not-kept", text=found.problem),)
    return Audited(audit=result, seen=seen, notes=notes, seconds=seconds)
